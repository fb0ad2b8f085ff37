extension Configuration {
    /// Fills in every default that has a text of its own, and puts all in the order of the
    /// declarations.
    ///
    /// What was decided already stays, so that this may be done again after something was set.
    package mutating func fill(from schema: Schema) {
        var filled = ConfigurationTree()
        fill(&filled, schema.root, [], values)
        replaceValues(by: filled)
    }

    private func fill(
        _ filled: inout ConfigurationTree, _ keys: SchemaNode, _ path: [String],
        _ values: ConfigurationTree?
    ) {
        switch keys.kind {
        case .leaf:
            if let text = values?.text { filled.set(path, to: text) }
        case .map, .list:
            for name in values?.childNames ?? [] {
                fill(&filled, keys.element!, path + [name], values?.child(name))
            }
        case .group:
            if keys.shape?.isOptional == true, values == nil, !isWritten(path) { return }
            for name in keys.names {
                let child = keys.children[name]!
                if let declaration = child.declaration, child.kind == .leaf,
                    values?.child(name) == nil
                {
                    guard case .text(let text) = declaration.fallback,
                        holds(child.siblings, path, values)
                    else { continue }
                    filled.set(path + [name], to: canonical(text, declaration))
                } else {
                    fill(&filled, child, path + [name], values?.child(name))
                }
            }
        }
    }

    private func holds(
        _ siblings: [String], _ path: [String], _ values: ConfigurationTree?
    ) -> Bool {
        siblings.isEmpty
            || siblings.contains { values?.child($0) != nil || isWritten(path + [$0]) }
    }

    private func canonical(_ text: String, _ declaration: Declaration) -> String {
        do {
            return try declaration.canonical(text, folder)
        } catch {
            preconditionFailure("the default of \(declaration.path): \(error.message)")
        }
    }
}
