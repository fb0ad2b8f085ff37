public import Memory

extension ByteWriter {
    /// Writes the fields that go on to the next hop, in order.
    ///
    /// Neighbours that are plain lines are copied in one piece; others are written anew with one
    /// space and no blanks around the value.
    ///
    /// - Parameters:
    ///   - lead: where the fields begin, if what stands before them is written too, as it stands.
    ///   - dropped: known names that are left out.
    ///   - dropsUnderscores: leaves out names with `_`, which CGI-like servers cannot tell from
    ///     `-`.
    ///   - edits: names that are left out, whether set or removed; what is set is written by the
    ///     heads alone, with `FieldEdits.write`.
    mutating func write(
        fields: borrowing FieldTable, behind lead: Int = 0, from bytes: Span<UInt8>,
        dropping dropped: FieldNameSet, dropsUnderscores: Bool = false, edits: FieldEdits
    ) {
        var runStart = 0
        var runEnd = lead
        for index in 0..<fields.count {
            let field = fields[index]
            let isLeftOut =
                field.isHopByHop || dropped.contains(field.code) || edits.drops(field, in: bytes)
                || (dropsUnderscores && bytes.containsUnderscore(field.name))
            if !isLeftOut, field.isPlain, Int(field.name.start) == runEnd {
                runEnd = field.value.end + 2
                continue
            }
            if runEnd > runStart { write(bytes.extracting(runStart..<runEnd)) }
            runStart = 0
            runEnd = 0
            guard !isLeftOut else { continue }
            if field.isPlain {
                runStart = Int(field.name.start)
                runEnd = field.value.end + 2
            } else {
                write(field: field, from: bytes)
            }
        }
        if runEnd > runStart { write(bytes.extracting(runStart..<runEnd)) }
    }

    mutating func write(field: Field, from bytes: Span<UInt8>) {
        write(bytes.extracting(field.name))
        write(": ")
        write(bytes.extracting(field.value))
        write("\r\n")
    }

    /// Writes `NAME: VALUE` and CRLF.
    public mutating func write(field name: StaticString, _ value: Span<UInt8>) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    /// Writes the field that frames a body of known or unknown length; nothing for `none` and
    /// `untilClose`.
    mutating func write(framing: BodyFraming) {
        switch framing {
        case .length(let count):
            write("Content-Length: ")
            write(decimal: count)
            write("\r\n")
        case .chunked: write("Transfer-Encoding: chunked\r\n")
        case .none, .untilClose: break
        }
    }
}

extension Span<UInt8> {
    func containsUnderscore(_ range: ByteRange) -> Bool {
        for index in range.indices where self[index] == 0x5f { return true }
        return false
    }
}
