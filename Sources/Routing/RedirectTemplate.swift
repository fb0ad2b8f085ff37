package import Configuration

/// A `Location` with gaps that the request fills.
public struct RedirectTemplate: Hashable, Sendable {
    public enum Piece: Hashable, Sendable {
        case text(String)
        /// Path and query as the client sent them.
        case target
        /// The path without its query.
        case path
        /// The host without its port.
        case host
    }

    public let pieces: [Piece]

    package init(_ text: String) throws(Complaint) {
        guard
            text.hasPrefix("https://") || text.hasPrefix("http://")
                || (text.hasPrefix("/") && !text.hasPrefix("//"))
        else {
            throw Complaint(
                "\(quoted(text)): a redirect goes to https://…, http://… or a path of this host")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), text.utf8.count <= 2048 else {
            throw Complaint(
                "\(quoted(text)): a URL has no blanks, controls or letters beyond ASCII")
        }
        var pieces: [Piece] = []
        var rest = text[...]
        while !rest.isEmpty {
            guard let open = rest.firstIndex(where: { "{}".contains($0) }) else {
                pieces.append(.text(String(rest)))
                break
            }
            guard rest[open] == "{", let close = rest[open...].firstIndex(of: "}") else {
                throw Complaint("\(quoted(text)): a brace without its other half")
            }
            if open > rest.startIndex { pieces.append(.text(String(rest[..<open]))) }
            let name = rest[rest.index(after: open)..<close]
            switch name {
            case "target": pieces.append(.target)
            case "path": pieces.append(.path)
            case "host": pieces.append(.host)
            default:
                throw Complaint(
                    "\(quoted(text)): there is {target}, {path} and {host}, not {\(name)}",
                    suggestion: nearestName(to: String(name), among: ["target", "path", "host"])
                        .map { "{\($0)}" })
            }
            rest = rest[rest.index(after: close)...]
        }
        self.pieces = pieces
    }
}

extension RedirectTemplate: CustomStringConvertible {
    public var description: String {
        pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .target: "{target}"
            case .path: "{path}"
            case .host: "{host}"
            }
        }.joined()
    }
}

extension SettingType<RedirectTemplate> {
    static var redirectTemplate: Self {
        Self(
            name: "a URL such as https://example.com{target}", schema: "\"type\":\"string\"",
            parse: { (text) throws(Complaint) in try RedirectTemplate(text) },
            text: { $0.description })
    }
}
