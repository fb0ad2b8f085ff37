extension Schema {
    /// The configuration as YAML that reads back to the same values, in the order of the
    /// declarations.
    package func yaml(_ configuration: EffectiveConfiguration) -> String {
        var printer = YAMLPrinter()
        printer.print(configuration.values, root, indentation: 0)
        return printer.text
    }
}

private struct YAMLPrinter {
    var text = ""

    mutating func print(_ values: ConfigurationTree, _ keys: SchemaNode, indentation: Int) {
        for name in values.childNames {
            let child = values.child(name)!
            let key = keys.children[name] ?? keys.element!
            line(indentation, "\(yamlKey(name)):")
            printValue(child, key, indentation: indentation)
        }
    }

    /// What goes behind `name:`.
    private mutating func printValue(
        _ values: ConfigurationTree, _ keys: SchemaNode, indentation: Int
    ) {
        switch keys.kind {
        case .leaf: endLine(" \(yamlText(values.text ?? ""))")
        case .group, .map:
            endLine("")
            print(values, keys, indentation: indentation + 1)
        case .list:
            endLine("")
            for name in values.childNames {
                let element = values.child(name)!
                if let plain = element.text {
                    line(indentation + 1, "- \(yamlText(plain))")
                    endLine("")
                } else {
                    printElement(element, keys.element!, indentation: indentation + 1)
                }
            }
        }
    }

    /// A group as a list's element: its first key stands behind the dash.
    private mutating func printElement(
        _ values: ConfigurationTree, _ keys: SchemaNode, indentation: Int
    ) {
        var element = YAMLPrinter()
        element.print(values, keys, indentation: indentation + 1)
        let dash = String(repeating: "  ", count: indentation) + "- "
        text += dash + element.text.dropFirst(dash.count)
    }

    private mutating func line(_ indentation: Int, _ content: String) {
        text += String(repeating: "  ", count: indentation) + content
    }

    private mutating func endLine(_ rest: String) { text += rest + "\n" }
}

/// `text` as a YAML scalar that our reader takes back: plain where that is safe, else in double
/// quotes.
func yamlText(_ text: String) -> String {
    // `${` would be taken for a variable.
    yamlKey(text.replacingEach("${", with: "$${"))
}

/// The same for a key, in which no variables are filled in.
private func yamlKey(_ text: String) -> String {
    let isPlain =
        !text.isEmpty && text.utf8.first != UInt8(ascii: "-")
        && text.utf8.allSatisfy { byte in
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
                || (0x30...0x39).contains(byte) || "_./+-".utf8.contains(byte)
        }
    // `...` and `---` begin and end documents.
    if isPlain, text != "...", text != "." { return text }
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case let bare where isPrintable(bare): result.unicodeScalars.append(bare)
        default:
            let digits = String(scalar.value, radix: 16)
            let width = scalar.value > 0xffff ? 8 : 4
            result += width == 8 ? "\\U" : "\\u"
            result += String(repeating: "0", count: width - digits.count) + digits
        }
    }
    return result + "\""
}

/// What libyaml reads unescaped within double quotes without breaking the line.
private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20...0x7e, 0xa0...0x2027, 0x202a...0xd7ff, 0xe000...0xfefe, 0xff00...0xfffd,
        0x10000...0x10ffff:
        true
    default: false
    }
}

extension String {
    fileprivate func replacingEach(_ old: String, with new: String) -> String {
        let bytes = Array(utf8)
        let wanted = Array(old.utf8)
        var result: [UInt8] = []
        var place = 0
        while place < bytes.count {
            if bytes[place...].starts(with: wanted) {
                result += new.utf8
                place += wanted.count
            } else {
                result.append(bytes[place])
                place += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
