extension Schema {
    /// A JSON schema (draft 2020-12) of configuration files, for editors.
    package var json: String {
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
            + "\"title\":\"proxy configuration\",\(fragment(root))}\n"
    }

    /// What one key takes, without braces.
    private func fragment(_ keys: SchemaNode) -> String {
        let own = value(keys)
        let meaning = keys.declaration?.meaning ?? keys.shape?.meaning
        return meaning.map { "\"description\":\(jsonText($0)),\(own)" } ?? own
    }

    private func value(_ keys: SchemaNode) -> String {
        switch keys.kind {
        case .leaf: return leaf(keys.declaration!)
        case .group: return withShorthand(group(keys), keys)
        case .map:
            return withShorthand(
                "\"type\":\"object\",\"additionalProperties\":{\(fragment(keys.element!))}", keys)
        case .list:
            let element = fragment(keys.element!)
            let list = "\"type\":\"array\",\"items\":{\(element)}"
            return keys.takesOne ? "\"anyOf\":[{\(list)},{\(element)}]" : list
        }
    }

    private func leaf(_ declaration: Declaration) -> String {
        var text = declaration.typeSchema
        if case .text(let value) = declaration.fallback {
            let isBare =
                declaration.typeSchema.hasPrefix("\"type\":\"integer\"")
                || declaration.typeSchema.hasPrefix("\"type\":\"boolean\"")
                || declaration.typeSchema.hasPrefix("\"type\":\"number\"")
            text += ",\"default\":\(isBare ? value : jsonText(value))"
        }
        return text + ",\"examples\":[\(jsonText(declaration.example))]"
    }

    private func group(_ keys: SchemaNode) -> String {
        let properties = keys.names.map { "\(jsonText($0)):{\(fragment(keys.children[$0]!))}" }
        var text =
            "\"type\":\"object\",\"additionalProperties\":false,"
            + "\"properties\":{\(properties.joined(separator: ","))}"
        let required = keys.names.filter { keys.children[$0]!.isRequired }.map(jsonText)
        if !required.isEmpty { text += ",\"required\":[\(required.joined(separator: ","))]" }
        if let names = keys.shape?.oneOf, !names.isEmpty {
            let choices = names.map { "{\"required\":[\(jsonText($0))]}" }
            text += ",\"oneOf\":[\(choices.joined(separator: ","))]"
        }
        return text
    }

    private func withShorthand(_ long: String, _ keys: SchemaNode) -> String {
        switch keys.shape?.shorthand {
        case nil: long
        case .value(let name):
            "\"anyOf\":[{\(long)},{\(keys.children[name]!.declaration!.typeSchema)}]"
        case .name: "\"anyOf\":[{\(long)},{\"type\":\"string\"}]"
        }
    }
}
