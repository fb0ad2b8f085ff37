public import Memory

/// Writes a finished request as one line: the access log's two formats, and the data of
/// `request_finished` and `request_started`. One vocabulary for all (contract section 5).
public struct RequestLine: Sendable {
    /// How an access log line is written.
    public enum Format: Sendable {
        /// One JSON object.
        case json
        /// The combined log format, then duration, endpoint and id.
        case combined
    }

    /// Bytes kept of each text, so that a line has a largest size. Methods and hosts are short by
    /// nature; `limits.target` is 8 KiB unless raised; the rest is the client's free text.
    public static let methodBytesMax = 64
    public static let hostBytesMax = 255
    public static let targetBytesMax = 8192
    public static let refererBytesMax = 2048
    public static let userAgentBytesMax = 1024
    /// Service and endpoint names: a label, and a host with its port.
    public static let nameBytesMax = 255

    /// The largest line in bytes, every byte of text escaped, and 1 KiB for keys and numbers.
    public static let lineBytesMax =
        ByteWriter.escapedBytesMax
        * (methodBytesMax + 2 * hostBytesMax + targetBytesMax + refererBytesMax
            + userAgentBytesMax + 2 * nameBytesMax) + 1024

    /// How many bytes of each text are kept.
    private struct Cuts {
        var method = methodBytesMax
        var host = hostBytesMax
        var target = targetBytesMax
        var referer = refererBytesMax
        var userAgent = userAgentBytesMax
        var name = nameBytesMax

        /// For a line that has to be shorter: the client's free text is halved so many times, at
        /// last all is cut, so that the line fits into `shortLineBytesMax` whatever the texts are.
        init(step: Int = 0) {
            guard step > 0 else { return }
            target >>= step
            referer >>= step
            userAgent >>= step
            guard step == RequestLine.stepsMax else { return }
            (method, host, name) = (32, 32, 32)
        }
    }

    /// How often a line is made shorter, at most.
    private static let stepsMax = 7
    /// What a line can always be cut to, in bytes.
    public static let shortLineBytesMax = 4096

    private var time = TimeText()
    private var cuts = Cuts()

    public init() {}

    /// Writes a line again that is longer than `limit` bytes, with its texts cut until it fits.
    ///
    /// - Parameters:
    ///   - start: where it begins; nothing is behind it.
    ///   - limit: `shortLineBytesMax` at least.
    @inline(never)
    mutating func shorten(
        _ format: Format, _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText,
        to writer: inout ByteWriter, from start: Int, toAtMost limit: Int
    ) {
        precondition(limit >= Self.shortLineBytesMax)
        var step = 0
        while writer.count - start > limit, step < Self.stepsMax {
            step += 1
            cuts = Cuts(step: step)
            writer.truncate(to: start)
            write(format, facts, result, text, to: &writer)
        }
        cuts = Cuts()
    }

    /// Writes a line of the access log, its line feed included.
    public mutating func write(
        _ format: Format, _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText,
        to writer: inout ByteWriter
    ) {
        switch format {
        case .json: writeJSON(facts, result, text, to: &writer)
        case .combined: writeCombined(facts, result, text, to: &writer)
        }
        writer.write(0x0A)
    }

    /// Writes the JSON object with all keys of contract section 5, in their order.
    public mutating func writeJSON(
        _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText,
        to writer: inout ByteWriter
    ) {
        writer.write("{\"time\":\"")
        time.writeRFC3339(facts.wall, to: &writer)
        writer.write("\",\"id\":\"")
        writeID(facts, text, to: &writer)
        writePeer(facts, text, to: &writer)
        writeTarget(facts, text, to: &writer)
        writer.write(",\"status\":")
        writer.write(decimal: UInt64(result.status))
        writer.write(",\"request_bytes\":")
        writer.write(decimal: result.requestBytes)
        writer.write(",\"response_bytes\":")
        writer.write(decimal: result.responseBytes)
        writer.write(",\"duration\":")
        writer.write(seconds: result.duration)
        writer.write(",\"queue\":")
        writer.write(secondsOrNull: result.queue)
        writer.write(",\"connect\":")
        writer.write(secondsOrNull: result.connect)
        writer.write(",\"first_byte\":")
        writer.write(secondsOrNull: result.firstByte)
        writer.write(",\"service\":")
        writer.writeJSON(textOrNull: text.service, cutAt: cuts.name)
        writer.write(",\"endpoint\":")
        writer.writeJSON(textOrNull: text.endpoint, cutAt: cuts.name)
        writer.write(",\"worker\":")
        writer.write(decimalOrNull: UInt64(result.worker))
        writer.write(",\"pid\":")
        writer.write(decimalOrNull: UInt64(result.pid))
        writer.write(",\"retries\":")
        writer.write(decimal: UInt64(result.retries))
        writeClient(facts, text, to: &writer)
        writer.write(",\"outcome\":\"")
        writer.write(result.outcome.word)
        if let failure = result.failure {
            writer.write("\",\"error\":\"")
            writer.write(failure.word)
            writer.write("\"}")
        } else {
            writer.write("\",\"error\":null}")
        }
    }

    /// Writes the data of `request_started`: the keys that are known by then, in the same order.
    public mutating func writeStarted(
        _ facts: RequestFacts, _ text: RequestText, to writer: inout ByteWriter
    ) {
        writer.write("{\"time\":\"")
        time.writeRFC3339(facts.wall, to: &writer)
        writer.write("\",\"id\":\"")
        writeID(facts, text, to: &writer)
        writePeer(facts, text, to: &writer)
        writeTarget(facts, text, to: &writer)
        writer.write(",\"service\":")
        writer.writeJSON(textOrNull: text.service, cutAt: cuts.name)
        writeClient(facts, text, to: &writer)
        writer.write(0x7D)
    }

    private func writeID(
        _ facts: RequestFacts, _ text: RequestText, to writer: inout ByteWriter
    ) {
        guard facts.idText.isEmpty else { return writer.write(text.part(facts.idText)) }
        facts.id.write(to: &writer)
    }

    private func writeRemote(
        _ facts: RequestFacts, _ text: RequestText, to writer: inout ByteWriter
    ) {
        guard facts.remoteText.isEmpty else { return writer.write(text.part(facts.remoteText)) }
        facts.remote.write(to: &writer)
    }

    private func writePeer(
        _ facts: RequestFacts, _ text: RequestText, to writer: inout ByteWriter
    ) {
        if facts.remote.family == .none {
            writer.write("\",\"remote\":null,\"remote_port\":null")
        } else {
            writer.write("\",\"remote\":\"")
            writeRemote(facts, text, to: &writer)
            writer.write("\",\"remote_port\":")
            writer.write(decimal: UInt64(facts.remotePort))
        }
        switch facts.scheme {
        case .unknown: writer.write(",\"scheme\":null")
        case .http: writer.write(",\"scheme\":\"http\"")
        case .https: writer.write(",\"scheme\":\"https\"")
        }
    }

    private func writeTarget(
        _ facts: RequestFacts, _ text: RequestText, to writer: inout ByteWriter
    ) {
        writer.write(",\"host\":")
        writer.writeJSON(textOrNull: text.part(facts.host), cutAt: cuts.host)
        writer.write(",\"method\":")
        writer.writeJSON(textOrNull: text.part(facts.method), cutAt: cuts.method)
        writer.write(",\"target\":")
        writer.writeJSON(textOrNull: text.part(facts.target), cutAt: cuts.target)
        if facts.version == .unknown {
            writer.write(",\"protocol\":null")
        } else {
            writer.write(",\"protocol\":\"")
            writer.write(facts.version.word)
            writer.write(0x22)
        }
    }

    private func writeClient(
        _ facts: RequestFacts, _ text: RequestText, to writer: inout ByteWriter
    ) {
        writer.write(",\"connection\":")
        writer.write(decimal: facts.connection)
        writer.write(",\"connection_requests\":")
        writer.write(decimalOrNull: UInt64(facts.connectionRequests))
        writer.write(",\"referer\":")
        writer.writeJSON(textOrNull: text.part(facts.referer), cutAt: cuts.referer)
        writer.write(",\"user_agent\":")
        writer.writeJSON(textOrNull: text.part(facts.userAgent), cutAt: cuts.userAgent)
        writer.write(",\"tls\":")
        facts.tls.writeJSON(sni: text.sni, to: &writer)
    }

    /// Writes `REMOTE - - [TIME] "METHOD TARGET PROTOCOL" STATUS BYTES "REFERER" "USER AGENT"
    /// DURATION ENDPOINT ID`; `-` for what is not known, `"-"` for a request line that could not be
    /// read.
    private mutating func writeCombined(
        _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText,
        to writer: inout ByteWriter
    ) {
        writeRemote(facts, text, to: &writer)
        writer.write(" - - [")
        time.writeCommon(facts.wall, to: &writer)
        writer.write("] \"")
        if facts.method.isEmpty {
            writer.write(0x2D)
        } else {
            writer.writeCommon(text.part(facts.method), cutAt: cuts.method)
            writer.write(0x20)
            writer.writeCommon(text.part(facts.target), cutAt: cuts.target)
            writer.write(0x20)
            writer.write(facts.version.word)
        }
        writer.write("\" ")
        writer.write(decimal: UInt64(result.status), digits: 3)
        writer.write(0x20)
        writer.write(decimal: result.responseBytes)
        writer.write(" \"")
        writer.writeCommon(text.part(facts.referer), cutAt: cuts.referer)
        writer.write("\" \"")
        writer.writeCommon(text.part(facts.userAgent), cutAt: cuts.userAgent)
        writer.write("\" ")
        writer.write(seconds: result.duration)
        writer.write(0x20)
        writer.writeCommon(text.endpoint, cutAt: cuts.name)
        writer.write(0x20)
        writeID(facts, text, to: &writer)
    }
}
