public import Memory

/// Turns records of a ring into plug-in lines (contract section 6), one after the other.
public struct SignalLine: Sendable {
    /// The longest line in bytes: every byte of the record's texts escaped, and 2 KiB for keys and
    /// numbers.
    public static let bytesMax = ByteWriter.escapedBytesMax * SignalRecord.bytesMax + 2048

    private var request = RequestLine()
    private var time = TimeText()

    public init() {}

    /// Where the parts of a line are that the caller still needs.
    public struct Parts: Equatable, Sendable {
        public let signal: Signal
        /// The value of `data` within the line, for filters.
        public let data: ByteRange
    }

    /// Writes `,"time":…,"id":…,"sender":…,"data":{…}}` and a line feed: what follows the sequence
    /// number, which differs from plug-in to plug-in.
    ///
    /// - Parameter slot: a record, maybe followed by bytes that do not count.
    /// - Returns: which signal it is; nil, and nothing written, when the bytes are no record.
    public mutating func write(
        _ slot: Span<UInt8>, to writer: inout ByteWriter
    ) -> Parts? {
        guard let record = SignalRecord(slot) else { return nil }
        writer.write(",\"time\":\"")
        time.writeRFC3339(record.wall, to: &writer)
        if record.id == .none {
            writer.write("\",\"sender\":")
        } else {
            writer.write("\",\"id\":\"")
            record.id.write(to: &writer)
            writer.write("\",\"sender\":")
        }
        let sender = record.text(0)
        writer.writeJSON(sender.isEmpty ? ("-" as StaticString).bytes : sender)
        writer.write(",\"data\":")
        let start = writer.count
        writeData(of: record, to: &writer)
        let data = ByteRange(start: start, count: writer.count - start)
        writer.write("}\n")
        return Parts(signal: record.signal, data: data)
    }

    /// Writes `{"v":1,"event":"NAME","seq":`; the number and what `write` wrote follow.
    public static func writeHead(_ signal: Signal, to writer: inout ByteWriter) {
        writer.write("{\"v\":1,\"event\":\"")
        writer.write(signal.name)
        writer.write("\",\"seq\":")
    }

    /// As `write`, for the signals that a plug-in host raises itself: `plugin_dropped` and
    /// `plugin_failed`.
    package mutating func writePlugin(
        _ signal: Signal, named name: String, count: UInt64, reason: String, wall: UInt64,
        to writer: inout ByteWriter
    ) -> Parts? {
        var record = ByteScratch(capacity: SignalRecord.bytesMax)
        record.writer.writeNote(
            signal, number: count, note: reason.utf8.span, sender: name.utf8.span, wall: wall)
        return write(record.bytes, to: &writer)
    }

    private mutating func writeData(of record: borrowing SignalRecord, to writer: inout ByteWriter)
    {
        switch record.signal {
        case .requestStarted:
            request.writeStarted(record.requestFacts, record.requestText, to: &writer)
        case .requestFinished:
            request.writeJSON(
                record.requestFacts, record.requestResult, record.requestText, to: &writer)
        case .requestException: writeException(record, to: &writer)
        case .requestTearingDown:
            writer.write("{\"outcome\":\"")
            writer.write((Outcome(rawValue: record.byte(0)) ?? .proxyError).word)
            writer.write("\"}")
        case .connectionOpened:
            writeConnection(record, to: &writer)
            writer.write(0x7D)
        case .connectionClosed: writeClosed(record, to: &writer)
        case .tlsHandshakeFinished, .tlsHandshakeFailed: writeHandshake(record, to: &writer)
        case .workerStarted, .workerReady, .workerExited: writeWorker(record, to: &writer)
        case .upstreamUp, .upstreamDown:
            writer.write("{\"endpoint\":")
            writer.writeJSON(textOrNull: record.text(1))
            writer.write(",\"reason\":\"")
            writer.write((HealthChange(rawValue: record.byte(0)) ?? .failures).word)
            writer.write("\"}")
        case .configReloaded, .configRejected:
            writer.write("{\"generation\":")
            writer.write(decimal: record.number(0))
            writer.write(
                record.signal == .configReloaded ? ",\"differences\":" : ",\"diagnostics\":")
            writer.writeJSON(textOrNull: record.text(1))
            writer.write(0x7D)
        case .pluginDropped, .pluginFailed:
            writer.write("{\"count\":")
            writer.write(decimal: record.number(0))
            writer.write(",\"reason\":")
            writer.writeJSON(textOrNull: record.text(1))
            writer.write(0x7D)
        }
    }

    private func writeException(_ record: borrowing SignalRecord, to writer: inout ByteWriter) {
        writer.write("{\"origin\":\"")
        writer.write((Origin(rawValue: record.byte(0)) ?? .proxy).word)
        writer.write("\",\"error\":")
        if let failure = Failure(rawValue: UInt8(truncatingIfNeeded: record.number(0) >> 8)) {
            writer.writeJSON(failure.word.bytes)
        } else {
            writer.write("null")
        }
        writer.write(",\"type\":")
        writer.writeJSON(textOrNull: record.text(2))
        writer.write(",\"message\":")
        writer.writeJSON(textOrNull: record.text(3))
        writer.write(",\"traceback\":")
        writer.writeJSON(textOrNull: record.text(4))
        writer.write(",\"endpoint\":")
        writer.writeJSON(textOrNull: record.text(1))
        writer.write(",\"worker\":")
        writer.write(decimalOrNull: record.number(1) & 0xFFFF_FFFF)
        writer.write(",\"pid\":")
        writer.write(decimalOrNull: record.number(1) >> 32)
        writer.write(0x7D)
    }

    /// `{"connection":…,"remote":…,"remote_port":…`, to be carried on.
    private func writeConnection(_ record: borrowing SignalRecord, to writer: inout ByteWriter) {
        let facts = record.connectionFacts
        writer.write("{\"connection\":")
        writer.write(decimal: facts.connection)
        if facts.remote.family == .none {
            writer.write(",\"remote\":null,\"remote_port\":null")
        } else {
            writer.write(",\"remote\":\"")
            facts.remote.write(to: &writer)
            writer.write("\",\"remote_port\":")
            writer.write(decimal: UInt64(facts.remotePort))
        }
    }

    private func writeClosed(_ record: borrowing SignalRecord, to writer: inout ByteWriter) {
        writeConnection(record, to: &writer)
        writer.write(",\"requests\":")
        writer.write(decimal: record.number(4))
        writer.write(",\"received_bytes\":")
        writer.write(decimal: record.number(5))
        writer.write(",\"sent_bytes\":")
        writer.write(decimal: record.number(6))
        writer.write(",\"duration\":")
        writer.write(seconds: record.number(7))
        writer.write(",\"reason\":\"")
        writer.write((ConnectionEnd(rawValue: record.byte(8)) ?? .reset).word)
        writer.write("\"}")
    }

    private func writeHandshake(_ record: borrowing SignalRecord, to writer: inout ByteWriter) {
        writeConnection(record, to: &writer)
        writer.write(",\"duration\":")
        writer.write(seconds: record.number(4))
        if record.signal == .tlsHandshakeFinished {
            writer.write(",")
            TLSFacts(packed: record.number(5)).writeMembers(sni: record.text(1), to: &writer)
        } else {
            let failure = HandshakeFailure(rawValue: record.byte(5)) ?? .internalError
            writer.write(",\"reason\":\"")
            writer.write(failure.word)
            writer.write("\",\"alert\":")
            writer.write(decimalOrNull: record.number(5) >> 8 & 255)
            writer.write(",\"sni\":")
            writer.writeJSON(textOrNull: record.text(1))
        }
        writer.write(0x7D)
    }

    private func writeWorker(_ record: borrowing SignalRecord, to writer: inout ByteWriter) {
        writer.write("{\"worker\":")
        writer.write(decimalOrNull: record.number(0) & 0xFFFF_FFFF)
        writer.write(",\"pid\":")
        writer.write(decimalOrNull: record.number(0) >> 32)
        switch record.signal {
        case .workerReady:
            writer.write(",\"seconds\":")
            writer.write(seconds: record.number(1))
        case .workerExited:
            writer.write(",\"seconds\":")
            writer.write(seconds: record.number(1))
            writer.write(",\"reason\":\"")
            writer.write((WorkerEnd(rawValue: record.byte(2)) ?? .exit).word)
            writer.write("\",\"status\":")
            writer.write(decimal: record.number(2) >> 8 & 0xFFFF)
        default: break
        }
        writer.write(0x7D)
    }
}

extension SignalRecord {
    /// The lowest byte of a number: where an enum lies.
    func byte(_ index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: number(index))
    }
}
