import Memory

/// Reads field lines up to the empty line that ends them (RFC 9112 section 5), for heads and
/// trailers alike.
///
/// Lines end in CR LF and nothing else; there is no folding; names are tokens that touch their
/// colon; values hold no controls. It stops where the bytes stop and goes on there with a longer
/// span of the same bytes.
struct FieldSection {
    enum Step {
        case incomplete
        /// A field was appended to the table. Padding: more blanks stand around its value than the
        /// usual one space.
        case field(Field, hasPadding: Bool)
        /// The empty line was read; `position` is behind it.
        case end
        case faulty(FieldFault)
    }

    private enum Phase: UInt8 { case lineStart, name, blank, value, lineEnd, sectionEnd }

    private var offset: UInt32
    private var nameStart: UInt32 = 0
    private var nameEnd: UInt32 = 0
    private var valueStart: UInt32 = 0
    private var tail: UInt64 = 0
    private var fieldCount: UInt32 = 0
    private var phase = Phase.lineStart

    init(at position: Int) { offset = UInt32(position) }

    /// The first byte that has not been read.
    var position: Int { Int(offset) }

    /// Reads up to the end of one field line.
    ///
    /// - Parameters:
    ///   - end: bytes from here on are not looked at.
    ///   - countMax: the most fields allowed; not more than the table's capacity.
    @inline(__always)
    mutating func next(
        _ bytes: Span<UInt8>, end: Int, countMax: Int, into table: inout FieldTable
    ) -> Step {
        if let field = readUsualLine(bytes, end, countMax, &table) {
            return .field(field, hasPadding: false)
        }
        if readEmptyLine(bytes, end) { return .end }
        return readByPhase(bytes, end, countMax, &table)
    }

    /// Reads any line, from wherever the last call stopped.
    private mutating func readByPhase(
        _ bytes: Span<UInt8>, _ end: Int, _ countMax: Int, _ table: inout FieldTable
    ) -> Step {
        while position < end {
            let byte = bytes[position]
            let fault: FieldFault?
            switch phase {
            case .lineStart: fault = beginLine(byte, isFull: Int(fieldCount) >= countMax)
            case .name: fault = readName(bytes, end)
            case .blank: fault = skipBlanks(bytes, end)
            case .value: fault = readValue(bytes, end)
            case .lineEnd:
                guard byte == Characters.lineFeed else { return .faulty(.bareCarriageReturn) }
                offset += 1
                fieldCount += 1
                phase = .lineStart
                return append(from: bytes, to: &table)
            case .sectionEnd:
                guard byte == Characters.lineFeed else { return .faulty(.bareCarriageReturn) }
                offset += 1
                return .end
            }
            if let fault { return .faulty(fault) }
        }
        return .incomplete
    }

    /// Takes a line that is here whole and reads `name: value` with one space; anything else is
    /// left to the phases.
    @inline(__always)
    private mutating func readUsualLine(
        _ bytes: Span<UInt8>, _ end: Int, _ countMax: Int, _ table: inout FieldTable
    ) -> Field? {
        guard phase == .lineStart, Int(fieldCount) < countMax else { return nil }
        let start = position
        guard start >= 8, start < end,
            let line = Characters.usualLine(bytes, from: start, to: end), line.colon > start
        else { return nil }
        let name = ByteRange(start: start, count: line.colon &- start)
        let value = ByteRange(start: line.colon &+ 2, count: line.stop &- line.colon &- 2)
        let code = FieldName.recognised(name, lastBytes: line.beforeColon, in: bytes)
        guard code != .other || bytes.isToken(name) else { return nil }
        let field = Field(
            name: name, value: value, code: code,
            isHopByHop: FieldNameSet.hopByHop.contains(code), isPlain: true)
        table.append(field)
        offset = UInt32(truncatingIfNeeded: line.stop &+ 2)
        fieldCount &+= 1
        return field
    }

    /// Takes the empty line if it is here whole.
    @inline(__always)
    private mutating func readEmptyLine(_ bytes: Span<UInt8>, _ end: Int) -> Bool {
        guard phase == .lineStart, position + 1 < end,
            bytes[position] == Characters.carriageReturn,
            bytes[position + 1] == Characters.lineFeed
        else { return false }
        offset += 2
        phase = .sectionEnd
        return true
    }

    @inline(__always)
    private mutating func beginLine(_ byte: UInt8, isFull: Bool) -> FieldFault? {
        switch byte {
        case Characters.carriageReturn:
            offset += 1
            phase = .sectionEnd
            return nil
        case Characters.lineFeed: return .bareLineFeed
        case Characters.space, Characters.tab: return .foldedLine
        case Characters.colon: return .emptyName
        default:
            guard !isFull else { return .tooManyFields }
            nameStart = offset
            tail = 0
            phase = .name
            return nil
        }
    }

    @inline(__always)
    private mutating func readName(_ bytes: Span<UInt8>, _ end: Int) -> FieldFault? {
        var position = self.position
        var tail = self.tail
        while position < end {
            let small = Characters.token[Int(bytes[position])]
            guard small != 0 else { break }
            tail = tail << 8 | UInt64(small)
            position &+= 1
        }
        self.offset = UInt32(truncatingIfNeeded: position)
        self.tail = tail
        guard position < end else { return nil }
        switch bytes[position] {
        case Characters.colon:
            nameEnd = offset
            offset += 1
            phase = .blank
            return nil
        case Characters.space, Characters.tab: return .blankBeforeColon
        case Characters.carriageReturn: return .lineWithoutColon
        case Characters.lineFeed: return .bareLineFeed
        default: return .oddName
        }
    }

    @inline(__always)
    private mutating func skipBlanks(_ bytes: Span<UInt8>, _ end: Int) -> FieldFault? {
        var position = self.position
        while position < end, Characters.isBlank(bytes[position]) { position &+= 1 }
        offset = UInt32(truncatingIfNeeded: position)
        guard position < end else { return nil }
        valueStart = offset
        phase = .value
        return nil
    }

    @inline(__always)
    private mutating func readValue(_ bytes: Span<UInt8>, _ end: Int) -> FieldFault? {
        let position = Characters.endOfValue(bytes, from: position, to: end)
        offset = UInt32(truncatingIfNeeded: position)
        guard position < end else { return nil }
        let byte = bytes[position]
        guard byte == Characters.carriageReturn else {
            return byte == Characters.lineFeed ? .bareLineFeed : .controlInValue
        }
        offset += 1
        phase = .lineEnd
        return nil
    }

    /// Appends the field whose line was read. Its padding is more than one space before the value,
    /// a tab, or anything behind it.
    private func append(from bytes: Span<UInt8>, to table: inout FieldTable) -> Step {
        let start = Int(valueStart)
        let lineEnd = position - 2
        var end = lineEnd
        while end > start, Characters.isBlank(bytes[end - 1]) { end -= 1 }
        let name = ByteRange(start: Int(nameStart), count: Int(nameEnd - nameStart))
        let code = FieldName.recognised(tail: tail, name: name, in: bytes)
        let blanks = start - name.end - 1
        let hasOneSpace = blanks == 1 && bytes[start - 1] == Characters.space
        let field = Field(
            name: name, value: ByteRange(start: start, count: end - start), code: code,
            isHopByHop: FieldNameSet.hopByHop.contains(code),
            isPlain: hasOneSpace && end == lineEnd)
        table.append(field)
        let hasPadding = !((hasOneSpace || blanks == 0) && end == lineEnd)
        return .field(field, hasPadding: hasPadding)
    }
}

extension FieldNameSet {
    /// Names that speak to the next hop alone (RFC 9110 section 7.6.1), this proxy's internal ones,
    /// and `Proxy`, which CGI-like servers turn into the environment's HTTP_PROXY (CVE-2016-5385).
    static var hopByHop: FieldNameSet {
        FieldNameSet(
            bits:
                bit(.connection) | bit(.keepAlive) | bit(.proxyConnection) | bit(.te)
                | bit(.transferEncoding) | bit(.upgrade) | bit(.proxyAuthorization)
                | bit(.proxyAuthenticate) | bit(.proxyPeer) | bit(.proxyException)
                | bit(.http2Settings) | bit(.proxy))
    }

    @inline(__always)
    static func bit(_ name: FieldName) -> UInt64 { 1 << UInt64(name.rawValue) }
}
