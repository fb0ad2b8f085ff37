extension Schema {
    /// Every key with its default and what it does, one a line, by group.
    package var manual: String {
        var text = ""
        var group: String?
        for declaration in declarations {
            let steps = declaration.path.split(separator: ".", maxSplits: 1)
            let first = steps[0].hasSuffix("[]") ? steps[0].dropLast(2) : steps[0]
            if String(first) != group {
                group = String(first)
                let node = root.children[group!]
                let meaning = node?.shape?.meaning ?? node?.element?.shape?.meaning
                text += (text.isEmpty ? "" : "\n") + group!
                text += (meaning.map { ": \($0)" } ?? "") + "\n"
            }
            text += "  \(declaration.path)  (\(declaration.fallback.text))\n"
            text += "      \(declaration.meaning)\n"
        }
        return text
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
