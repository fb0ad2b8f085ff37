import Memory
import Testing

@testable import Signals

@Suite struct SignalTests {
    @Test(arguments: Signal.allCases)
    func `every signal is found by its name, with underscores and with dashes`(signal: Signal) {
        let name = signal.name.description
        #expect(Signal(named: name) == signal)
        #expect(Signal(named: String(name.map { $0 == "_" ? "-" : $0 })) == signal)
    }

    @Test(arguments: ["got_request_exception", "got-request-exception"])
    func `Flask's and Django's name is an alias`(name: String) {
        #expect(Signal(named: name) == .requestException)
    }

    @Test(arguments: ["", "request", "Request_Started", "request_started "])
    func `other names are none`(name: String) {
        #expect(Signal(named: name) == nil)
    }

    @Test func `a set holds what it was made of`() {
        let set: SignalSet = [SignalSet(.requestStarted), SignalSet(.pluginFailed)]
        for signal in Signal.allCases {
            #expect(set.contains(signal) == [.requestStarted, .pluginFailed].contains(signal))
            #expect(SignalSet.all.contains(signal))
        }
    }
}

@Suite struct SignalLineTests {
    /// The whole line that a plug-in gets for a record; nil for none.
    static func line(_ record: [UInt8]) -> String? {
        var line = SignalLine()
        var scratch = ByteScratch(capacity: SignalLine.bytesMax)
        guard let parts = line.write(record.span, to: &scratch.writer) else { return nil }
        #expect(scratch.writer.isOverfull == false)
        let head = text {
            SignalLine.writeHead(parts.signal, to: &$0)
            $0.write(decimal: 80123)
        }
        return head + String(decoding: array(scratch.bytes), as: UTF8.self)
    }

    @Test func `the envelope is that of the contract, and data the log line`() throws {
        let sample = SampleRequest()
        let log = sample.line(.json).dropLast()
        #expect(
            Self.line(sample.finishedRecord()) == """
                {"v":1,"event":"request_finished","seq":80123,"time":"2026-11-22T08:00:01.242Z",\
                "id":"01JD0000000000000000000001","sender":"web","data":\(log)}

                """)
    }

    @Test func `started carries what is known by then`() throws {
        let sample = SampleRequest()
        let record = written { writer in
            sample.withText { writer.writeStarted(sample.facts, $0, wall: SampleRequest.wall) }
        }
        let line = try object(Self.line(record) ?? "")
        let data = line["data"] as? [String: Any] ?? [:]
        #expect(line["event"] as? String == "request_started")
        #expect(data["method"] as? String == "GET")
        #expect(data["remote"] as? String == "127.0.0.1")
        #expect((data["tls"] as? [String: Any])?["sni"] as? String == "shop.example")
        #expect(data["status"] == nil)
        let log = try object(sample.line(.json))
        #expect(Set(data.keys).isSubset(of: Set(log.keys)))
    }

    static let nothing: [UInt8] = []
    static let connection = ConnectionFacts(
        connection: 9, remote: PeerAddress(ipv4: 0x0A00_0001), remotePort: 4711)

    /// A record of every signal but the two above, and the data a plug-in gets.
    static let records: [(Signal, [UInt8], String)] = [
        (
            .requestException,
            exception(
                service: Array("web".utf8), endpoint: Array("web/3".utf8),
                type: Array("ValueError".utf8), message: Array("bad\nvalue".utf8),
                traceback: Array("Traceback…\n  x".utf8)),
            #"{"origin":"app","error":null,"type":"ValueError","message":"bad\nvalue","#
                + #""traceback":"Traceback…\n  x","endpoint":"web/3","worker":3,"pid":812}"#
        ),
        (
            .requestTearingDown,
            written {
                $0.writeTearingDown(.none, .clientClosed, service: Array("web".utf8).span, wall: 0)
            }, #"{"outcome":"client_closed"}"#
        ),
        (
            .connectionOpened,
            written { $0.writeOpened(connection, listener: Array("web".utf8).span, wall: 0) },
            #"{"connection":9,"remote":"10.0.0.1","remote_port":4711}"#
        ),
        (
            .connectionClosed,
            written {
                $0.writeClosed(
                    connection,
                    ConnectionResult(
                        requests: 5, receivedBytes: 100, sentBytes: 200, duration: 1_500_000_000,
                        reason: .idle), listener: Array("web".utf8).span, wall: 0)
            },
            #"{"connection":9,"remote":"10.0.0.1","remote_port":4711,"requests":5,"#
                + #""received_bytes":100,"sent_bytes":200,"duration":1.500000,"reason":"idle"}"#
        ),
        (
            .tlsHandshakeFinished,
            written {
                $0.writeHandshake(
                    connection,
                    TLSFacts(
                        version: 0x303, cipher: 0xC02F, group: 23, isResumed: true, alpn: .http2),
                    duration: 2000, sni: Array("a.b".utf8).span, listener: Array("web".utf8).span,
                    wall: 0)
            },
            #"{"connection":9,"remote":"10.0.0.1","remote_port":4711,"duration":0.000002,"#
                + #""version":"TLSv1.2","cipher":"ECDHE-RSA-AES128-GCM-SHA256","group":"P-256","#
                + #""resumed":true,"sni":"a.b","alpn":"h2"}"#
        ),
        (
            .tlsHandshakeFailed,
            written {
                $0.writeHandshake(
                    connection, failed: .alert, alert: 48, duration: 2000, sni: nothing.span,
                    listener: Array("web".utf8).span, wall: 0)
            },
            #"{"connection":9,"remote":"10.0.0.1","remote_port":4711,"duration":0.000002,"#
                + #""reason":"alert","alert":48,"sni":null}"#
        ),
        (
            .workerStarted, worker(.workerStarted), #"{"worker":2,"pid":99}"#
        ),
        (
            .workerReady, worker(.workerReady), #"{"worker":2,"pid":99,"seconds":0.250000}"#
        ),
        (
            .workerExited, worker(.workerExited),
            #"{"worker":2,"pid":99,"seconds":0.250000,"reason":"signal","status":9}"#
        ),
        (.upstreamUp, health(true), #"{"endpoint":"10.0.0.5:80","reason":"failures"}"#),
        (.upstreamDown, health(false), #"{"endpoint":"10.0.0.5:80","reason":"failures"}"#),
        (.configReloaded, note(.configReloaded), #"{"generation":7,"differences":"a\nb"}"#),
        (.configRejected, note(.configRejected), #"{"generation":7,"diagnostics":"a\nb"}"#),
        (.pluginDropped, note(.pluginDropped), #"{"count":7,"reason":"a\nb"}"#),
        (.pluginFailed, note(.pluginFailed), #"{"count":7,"reason":"a\nb"}"#),
    ]

    static func exception(
        service: [UInt8], endpoint: [UInt8], type: [UInt8], message: [UInt8], traceback: [UInt8]
    ) -> [UInt8] {
        let facts = ExceptionFacts(id: .none, origin: .app, failure: nil, worker: 3, pid: 812)
        return written {
            let text = ExceptionText(
                service: service.span, endpoint: endpoint.span, type: type.span,
                message: message.span, traceback: traceback.span)
            $0.writeException(facts, text, wall: 0)
        }
    }

    static func worker(_ signal: Signal) -> [UInt8] {
        written {
            $0.writeWorker(
                signal, slot: 2, pid: 99, seconds: 250_000_000, end: .signal, status: 9,
                service: Array("web".utf8).span, wall: 0)
        }
    }

    static func health(_ isUp: Bool) -> [UInt8] {
        written {
            $0.writeHealth(
                isUp: isUp, .failures, endpoint: Array("10.0.0.5:80".utf8).span,
                service: Array("web".utf8).span, wall: 0)
        }
    }

    static func note(_ signal: Signal) -> [UInt8] {
        written {
            $0.writeNote(
                signal, number: 7, note: Array("a\nb".utf8).span, sender: Array("web".utf8).span,
                wall: 0)
        }
    }

    @Test(arguments: records)
    func `each signal's record becomes its data`(
        signal: Signal, record: [UInt8], data: String
    ) throws {
        let line = Self.line(record) ?? ""
        #expect(line.hasSuffix(#","sender":"web","data":\#(data)}"# + "\n"))
        #expect(try object(line)["event"] as? String == signal.name.description)
        #expect(try object(line)["seq"] as? Int == 80123)
    }

    @Test func `the table above leaves out no signal`() {
        let tested = Set(Self.records.map(\.0) + [.requestStarted, .requestFinished])
        #expect(tested == Set(Signal.allCases))
    }

    @Test func `every key of every signal is known to filters, and no other`() throws {
        var keys: Set<String> = []
        let sample = SampleRequest()
        for record in Self.records.map(\.1) + [sample.finishedRecord()] {
            let data = try object(Self.line(record) ?? "")["data"] as? [String: Any] ?? [:]
            for (key, value) in data {
                keys.insert(key)
                for inner in (value as? [String: Any] ?? [:]).keys {
                    keys.insert("\(key).\(inner)")
                }
            }
        }
        #expect(keys == SignalKeys.all)
    }

    @Test func `a record of the longest texts keeps its size, and its line too`() throws {
        var sample = SampleRequest()
        let long = [UInt8](repeating: 0x07, count: 70_000)
        for part in [\RequestFacts.method, \.target, \.host, \.referer, \.userAgent] {
            sample.set(part, long)
        }
        sample.service = long
        sample.endpoint = long
        sample.sni = long
        let exception = Self.exception(
            service: long, endpoint: long, type: long, message: long, traceback: long)
        let note = written {
            $0.writeNote(.configRejected, number: 7, note: long.span, sender: long.span, wall: 0)
        }
        for record in [sample.finishedRecord(), exception, note] {
            #expect(record.count <= SignalRecord.bytesMax)
            #expect(Self.line(record)?.utf8.count ?? .max <= SignalLine.bytesMax)
        }
    }

    @Test func `of a long traceback the end is kept`() throws {
        let long = Array((String(repeating: "é", count: 3000) + "THE CAUSE").utf8)
        let record = Self.exception(
            service: [], endpoint: [], type: [], message: [], traceback: long)
        let line = try object(Self.line(record) ?? "")
        #expect(line["sender"] as? String == "-")
        let traceback = (line["data"] as? [String: Any])?["traceback"] as? String ?? ""
        #expect(traceback.hasSuffix("THE CAUSE"))
        #expect(!traceback.contains("\u{FFFD}"))
    }

    /// Damaged records: refused, or read as a whole line of valid JSON; never a trap.
    @Test func `damaged records never break a line`() throws {
        var random = Seeded(state: 5)
        let originals = Self.records.map(\.1) + [SampleRequest().finishedRecord()]
        var accepted = 0
        for round in 0..<6000 {
            var record = originals[round % originals.count]
            for _ in 0..<(1 + random.next() % 6) where !record.isEmpty {
                let place = Int(random.next() % UInt64(record.count))
                switch random.next() % 4 {
                case 0: record[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: record.removeLast(min(record.count, Int(random.next() % 40)))
                case 2: record[place] ^= 1 << (random.next() % 8)
                default: record.insert(0xFF, at: place)
                }
            }
            guard let line = Self.line(record) else { continue }
            accepted += 1
            #expect(try object(line)["v"] as? Int == 1)
            #expect(line.utf8.filter { $0 == 0x0A }.count == 1)
        }
        #expect(accepted > 1000)
    }
}
