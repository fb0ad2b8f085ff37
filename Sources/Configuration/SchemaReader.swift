extension Schema {
    /// Reads a file's bytes: values by their settings, defaults filled in, every fault in one pass.
    ///
    /// - Parameters:
    ///   - file: the name for diagnostics.
    ///   - folder: the absolute folder that relative paths start from.
    package func read(
        yaml bytes: [UInt8], file: String, folder: String, environment: [String: String]
    ) -> (Configuration, [Diagnostic]) {
        let (root, faults) = YAMLReader.read(bytes, file: file)
        var reader = SchemaReader(
            schema: self, environment: environment,
            configuration: Configuration(file: file, folder: folder))
        reader.diagnostics = faults
        if let root { reader.readRoot(root) }
        reader.configuration.fill(from: self)
        return (reader.configuration, reader.diagnostics.inOrder())
    }

    /// Makes a configuration of texts by path, as a command line gives them.
    package func read(
        texts: [(path: [String], text: String)], folder: String
    ) -> (Configuration, [Diagnostic]) {
        var configuration = Configuration(file: "command line", folder: folder)
        var diagnostics: [Diagnostic] = []
        for (path, text) in texts {
            guard let declaration = declaration(for: joinedPath(path)) else {
                preconditionFailure("no key \(joinedPath(path))")
            }
            do {
                configuration.set(path, to: try declaration.canonical(text, folder))
            } catch {
                diagnostics.append(
                    Diagnostic(
                        file: configuration.file, position: nil, key: joinedPath(path),
                        message: error.message, suggestion: error.suggestion))
            }
        }
        configuration.fill(from: self)
        return (configuration, diagnostics)
    }
}

/// Walks a file's nodes beside the tree of keys.
private struct SchemaReader {
    let schema: Schema
    let environment: [String: String]
    var configuration: Configuration
    var diagnostics: [Diagnostic] = []

    /// Where the walk stands.
    struct Place {
        var path: [String] = []
        var pattern = ""
        var key = SourcePosition(line: 1, column: 1)

        func below(_ name: String, _ step: String, at key: SourcePosition) -> Place {
            let joint = step == "[]" || pattern.isEmpty ? "" : "."
            return Place(path: path + [name], pattern: pattern + joint + step, key: key)
        }
    }

    mutating func readRoot(_ node: SourceNode) {
        guard case .map(let entries, _) = node else {
            if case .refused = node { return }
            return complain(
                node.position, [],
                "takes keys with values, such as listen: auto, not \(node.kindName)")
        }
        readGroup(entries, schema.root, Place())
    }

    private mutating func read(_ node: SourceNode, _ keys: SchemaNode, _ place: Place) {
        configuration.note(place.path, key: place.key, value: node.position)
        if case .refused = node { return }
        switch keys.kind {
        case .leaf: readLeaf(node, keys.declaration!, place)
        case .group, .map: readNamed(node, keys, place)
        case .list: readList(node, keys, place)
        }
    }

    private mutating func readLeaf(
        _ node: SourceNode, _ declaration: Declaration, _ place: Place
    ) {
        guard case .scalar(let text, _, _) = node else {
            if schema.beforeLater.contains(place.pattern) {
                return complain(place.key, place.path, Self.later)
            }
            return complain(
                node.position, place.path, "takes \(declaration.typeName), not \(node.kindName)")
        }
        if node.isNothing {
            return complain(
                place.key, place.path, "has no value; write \(declaration.typeName)")
        }
        do {
            let value = try withEnvironment(text, environment)
            configuration.set(
                place.path, to: try declaration.canonical(value, configuration.folder))
        } catch {
            complain(node.position, place.path, error.message, suggestion: error.suggestion)
        }
    }

    /// A group or a map: named values, or the plain value that stands for one.
    private mutating func readNamed(_ node: SourceNode, _ keys: SchemaNode, _ place: Place) {
        switch node {
        case .map(let entries, _):
            keys.kind == .map
                ? readMap(entries, keys, place) : readGroup(entries, keys, place)
        case .scalar where !node.isNothing && keys.shape?.shorthand != nil:
            readShorthand(node, keys, place)
        default:
            let example = keys.kind == .map ? "{ name: value }" : "{ \(keys.names[0]): … }"
            complain(
                node.isNothing ? place.key : node.position, place.path,
                "takes keys with values, such as \(example), not \(node.kindName)")
        }
    }

    private mutating func readShorthand(_ node: SourceNode, _ keys: SchemaNode, _ place: Place) {
        guard case .scalar(let text, _, let position) = node else { return }
        switch keys.shape!.shorthand! {
        case .value(let name):
            let place = place.below(name, name, at: position)
            read(node, keys.children[name]!, place)
        case .name(let value):
            do {
                let name = try withEnvironment(text, environment)
                if let checkName = keys.checkName { try checkName(name) }
                read(
                    .scalar(value, isPlain: true, at: position), keys.element!,
                    place.below(name, "*", at: position))
            } catch {
                complain(position, place.path, error.message, suggestion: error.suggestion)
            }
        }
    }

    private mutating func readMap(
        _ entries: [SourceEntry], _ keys: SchemaNode, _ place: Place
    ) {
        checkCount(entries.count, keys, place)
        for entry in entries {
            let below = place.below(entry.key, "*", at: entry.position)
            do {
                if let checkName = keys.checkName { try checkName(entry.key) }
            } catch {
                complain(
                    entry.position, below.path, error.message, suggestion: error.suggestion)
                // What is wrong in a group is said in the same pass as its name.
                guard keys.element!.kind == .group else { continue }
            }
            read(entry.value, keys.element!, below)
        }
    }

    private mutating func readList(_ node: SourceNode, _ keys: SchemaNode, _ place: Place) {
        var elements: [SourceNode]
        switch node {
        case .list(let list, _): elements = list
        case .scalar where keys.takesOne && !node.isNothing, .map where keys.takesOne:
            elements = [node]
        default:
            let written = if case .scalar(let text, _, _) = node { text } else { "…" }
            return complain(
                node.isNothing ? place.key : node.position, place.path,
                node.isNothing
                    ? "has no value; write a list, [ … ]"
                    : "takes a list, [\(written)], not \(node.kindName)")
        }
        checkCount(elements.count, keys, place)
        for (number, element) in elements.enumerated() {
            read(
                element, keys.element!,
                place.below(String(number), "[]", at: element.position))
        }
    }

    private mutating func checkCount(_ count: Int, _ keys: SchemaNode, _ place: Place) {
        guard let counts = keys.counts, !counts.contains(count) else { return }
        complain(
            place.key, place.path,
            count == 0
                ? "is empty; it takes at least \(counts.lowerBound)"
                : "has \(count) elements; from \(counts.lowerBound) to "
                    + "\(counts.upperBound) are taken"
        )
    }

    private mutating func readGroup(
        _ entries: [SourceEntry], _ keys: SchemaNode, _ place: Place
    ) {
        var written: [String: SourcePosition] = [:]
        var meant: Set<String> = []
        for entry in entries {
            written[entry.key] = entry.position
            if let child = keys.children[entry.key] {
                read(entry.value, child, place.below(entry.key, entry.key, at: entry.position))
            } else {
                meant.formUnion(refuseUnknown(entry, keys, place))
            }
        }
        for name in keys.names where written[name] == nil && keys.children[name]!.isRequired {
            if meant.contains(name) { continue }
            complain(place.key, place.path + [name], Self.missing(keys.children[name]!))
        }
        let isDecided = checkOneOf(written, meant, keys, place)
        guard isDecided else { return }
        for name in keys.names {
            let siblings = keys.children[name]!.siblings
            guard let position = written[name], !siblings.isEmpty,
                !siblings.contains(where: { written[$0] != nil })
            else { continue }
            complain(
                position, place.path + [name], "goes with \(Self.list(siblings, "or")) only")
        }
    }

    /// Checks that exactly one of the keys that exclude each other is there; true when it is.
    private mutating func checkOneOf(
        _ written: [String: SourcePosition], _ meant: Set<String>, _ keys: SchemaNode,
        _ place: Place
    ) -> Bool {
        guard let names = keys.shape?.oneOf, !names.isEmpty else { return true }
        let found = names.compactMap { name in written[name].map { (name: name, at: $0) } }
            .sorted { $0.at < $1.at }
        if found.count == 1 { return true }
        let wanted = "exactly one of \(Self.list(names, "and"))"
        if found.isEmpty {
            let isMeant = names.contains(where: meant.contains)
            if !isMeant { complain(place.key, place.path, "needs \(wanted)") }
        } else {
            let places = found.map { "\($0.name) (line \($0.at.line))" }
            complain(
                found[1].at, place.path,
                "has \(Self.list(places, "and")), but takes \(wanted)")
        }
        return false
    }

    /// Complains of a key that is none, and returns those that it may stand for, so that nobody
    /// misses them.
    private mutating func refuseUnknown(
        _ entry: SourceEntry, _ keys: SchemaNode, _ place: Place
    ) -> [String] {
        let path = place.path + [entry.key]
        let pattern = place.below(entry.key, entry.key, at: entry.position).pattern
        if schema.later.contains(pattern) {
            complain(entry.position, path, Self.later)
            return keys.names
        }
        configuration.noteUnknownKey(in: place.path)
        if let near = nearestName(to: entry.key, among: keys.names) {
            complain(entry.position, path, "unknown key", suggestion: near)
            return [near]
        }
        let elsewhere = schema.declarations.map(\.path).filter { other in
            patternSteps(other).contains(entry.key)
        }
        if let other = elsewhere.first {
            complain(entry.position, path, "unknown key here; there is \(other)")
        } else {
            complain(
                entry.position, path,
                "unknown key; there is \(Self.list(Array(keys.names.prefix(12)), "and"))")
        }
        return []
    }

    private mutating func complain(
        _ position: SourcePosition, _ path: [String], _ message: String,
        suggestion: String? = nil
    ) {
        diagnostics.append(
            Diagnostic(
                file: configuration.file, position: position, key: joinedPath(path),
                message: message, suggestion: suggestion))
    }

    private static let later = "known, not in this version"

    private static func missing(_ keys: SchemaNode) -> String {
        if let declaration = keys.declaration { return "is missing; write \(declaration.typeName)" }
        let meaning = keys.shape?.meaning ?? keys.element?.shape?.meaning
        return meaning.map { "is missing: \($0)" } ?? "is missing"
    }

    private static func list(_ names: [String], _ word: String) -> String {
        guard let last = names.last, names.count > 1 else { return names.first ?? "" }
        return "\(names.dropLast().joined(separator: ", ")) \(word) \(last)"
    }
}
