/// The configuration as the processes obey it: every value decided, one `path value` a line.
///
/// The master writes it, children read it without YAML. Reading a value traps where the line is
/// missing or bad: the master has checked it, so that would be a bug of ours.
package struct EffectiveConfiguration: Sendable, Equatable {
    package let values: ConfigurationTree

    package init(_ values: ConfigurationTree) { self.values = values }

    /// Reads what `lines` wrote; nil when a line is none of ours.
    package init?(lines: String) {
        var values = ConfigurationTree()
        // Bytes, not characters: a combining mark after a blank would hide it.
        for line in Array(lines.utf8).split(separator: UInt8(ascii: "\n")) {
            guard let space = line.firstIndex(of: UInt8(ascii: " ")),
                let path = splitPath(line[..<space]),
                let text = unescapedLine(line[(space + 1)...])
            else { return nil }
            values.set(path, to: text)
        }
        self.values = values
    }

    /// One `path value` a line; a line break, tab or backslash in a value is escaped.
    package var lines: String {
        values.leaves.map { "\(joinedPath($0.path)) \(escapedLine($0.text))\n" }.joined()
    }

    /// The same without what stands below some paths (`services.*.env`), for readers whom it is no
    /// business of.
    package func lines(without patterns: [String]) -> String {
        let hidden = patterns.map(patternSteps)
        var configuration = ConfigurationTree()
        for leaf in values.leaves {
            let isHidden = hidden.contains { steps in
                steps.count <= leaf.path.count
                    && zip(steps, leaf.path).allSatisfy { $0 == "*" || $0 == "[]" || $0 == $1 }
            }
            if !isHidden { configuration.set(leaf.path, to: leaf.text) }
        }
        return EffectiveConfiguration(configuration).lines
    }

    /// The value of a key, `names` standing for the `*` and `[]` of its path in their order.
    package func value<Value>(_ setting: Setting<Value>, _ names: String...) -> Value {
        let path = boundPath(setting.path, names)
        guard let text = values.node(path)?.text else {
            guard let value = setting.whenAbsent else {
                preconditionFailure("no line for \(joinedPath(path))")
            }
            return value
        }
        return parsed(text, setting, path)
    }

    /// The values of a list or map of plain values, with their names or numbers, in order.
    package func entries<Value>(
        _ setting: Setting<Value>, _ names: String...
    ) -> [(name: String, value: Value)] {
        let path = boundPath(setting.path, names)
        guard let node = values.node(path) else { return [] }
        return node.childNames.compactMap { name in
            node.child(name)?.text.map { (name, parsed($0, setting, path + [name])) }
        }
    }

    /// The names below a list or map: `names("services.*")`, `names("services.*.upstreams[]",
    /// "web")`.
    package func names(_ path: String, _ names: String...) -> [String] {
        values.node(boundPath(path, names))?.childNames ?? []
    }

    /// True where a value, or a group with values, is there.
    package func has(_ path: String...) -> Bool { values.node(path) != nil }

    private func parsed<Value>(_ text: String, _ setting: Setting<Value>, _ path: [String]) -> Value
    {
        do {
            return try setting.type.parse(text)
        } catch {
            preconditionFailure("bad line \(joinedPath(path)): \(error.message)")
        }
    }
}

/// The steps of a declared path: `listen[].url` is `listen`, `[]`, `url`.
func patternSteps(_ path: String) -> [String] {
    path.split(separator: ".").flatMap { step in
        step.hasSuffix("[]") ? [String(step.dropLast(2)), "[]"] : [String(step)]
    }
}

/// A declared path with names in the place of its `*` and `[]`; a last one without a name is left
/// out.
func boundPath(_ pattern: String, _ names: [String]) -> [String] {
    var names = names[...]
    var path: [String] = []
    for step in patternSteps(pattern) {
        if step == "*" || step == "[]" {
            guard let name = names.popFirst() else { break }
            path.append(name)
        } else {
            path.append(step)
        }
    }
    precondition(names.isEmpty, "\(pattern) takes fewer names")
    return path
}

/// A path as one word: dots, blanks and line breaks within a name are escaped.
package func joinedPath(_ path: [String]) -> String {
    path.map { name in
        guard name.utf8.contains(where: { $0 <= 0x20 || ".\\".utf8.contains($0) }) else {
            return name
        }
        return escaped(name, [".": "d", " ": "s"])
    }.joined(separator: ".")
}

func splitPath(_ text: ArraySlice<UInt8>) -> [String]? {
    var path: [String] = []
    for part in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
        guard let name = unescapedLine(part) else { return nil }
        path.append(name)
    }
    return path
}

private func escapedLine(_ text: String) -> String { escaped(text, [:]) }

private func escaped(_ text: String, _ more: [Unicode.Scalar: String]) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        default:
            if let letter = more[scalar] {
                result += "\\" + letter
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }
    return result
}

private func unescapedLine(_ text: ArraySlice<UInt8>) -> String? {
    var result: [UInt8] = []
    var isEscaped = false
    for byte in text {
        guard isEscaped else {
            if byte == UInt8(ascii: "\\") { isEscaped = true } else { result.append(byte) }
            continue
        }
        switch byte {
        case UInt8(ascii: "\\"): result.append(byte)
        case UInt8(ascii: "n"): result.append(UInt8(ascii: "\n"))
        case UInt8(ascii: "r"): result.append(UInt8(ascii: "\r"))
        case UInt8(ascii: "d"): result.append(UInt8(ascii: "."))
        case UInt8(ascii: "s"): result.append(UInt8(ascii: " "))
        default: return nil
        }
        isEscaped = false
    }
    return isEscaped ? nil : String(validating: result, as: UTF8.self)
}
