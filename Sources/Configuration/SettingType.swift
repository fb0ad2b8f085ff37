/// How the text of a value becomes a `Value`, and back.
///
/// One type serves the YAML reader, the lines that children read, `--print-config`, the JSON schema
/// and the manual.
package struct SettingType<Value: Sendable>: Sendable {
    /// For people, after "takes": `a duration such as 30s`.
    package var name: String
    /// A JSON schema fragment without braces: `"type":"integer","minimum":1`.
    package var schema: String
    /// Refuses with a complaint that names the cure.
    package var parse: @Sendable (String) throws(Complaint) -> Value
    /// The value's one canonical text; `parse` takes it back.
    package var text: @Sendable (Value) -> String
    /// Makes a relative path absolute, from the folder of the file; other values stay.
    package var absolute: @Sendable (_ text: String, _ folder: String) -> String

    package init(
        name: String, schema: String,
        parse: @escaping @Sendable (String) throws(Complaint) -> Value,
        text: @escaping @Sendable (Value) -> String,
        absolute: @escaping @Sendable (String, String) -> String = { text, _ in text }
    ) {
        self.name = name
        self.schema = schema
        self.parse = parse
        self.text = text
        self.absolute = absolute
    }

    /// The same for a setting that may be left out.
    package var optional: SettingType<Value?> {
        SettingType<Value?>(
            name: name, schema: schema,
            parse: { [parse] (text) throws(Complaint) in try parse(text) },
            text: { [text] in $0.map(text) ?? "" }, absolute: absolute)
    }

    /// The word `auto` (nil, to be decided by the master) or a value.
    package static func automatic<Wrapped: Sendable>(
        or type: SettingType<Wrapped>
    ) -> Self where Value == Wrapped? {
        Self(
            name: "auto or \(type.name)",
            schema: "\"anyOf\":[{\"const\":\"auto\"},{\(type.schema)}]",
            parse: { (text) throws(Complaint) in
                text == "auto" ? nil : try type.parse(text)
            },
            text: { $0.map(type.text) ?? "auto" }, absolute: type.absolute)
    }
}

extension SettingType<Bool> {
    /// Exactly `true` or `false`.
    package static var boolean: Self {
        Self(
            name: "true or false", schema: "\"type\":\"boolean\"",
            parse: { (text) throws(Complaint) in
                switch text {
                case "true": return true
                case "false": return false
                default: break
                }
                switch text.lowercased() {
                case "true", "yes", "on", "y", "1":
                    throw Complaint("\(quoted(text)) is no boolean; write true")
                case "false", "no", "off", "n", "0":
                    throw Complaint("\(quoted(text)) is no boolean; write false")
                default: throw Complaint("takes true or false, not \(quoted(text))")
                }
            },
            text: { $0 ? "true" : "false" })
    }
}

extension SettingType<Int> {
    /// A whole number in decimal digits.
    package static func integer(_ bounds: ClosedRange<Int>) -> Self {
        Self(
            name: "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)",
            schema: "\"type\":\"integer\",\"minimum\":\(bounds.lowerBound),"
                + "\"maximum\":\(bounds.upperBound)",
            parse: { (text) throws(Complaint) in
                guard isWholeNumber(text) else {
                    throw Complaint("takes a whole number, not \(quoted(text))")
                }
                guard let value = Int(text), bounds.contains(value) else {
                    throw Complaint(
                        "\(text) is out of bounds, "
                            + "from \(bounds.lowerBound) to \(bounds.upperBound)")
                }
                return value
            },
            text: { String($0) })
    }
}

extension SettingType<Double> {
    /// A number with or without decimals, never with an exponent.
    package static func decimal(_ bounds: ClosedRange<Double>) -> Self {
        Self(
            name: "a number from \(bounds.lowerBound) to \(bounds.upperBound)",
            schema: "\"type\":\"number\",\"minimum\":\(bounds.lowerBound),"
                + "\"maximum\":\(bounds.upperBound)",
            parse: { (text) throws(Complaint) in
                let parts = text.split(separator: ".", omittingEmptySubsequences: false)
                guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && isDigits($0) }),
                    text.utf8.count <= 20, let value = Double(text)
                else { throw Complaint("takes a number such as 0.2, not \(quoted(text))") }
                guard bounds.contains(value) else {
                    throw Complaint(
                        "\(text) is out of bounds, "
                            + "from \(bounds.lowerBound) to \(bounds.upperBound)")
                }
                return value
            },
            text: { String($0) })
    }
}

extension SettingType<String> {
    /// Any text of at most `countMax` bytes, the empty one only where `mayBeEmpty`.
    package static func text(
        _ name: String = "a text", countMax: Int = 4096, mayBeEmpty: Bool = false
    ) -> Self {
        .checkedText(name) { (text) throws(Complaint) in
            if text.isEmpty && !mayBeEmpty { throw Complaint("is empty; takes \(name)") }
            if text.utf8.count > countMax {
                throw Complaint("is longer than \(countMax) bytes")
            }
            if text.utf8.contains(0) { throw Complaint("holds a NUL character") }
        }
    }

    /// Text that `check` accepts by not complaining.
    package static func checkedText(
        _ name: String, check: @escaping @Sendable (String) throws(Complaint) -> Void
    ) -> Self {
        Self(
            name: name, schema: "\"type\":\"string\"",
            parse: { (text) throws(Complaint) in
                try check(text)
                return text
            },
            text: { $0 })
    }

    /// A path of a file or folder, relative to the folder of the configuration file.
    ///
    /// `words` are taken as they are, for example `stderr`.
    package static func path(_ name: String = "a path", words: [String] = []) -> Self {
        var type = text(
            words.isEmpty ? name : "\(words.joined(separator: ", ")) or \(name)")
        type.absolute = { text, folder in
            words.contains(text) ? text : absolutePath(text, in: folder)
        }
        return type
    }
}

extension SettingType where Value: CaseIterable & RawRepresentable<String> {
    /// One word of an enumeration.
    package static var choice: Self {
        let words = Value.allCases.map(\.rawValue)
        return Self(
            name: words.joined(separator: " | "),
            schema: "\"enum\":[\(words.map(jsonText).joined(separator: ","))]",
            parse: { (text) throws(Complaint) in
                if let value = Value(rawValue: text) { return value }
                throw Complaint(
                    "takes \(words.joined(separator: ", ")), not \(quoted(text))",
                    suggestion: nearestName(to: text, among: words))
            },
            text: { $0.rawValue })
    }
}

/// `text` in straight quotes, cut where it is long.
package func quoted(_ text: String) -> String {
    text.count > 60 ? "\"\(text.prefix(57))…\"" : "\"\(text)\""
}

func isDigits(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
}

private func isWholeNumber(_ text: String) -> Bool {
    isDigits(text.hasPrefix("-") ? text.dropFirst() : text[...])
}

/// `path` as an absolute path without `.`, `..` and doubled slashes, seen from `folder`.
package func absolutePath(_ path: String, in folder: String) -> String {
    var parts: [Substring] = []
    let whole = path.hasPrefix("/") ? path : "\(folder)/\(path)"
    for part in whole.split(separator: "/") where part != "." {
        if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
}
