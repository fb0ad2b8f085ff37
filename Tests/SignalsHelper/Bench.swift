import Board
import CLinux
import Linux
import Memory
import Signals

/// Prints nanoseconds of CPU for each thing that the data path does with this room, the best of
/// several runs.
func bench() {
    let sample = BenchRequest()
    var scratch = ByteScratch(capacity: 1 << 20)
    var line = RequestLine()
    for (name, format) in [
        ("access line, JSON", RequestLine.Format.json), ("access line, combined", .combined),
    ] {
        measure(name) { _ in
            if scratch.writer.capacity - scratch.writer.count < RequestLine.lineBytesMax {
                scratch.removeAll()
            }
            line.write(format, sample.facts, sample.result, sample.text, to: &scratch.writer)
        }
    }
    var buffer = AccessLogBuffer(format: .json)
    measure("access line into its buffer, taken at 64 KiB") { _ in
        buffer.add(sample.facts, sample.result, sample.text, now: 1)
        let count = buffer.bytesToWrite.count
        if buffer.isDue(now: 1) { buffer.wrote(count, now: 1) }
    }
    var ids = RequestIDGenerator(seed: (1, 2))
    measure("request id, made and written") { step in
        scratch.removeAll()
        ids.next(wall: UInt64(step) * 20_000).write(to: &scratch.writer)
    }
    measureSignals(sample)
    measureHost(sample)
}

private func measureSignals(_ sample: borrowing BenchRequest) {
    do {
        let made = try Table.create(
            TableLayout(services: 2, endpoints: 4, edgeSlots: 2, requestsPerEdge: 64))
        let rings = try SignalRings.create(edgeSlots: 2, records: 1024).rings
        let edge = try made.table.openEdge(number: 0, configuration: 1)
        var ledger = RequestLedger(made.table, edge: edge)
        var writer = SignalWriter(rings, ring: edge.slot)
        for (name, heard) in [
            ("request's three signals, nobody listens", SignalSet()),
            ("request's finished, heard", SignalSet(.requestFinished)),
            ("request's started, finished, tearing down, heard", .all),
        ] {
            rings.setListened(heard.rawValue)
            measure(name) { _ in
                let entry = writer.start(
                    sample.facts, sample.text, service: 0, now: 1, in: &ledger)
                writer.finish(
                    entry!, sample.facts, sample.result, sample.text, wall: 2, in: &ledger)
            }
        }
        let connection = ConnectionFacts(connection: 1, remote: sample.facts.remote, remotePort: 1)
        measure("connection opened, heard") { _ in
            writer.connectionOpened(connection, listener: "https://*:443".utf8.span, wall: 1)
        }
    } catch { fatalError("\(error)") }
}

/// What a host does with a record; not the data path.
private func measureHost(_ sample: borrowing BenchRequest) {
    do {
        let rings = try SignalRings.create(edgeSlots: 1, records: 4).rings
        rings.setListened(SignalSet.all.rawValue)
        let layout = TableLayout(services: 2, endpoints: 4, edgeSlots: 1, requestsPerEdge: 64)
        let table = try Table.create(layout).table
        let edge = try table.openEdge(number: 0, configuration: 1)
        var ledger = RequestLedger(table, edge: edge)
        var writer = SignalWriter(rings, ring: 0)
        let entry = writer.start(sample.facts, sample.text, service: 0, now: 1, in: &ledger)
        var reader = rings.reader(of: 0)
        writer.finish(entry!, sample.facts, sample.result, sample.text, wall: 2, in: &ledger)
        var record = [UInt8](repeating: 0, count: SignalRings.payloadMax)
        var target = record.mutableSpan
        guard case .record(let count, _) = reader.next(into: &target) else { return }
        var line = SignalLine()
        var scratch = ByteScratch(capacity: SignalLine.bytesMax)
        measure("host: record to plug-in line") { _ in
            scratch.removeAll()
            _ = line.write(record.span.extracting(0..<count), to: &scratch.writer)
        }
        guard let parts = line.write(record.span.extracting(0..<count), to: &scratch.writer) else {
            return
        }
        let filter = try EventFilter("status >= 500 and service == 'web'")
        measure("host: filter of one comparison that fails") { _ in
            _ = filter.accepts(scratch.bytes.extracting(parts.data.indices))
        }
    } catch { fatalError("\(error)") }
}

/// Calls `body` many times and prints the nanoseconds of one call.
private func measure(_ name: String, _ body: (Int) -> Void) {
    let calls = 200_000
    var best = UInt64.max
    for _ in 0..<7 {
        let start = processorTime
        for step in 0..<calls { body(step) }
        best = min(best, processorTime - start)
    }
    print("\(name): \(best / UInt64(calls)) ns")
}

/// Nanoseconds of CPU that this thread has used, so that a busy machine matters little.
private var processorTime: UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// A request as a browser sends it.
private struct BenchRequest: ~Copyable {
    var facts: RequestFacts
    var result = RequestResult()
    private var head = Array("GET/catalogue/items?page=3&sort=pricewww.shop.example".utf8)
    private let service = Array("web".utf8)
    private let endpoint = Array("web/3".utf8)

    init() {
        facts = RequestFacts(
            id: RequestID(high: 0x0123_4567_89AB_CDEF, low: 42), wall: 1_795_334_401_237_456_789,
            remote: PeerAddress(ipv4: 0x7F00_0001), remotePort: 51234, scheme: .https,
            version: .http11,
            tls: TLSFacts(
                version: 0x0304, cipher: 0x1301, group: 29, isResumed: false, alpn: .http1),
            connection: 17, connectionRequests: 3)
        result.status = 200
        result.responseBytes = 1234
        result.duration = 1_234_567
        result.queue = 999
        result.firstByte = 1_000_001
        result.worker = 3
        result.pid = 812
        facts.method = ByteRange(start: 0, count: 3)
        facts.target = ByteRange(start: 3, count: 34)
        facts.host = ByteRange(start: 37, count: 16)
        let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
        facts.userAgent = ByteRange(start: head.count, count: agent.utf8.count)
        head += agent.utf8
    }

    var text: RequestText {
        @_lifetime(borrow self)
        get {
            RequestText(
                head: head.span, service: service.span, endpoint: endpoint.span,
                sni: head.span.extracting(37..<53))
        }
    }
}
