/// Where something stands in a configuration file; both count from 1, columns in Unicode scalars.
package struct SourcePosition: Equatable, Hashable, Sendable, Comparable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static func < (one: SourcePosition, other: SourcePosition) -> Bool {
        (one.line, one.column) < (other.line, other.column)
    }
}

/// One thing that is wrong, or odd, in a configuration.
package struct Diagnostic: Equatable, Sendable {
    package enum Severity: String, Sendable { case error, warning }

    /// The file as the user named it, or `command line`.
    package var file: String
    /// Nil where the finding belongs to no place in the file.
    package var position: SourcePosition?
    package var severity: Severity
    /// The key in question, `services.demo.workers`; empty where it is the file as a whole.
    package var key: String
    /// What is wrong and how it is mended, one line.
    package var message: String
    /// What to write instead, where that is known.
    package var suggestion: String?
    /// The configuration is good, and the machine refuses it for want of a right.
    package var isPermission = false

    package init(
        file: String, position: SourcePosition?, severity: Severity = .error, key: String = "",
        message: String, suggestion: String? = nil
    ) {
        self.file = file
        self.position = position
        self.severity = severity
        self.key = key
        self.message = message
        self.suggestion = suggestion
    }
}

extension Diagnostic: CustomStringConvertible {
    /// `demo.yaml:3:5: error: services.demo.worker: unknown key; did you mean workers?`
    package var description: String {
        var text = file
        if let position { text += ":\(position.line):\(position.column)" }
        text += ": \(severity.rawValue): "
        if !key.isEmpty { text += "\(key): " }
        text += message
        if let suggestion { text += "; did you mean \(suggestion)?" }
        return text.singleLine
    }

    /// One object: `{"file","line","column","severity","key","message","suggestion"}`.
    package var json: String {
        let line = position.map { String($0.line) } ?? "null"
        let column = position.map { String($0.column) } ?? "null"
        return "{\"file\":\(jsonText(file)),\"line\":\(line),\"column\":\(column),"
            + "\"severity\":\"\(severity.rawValue)\",\"key\":\(jsonText(key)),"
            + "\"message\":\(jsonText(message)),"
            + "\"suggestion\":\(suggestion.map(jsonText) ?? "null")}"
    }
}

extension [Diagnostic] {
    package var errorCount: Int { count { $0.severity == .error } }
    /// All errors there are, and some are, come of missing rights.
    package var lacksOnlyRights: Bool {
        hasErrors && allSatisfy { $0.isPermission || $0.severity == .warning }
    }
    package var hasErrors: Bool { contains { $0.severity == .error } }

    /// In the order of the file; what has no place comes last.
    package func inOrder() -> [Diagnostic] {
        let end = SourcePosition(line: .max, column: .max)
        return enumerated().sorted { one, other in
            (one.element.position ?? end, one.offset) < (
                other.element.position ?? end, other.offset
            )
        }.map(\.element)
    }

    /// One a line, and after errors their number: `2 errors`.
    package var report: String {
        var text = map { "\($0)\n" }.joined()
        if errorCount > 0 { text += errorCount == 1 ? "1 error\n" : "\(errorCount) errors\n" }
        return text
    }

    /// The JSON list of all.
    package var json: String { "[" + map(\.json).joined(separator: ",\n ") + "]" }
}

/// `text` as a JSON string with its quotes (RFC 8259, section 7).
package func jsonText(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case let control where control.value < 0x20 || control.value == 0x7f:
            let digits = String(control.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

extension String {
    /// The text with control characters written as escapes, so that it stays on its line.
    fileprivate var singleLine: String {
        guard unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
            return self
        }
        return String(jsonText(self).dropFirst().dropLast())
            .split(separator: "\\\"", omittingEmptySubsequences: false).joined(separator: "\"")
    }
}
