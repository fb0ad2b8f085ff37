/// The configuration as the processes obey it: every value decided, one `path value` a line.
///
/// The master writes it, children read it without YAML. Reading a value traps where the line is missing
/// or bad: the master has checked it, so that would be a bug of ours.
package struct EffectiveConfiguration: Sendable, Equatable {
    package let values: ConfigurationTree

    package init(_ values: ConfigurationTree) { self.values = values }

    /// Reads what `lines` wrote; nil when a line is none of ours.
    package init?(lines: String) {
        var values = ConfigurationTree()
        for line in lines.split(separator: "\n") {
            guard let space = line.firstIndex(of: " "),
                let path = splitPath(line[..<space]),
                let text = unescapedLine(line[line.index(after: space)...])
            else { return nil }
            values.set(path, to: text)
        }
        self.values = values
    }

    /// One `path value` a line; a line break, tab or backslash in a value is escaped.
    package var lines: String {
        values.leaves.map { "\(joinedPath($0.path)) \(escapedLine($0.text))\n" }.joined()
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

    /// The names below a list or map: `names("services.*")`, `names("services.*.upstreams[]", "web")`.
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

/// A declared path with names in the place of its `*` and `[]`; a last one without a name is left out.
private func boundPath(_ pattern: String, _ names: [String]) -> [String] {
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

/// A path as one word: dots, blanks and control characters within a name are escaped.
package func joinedPath(_ path: [String]) -> String {
    path.map { name in
        guard name.unicodeScalars.contains(where: { $0 == "." || $0 == "\\" || $0.value <= 0x20 })
        else { return name }
        return escapedLine(name).map { character in
            switch character {
            case ".": "\\d"
            case " ": "\\s"
            default: String(character)
            }
        }.joined()
    }.joined(separator: ".")
}

func splitPath(_ text: Substring) -> [String]? {
    var path: [String] = []
    for part in text.split(separator: ".", omittingEmptySubsequences: false) {
        guard let name = unescapedLine(part) else { return nil }
        path.append(name)
    }
    return path
}

private func escapedLine(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0 == "\\" || $0 == "\n" || $0 == "\r" }) else {
        return text
    }
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

private func unescapedLine(_ text: Substring) -> String? {
    var result = ""
    var isEscaped = false
    for scalar in text.unicodeScalars {
        guard isEscaped else {
            if scalar == "\\" { isEscaped = true } else { result.unicodeScalars.append(scalar) }
            continue
        }
        switch scalar {
        case "\\": result += "\\"
        case "n": result += "\n"
        case "r": result += "\r"
        case "d": result += "."
        case "s": result += " "
        default: return nil
        }
        isEscaped = false
    }
    return isEscaped ? nil : result
}
