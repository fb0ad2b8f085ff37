import Yams

/// Reads YAML into source nodes: Yams gives structure and places, never meaning.
///
/// Anchors, aliases, tags, merge keys and keys that are no plain text are refused here; so are
/// doubled keys.
struct YAMLReader {
    /// Most bytes of a configuration file. 512 services with every key take about 700 KiB.
    static let bytesMax = 1 << 20
    /// Most aliases that Yams is let to expand before they are refused one by one: its check for
    /// doubled keys hashes what they stand for, which grows exponentially with their number.
    private static let aliasesMax = 16
    /// Doubled keys that are reported in one pass; the file is read once more for each.
    private static let doubledKeysMax = 100

    private let file: String
    private var text: SourceText
    private(set) var diagnostics: [Diagnostic] = []
    /// Doubled keys that were overwritten in the text so that Yams reads on: their own names.
    private var renamed: [SourcePosition: String] = [:]

    private init(file: String, text: SourceText) {
        self.file = file
        self.text = text
    }

    /// The file's root node, and everything that is wrong with its YAML.
    static func read(_ bytes: [UInt8], file: String) -> (root: SourceNode?, [Diagnostic]) {
        func failure(_ message: String, line: Int = 1, column: Int = 1) -> [Diagnostic] {
            let place = SourcePosition(line: line, column: column)
            return [Diagnostic(file: file, position: place, message: message)]
        }
        guard bytes.count <= bytesMax else {
            return (nil, failure("the file is larger than \(bytesMax >> 20) MiB"))
        }
        guard var content = String(validating: bytes, as: UTF8.self) else {
            let good = SourceText(String(decoding: bytes, as: UTF8.self))
            let place = good.first("\u{FFFD}") ?? SourcePosition(line: 1, column: 1)
            return (nil, failure("not UTF-8", line: place.line, column: place.column))
        }
        if content.unicodeScalars.first == "\u{FEFF}" { content.unicodeScalars.removeFirst() }
        let text = SourceText(content)
        if text.isEmpty {
            return (nil, failure("the file is empty; it needs at least listen and services"))
        }
        var reader = YAMLReader(file: file, text: text)
        let root = reader.root()
        return (root, reader.diagnostics)
    }

    private mutating func root() -> SourceNode? {
        let aliases = text.aliases()
        if aliases.count > Self.aliasesMax {
            complain(aliases[0], "aliases are refused; write the value out in each place")
            return nil
        }
        for _ in 0...Self.doubledKeysMax {
            do {
                // Padded: Yams hands libyaml a pointer into the string, which only a long one
                // keeps. The parser has to live as long as its nodes: it owns their anchors.
                let parser = try Yams.Parser(
                    yaml: text.string + String(repeating: "\n", count: 32), resolver: .basic,
                    encoding: .utf8)
                let node = try parser.singleRoot()
                return withExtendedLifetime(parser) {
                    node.map { source($0, path: [], depth: 0) }
                }
            } catch YamlError.duplicatedKeysInMapping(let names, let context) {
                guard let name = names.first, overwrite(name, at: context.mark) else {
                    complain(place(context.mark), "\(names[0]) is written twice")
                    return nil
                }
            } catch let error as YamlError {
                complain(error)
                return nil
            } catch {
                complain(SourcePosition(line: 1, column: 1), "not YAML: \(error)")
                return nil
            }
        }
        return nil
    }

    /// Puts a name that occurs nowhere else over a doubled key, so that the next pass gets past it.
    private mutating func overwrite(_ name: String, at mark: Mark) -> Bool {
        let position = place(mark)
        guard renamed[position] == nil, text.overwrite(name, at: position, number: renamed.count)
        else { return false }
        renamed[position] = name
        return true
    }

    private mutating func source(_ node: Node, path: [String], depth: Int) -> SourceNode {
        let position = node.mark.map(place) ?? SourcePosition(line: 1, column: 1)
        switch text[position] {
        case "&":
            return refuse(
                path, position,
                "anchors and aliases are refused; write the value out in each place")
        case "!": return refuse(path, position, "tags are refused; leave the ! word out")
        default: break
        }
        switch node {
        case .scalar(let scalar):
            return .scalar(scalar.string, isPlain: scalar.style == .plain, at: position)
        case .sequence(let sequence):
            var elements: [SourceNode] = []
            for (number, element) in sequence.enumerated() {
                elements.append(source(element, path: path + [String(number)], depth: depth + 1))
            }
            return .list(elements, at: position)
        case .mapping(let mapping):
            return .map(entries(mapping, path: path, depth: depth), at: position)
        case .alias:
            return refuse(path, position, "aliases are refused; write the value out")
        }
    }

    private mutating func entries(
        _ mapping: Node.Mapping, path: [String], depth: Int
    ) -> [SourceEntry] {
        var entries: [SourceEntry] = []
        var places: [String: SourcePosition] = [:]
        for (keyNode, valueNode) in mapping {
            let key = source(keyNode, path: path, depth: depth + 1)
            guard case .scalar(let written, let isPlain, let position) = key else {
                if case .refused = key { continue }
                complain(key.position, "a key has to be a plain name", key: path)
                continue
            }
            let name = renamed[position] ?? written
            if name == "<<", isPlain {
                complain(position, "merge keys are refused; write the values out", key: path)
                continue
            }
            let value = source(valueNode, path: path + [name], depth: depth + 1)
            if let first = places[name] {
                complain(
                    position, "written twice; the first is at line \(first.line)",
                    key: path + [name])
                continue
            }
            places[name] = position
            entries.append(SourceEntry(key: name, position: position, value: value))
        }
        return entries
    }

    private func place(_ mark: Mark) -> SourcePosition {
        text.clamped(SourcePosition(line: mark.line, column: mark.column))
    }

    private mutating func refuse(
        _ path: [String], _ position: SourcePosition, _ message: String
    ) -> SourceNode {
        // An alias stands for its anchor's node, so that this may be said of one place many times.
        if !diagnostics.contains(where: { $0.position == position }) {
            complain(position, message, key: path)
        }
        return .refused(at: position)
    }

    private mutating func complain(
        _ position: SourcePosition, _ message: String, key: [String] = []
    ) {
        diagnostics.append(
            Diagnostic(
                file: file, position: position, key: joinedPath(key), message: message))
    }

    private mutating func complain(_ error: YamlError) {
        switch error {
        case .scanner(let context, let problem, let mark, _),
            .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let tabs = text.tabsInIndentation()
            if case .scanner = error, !tabs.isEmpty {
                for tab in tabs { complain(tab, "a tab; YAML is indented with spaces only") }
                return
            }
            let position = place(mark)
            complain(position, Self.message(problem, context, text[position]))
        case .reader(let problem, let offset, let value, let yaml):
            let end =
                yaml.index(
                    yaml.startIndex, offsetBy: offset ?? 0, limitedBy: yaml.endIndex)
                ?? yaml.endIndex
            let before = SourceText(String(yaml[..<end]))
            complain(
                text.clamped(before.end),
                problem == "control characters are not allowed"
                    ? "a control character, \(value)" : "not YAML: \(problem)")
        default: complain(SourcePosition(line: 1, column: 1), "not YAML: \(error)")
        }
    }

    private static func message(
        _ problem: String, _ context: YamlError.Context?, _ character: Unicode.Scalar?
    ) -> String {
        switch problem {
        case "found character that cannot start any token":
            let what = character.map { "a value begins with \($0)" } ?? "a bad character"
            return "not YAML: \(what); write it in quotes"
        case "mapping values are not allowed in this context":
            return "not YAML: a colon and a blank within a value; "
                + "check the indentation, or write the value in quotes"
        case "found undefined alias", "did not find expected alphabetic or numeric character":
            return "aliases are refused; write a value that begins with * or & in quotes"
        case "but found another document":
            return "a second document begins here; one file holds one configuration"
        default:
            let circumstance = context.map { " \($0.text) from line \($0.mark.line)" } ?? ""
            return "not YAML: \(problem)\(circumstance)"
        }
    }
}
