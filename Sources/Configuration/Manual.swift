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
        if let declaration = declaration(for: key) { return page(declaration) }
        let ends = declarations.filter { declaration in
            declaration.path.hasSuffix(".\(key)") || declaration.path.hasSuffix(".\(key)[]")
                || declaration.path.hasSuffix(".\(key).*")
        }
        if !ends.isEmpty { return ends.map(page).joined(separator: "\n") }
        let below = declarations.filter { declaration in
            patternSteps(declaration.path).starts(with: patternSteps(key))
        }
        return below.isEmpty ? nil : below.map(page).joined(separator: "\n")
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
