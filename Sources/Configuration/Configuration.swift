/// A configuration as it was written, with the place of each key, and as it is when defaults are
/// filled in.
///
/// Values are kept as canonical text; a `Setting` gives them their type. A value that was refused
/// is absent here, but `isWritten` still says that the key was there, so that later checks do not
/// complain of a consequence.
package struct Configuration: Sendable {
    /// The file as the user named it, or `command line`.
    package let file: String
    /// The absolute folder that relative paths start from.
    package let folder: String
    package private(set) var values = ConfigurationTree()
    private var written: [String: Mark] = [:]
    private var writtenChildren: [String: [String]] = [:]
    /// Paths of groups that hold a key nobody knows.
    package private(set) var groupsWithUnknownKeys: Set<String> = []

    private struct Mark {
        var key: SourcePosition
        var value: SourcePosition
    }

    package init(file: String, folder: String) {
        self.file = file
        self.folder = folder
    }

    /// Sets a value, as a resolver does. The text has to be canonical.
    package mutating func set(_ path: [String], to text: String) { values.set(path, to: text) }

    /// Takes a key away with everything below it.
    package mutating func remove(_ path: [String]) { values.remove(path) }

    mutating func replaceValues(by values: ConfigurationTree) { self.values = values }

    /// Notes that `path` was written, and where.
    mutating func note(_ path: [String], key: SourcePosition, value: SourcePosition) {
        written[joinedPath(path)] = Mark(key: key, value: value)
        if let name = path.last {
            writtenChildren[joinedPath(path.dropLast()), default: []].append(name)
        }
    }

    mutating func noteUnknownKey(in path: [String]) {
        groupsWithUnknownKeys.insert(joinedPath(path))
    }

    /// True when the key stands in the file, whether its value was good or not.
    package func isWritten(_ path: String...) -> Bool { isWritten(path) }

    package func isWritten(_ path: [String]) -> Bool { written[joinedPath(path)] != nil }

    /// The names written below a group, list or map, those with faults too; without positions,
    /// those that are set.
    package func writtenNames(below path: [String]) -> [String] {
        writtenChildren[joinedPath(path)] ?? values.node(path)?.childNames ?? []
    }

    /// Where the key stands; where it was not written, its nearest group.
    package func position(_ path: [String]) -> SourcePosition? {
        var path = path
        while !path.isEmpty {
            if let mark = written[joinedPath(path)] { return mark.key }
            path.removeLast()
        }
        return nil
    }

    /// Where the value stands; where it was not written, the nearest group.
    package func valuePosition(_ path: [String]) -> SourcePosition? {
        written[joinedPath(path)]?.value ?? position(path)
    }

    /// The effective configuration, once defaults and everything automatic are filled in.
    package var effective: EffectiveConfiguration { EffectiveConfiguration(values) }

    /// A value as far as it is there; nil where it is not, or was refused.
    package func value<Value>(_ setting: Setting<Value>, _ names: String...) -> Value? {
        values.node(boundPath(setting.path, names))?.text.flatMap { try? setting.type.parse($0) }
    }

    /// The values of a list or map of plain values that are there, with their names or numbers.
    package func entries<Value>(
        _ setting: Setting<Value>, _ names: String...
    ) -> [(name: String, value: Value)] {
        guard let node = values.node(boundPath(setting.path, names)) else { return [] }
        return node.childNames.compactMap { name in
            node.child(name)?.text.flatMap { try? setting.type.parse($0) }.map { (name, $0) }
        }
    }

    /// The names below a list or map.
    package func names(_ path: String, _ names: String...) -> [String] {
        values.node(boundPath(path, names))?.childNames ?? []
    }

    /// True where a value, or a group with values, is there.
    package func has(_ path: String...) -> Bool { values.node(path) != nil }

    /// A finding at the place of a key.
    package func finding(
        _ path: String..., at place: SourcePosition? = nil,
        severity: Diagnostic.Severity = .error, message: String, suggestion: String? = nil
    ) -> Diagnostic {
        Diagnostic(
            file: file, position: place ?? position(path), severity: severity,
            key: joinedPath(path), message: message, suggestion: suggestion)
    }

    /// A finding at the place of a value.
    package func finding(
        value path: String..., severity: Diagnostic.Severity = .error, message: String,
        suggestion: String? = nil
    ) -> Diagnostic {
        Diagnostic(
            file: file, position: valuePosition(path), severity: severity,
            key: joinedPath(path), message: message, suggestion: suggestion)
    }
}
