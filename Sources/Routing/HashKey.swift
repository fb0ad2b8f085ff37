package import Configuration

/// What `consistent-hash` takes its key from.
public enum HashKey: Hashable, Sendable {
    /// The client's address.
    case client
    /// The request's path without its query.
    case path
    /// A request header field, by its lower-case name.
    case header(String)
    /// A cookie, by its name.
    case cookie(String)

    package init(_ text: String) throws(Complaint) {
        switch text {
        case "client": self = .client
        case "path": self = .path
        default:
            guard let colon = text.firstIndex(of: ":") else {
                throw Complaint(
                    "takes client, path, header:NAME or cookie:NAME, not \(quoted(text))",
                    suggestion: nearestName(to: text, among: ["client", "path"]))
            }
            let name = String(text[text.index(after: colon)...])
            guard FieldRule.isToken(name) else {
                throw Complaint("\(quoted(text)): \(quoted(name)) is no header or cookie name")
            }
            switch text[..<colon] {
            case "header": self = .header(name.lowercased())
            case "cookie": self = .cookie(name)
            default:
                throw Complaint(
                    "takes client, path, header:NAME or cookie:NAME, not \(quoted(text))",
                    suggestion: nearestName(
                        to: String(text[..<colon]), among: ["header", "cookie"]
                    ).map { "\($0):\(name)" })
            }
        }
    }
}

extension HashKey: CustomStringConvertible {
    public var description: String {
        switch self {
        case .client: "client"
        case .path: "path"
        case .header(let name): "header:\(name)"
        case .cookie(let name): "cookie:\(name)"
        }
    }
}

extension SettingType<HashKey> {
    package static var hashKey: Self {
        Self(
            name: "client, path, header:NAME or cookie:NAME",
            schema: "\"type\":\"string\",\"pattern\":\"^(client|path|(header|cookie):.+)$\"",
            parse: { (text) throws(Complaint) in try HashKey(text) }, text: { $0.description })
    }
}
