import Configuration
import HTTP

/// What header names and values a configuration may set or remove.
enum FieldRule {
    /// A token of RFC 9110, section 5.6.2, of at most 256 bytes.
    static func isToken(_ text: String) -> Bool {
        (1...256).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
                    || (0x30...0x39).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }

    /// Complains of what is no field name.
    static func checkName(_ text: String) throws(Complaint) {
        guard isToken(text) else { throw Complaint("\(quoted(text)) is no header name") }
    }

    /// Complains of what is no field name, or one that only the proxy itself may set.
    static func checkOwnName(_ text: String) throws(Complaint) {
        try checkName(text)
        if FieldEdits.reserves(Array(text.utf8).span) {
            throw Complaint("\(text) is the proxy's own; no route sets or removes it")
        }
    }

    /// Complains of line breaks and controls, and of blanks at the ends (RFC 9110, section 5.5).
    static func checkValue(_ text: String) throws(Complaint) {
        guard text.utf8.count <= 8192 else { throw Complaint("is longer than 8192 bytes") }
        guard text.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }) else {
            throw Complaint("\(quoted(text)): a header value has no line breaks or controls")
        }
        if text.first.map({ " \t".contains($0) }) == true
            || text.last.map({ " \t".contains($0) }) == true
        {
            throw Complaint("\(quoted(text)): a header value has no blanks at its ends")
        }
    }
}

extension SettingType<String> {
    static var fieldName: Self { .checkedText("a header name", check: FieldRule.checkOwnName) }
    static var fieldValue: Self { .checkedText("a header value", check: FieldRule.checkValue) }
}
