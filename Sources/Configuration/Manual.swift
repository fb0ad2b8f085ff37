extension Schema {
    /// Every key with its default and what it does, by group.
    package var manual: String {
        root.names.map { name in
            let node = root.children[name]
            let meaning = node?.shape?.meaning ?? node?.element?.shape?.meaning
            let own = declarations.filter { patternSteps($0.path)[0] == name }
            return name + (meaning.map { ": \($0)" } ?? "") + "\n"
                + own.map { declaration in
                    "  \(declaration.path)  (\(declaration.fallback.text))\n"
                        + "      \(declaration.meaning)\n"
                }.joined()
        }.joined(separator: "\n")
    }

    /// All about one key, named whole, as in a file, or by its end; nil when there is none.
    package func manual(for key: String) -> String? {
        let found = declarations(matching: key)
        return found.isEmpty ? nil : found.map(page).joined(separator: "\n")
    }

    /// The same as a JSON list, of every key where none is given; nil when there is no such key.
    package func manualJSON(for key: String?) -> String? {
        let found = key.map { declarations(matching: $0) } ?? declarations
        let entries = found.map { one in
            [
                ("key", one.path), ("meaning", one.meaning), ("type", one.typeName),
                ("default", one.fallback.text), ("example", one.example),
            ].map { "\(jsonText($0)):\(jsonText($1))" }.joined(separator: ",")
        }
        return found.isEmpty
            ? nil : "[" + entries.map { "{\($0)}" }.joined(separator: ",\n ") + "]\n"
    }

    private func declarations(matching key: String) -> [Declaration] {
        if let declaration = declaration(for: key) { return [declaration] }
        let ends = declarations.filter { declaration in
            declaration.path.hasSuffix(".\(key)") || declaration.path.hasSuffix(".\(key)[]")
                || declaration.path.hasSuffix(".\(key).*")
        }
        if !ends.isEmpty { return ends }
        return declarations.filter { declaration in
            patternSteps(declaration.path).starts(with: patternSteps(key))
        }
    }

    /// The key that was probably meant.
    package func nearestKey(to key: String) -> String? {
        let ends = declarations.compactMap { declaration in
            patternSteps(declaration.path).last { $0 != "*" && $0 != "[]" }
        }
        return nearestName(to: key, among: declarations.map(\.path))
            ?? nearestName(to: key, among: ends)
    }

    private func page(_ declaration: Declaration) -> String {
        var text = "\(declaration.path)\n  \(declaration.meaning)\n"
        text += "  takes    \(declaration.typeName)\n"
        text += "  default  \(declaration.fallback.text)\n"
        if !declaration.siblings.isEmpty {
            text += "  with     \(declaration.siblings.joined(separator: ", "))\n"
        }
        return text + "  example  \(example(declaration))\n"
    }

    /// The example as one would write it, in its place: `services: { NAME: { workers: 4 } }`.
    private func example(_ declaration: Declaration) -> String {
        var text = yamlText(declaration.example)
        var isPair = false
        for step in patternSteps(declaration.path).reversed() {
            if isPair { text = "{ \(text) }" }
            isPair = step != "[]"
            text = step == "[]" ? "[\(text)]" : "\(step == "*" ? "NAME" : step): \(text)"
        }
        return text
    }
}

extension Fallback {
    /// For people: the default's text.
    var text: String {
        switch self {
        case .absent: "none"
        case .text(""): "empty"
        case .text(let text): text
        case .found(let how): how
        case .required: "has to be written"
        }
    }
}
