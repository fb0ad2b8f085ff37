import HTTP
import Linux
import Memory
import TLS

extension DemoLoop {
    /// Begins the request whose head was just parsed.
    func begin(_ index: Int, headBytes: Int) {
        let block = connections[index].input
        let bytes = pool.bytes(of: block)
        let peer = head.fields.first(.proxyPeer).map { PeerFacts(bytes.extracting($0.value)) }
        let facts = peer ?? PeerFacts()
        let page = DemoPage(
            path: bytes.extracting(head.path), query: bytes.extracting(head.query))
        count += 1
        active += 1
        setBusy(facts.place, true)
        var request = DemoRequest(
            page: page, isHead: head.method == .head, place: facts.place,
            body: BodyDecoder(head.framing), facts: [], wantsHTML: wantsHTML(bytes),
            beganAt: now, closes: !head.keepsAlive)
        switch page {
        case .echo:
            request.sum = BodySum()
            request.facts = render { $0.write(echoOf: head, from: bytes) }
        case .upload:
            request.sum = BodySum()
            request.facts = Array("{".utf8)
        case .webSocket:
            if head.upgrade == .webSocket, let key = head.fields.first(.webSocketKey),
                let version = head.fields.first(.webSocketVersion),
                String(bytes.extracting(version.value)) == "13"
            {
                request.webSocketAccept = WebSocketHandshake.accept(bytes.extracting(key.value))
            }
        default: request.facts = workerFacts(facts, from: bytes)
        }
        let expectsContinue = head.expectsContinue
        pool.consume(headBytes, of: block)
        connections[index].request = request
        connections[index].phase = .receiving
        if expectsContinue { _ = append("HTTP/1.1 100 Continue\r\n\r\n", to: index) }
        if page == .early {
            _ = append(
                "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n",
                to: index)
        }
    }

    private func wantsHTML(_ bytes: Span<UInt8>) -> Bool {
        guard let accept = head.fields.first(.accept) else { return false }
        return String(bytes.extracting(accept.value)).lowercased().contains("text/html")
    }

    /// The object of `/worker` without its last brace.
    private func workerFacts(_ peer: PeerFacts, from bytes: Span<UInt8>) -> [UInt8] {
        let id = head.fields.first(.xRequestID)
        return render { writer in
            writer.write("{\"service\":")
            writer.write(jsonString: worker.service)
            writer.write(",\"worker\":")
            writer.write(decimal: UInt64(worker.slot))
            writer.write(",\"pid\":")
            writer.write(decimal: UInt64(ProcessTraits.pid))
            writer.write(",\"count\":")
            writer.write(decimal: count)
            writer.write(",\"scheme\":")
            writer.write(jsonString: peer.scheme)
            writer.write(",\"remote\":")
            writer.write(jsonString: peer.remote)
            writer.write(",\"id\":")
            if let id {
                writer.write(jsonString: bytes.extracting(id.value))
            } else {
                writer.write("\"\"")
            }
        }
    }

    /// Writes into the scratch and returns a copy.
    func render(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        scratch.removeAll()
        body(&scratch.writer)
        return scratch.copy
    }

    /// Answers a request whose body was read.
    func answer(_ index: Int) {
        guard let request = connections[index].request else { return }
        connections[index].phase = .answering
        switch request.page {
        case .home where request.wantsHTML: respond(index, 200, .html, home())
        case .home, .worker: respond(index, 200, .json, request.facts + Array("}\n".utf8))
        case .sleep(let pause):
            connections[index].phase = .sleeping
            connections[index].request?.dueAt = max(1, now + pause)
        case .echo, .upload: respond(index, 200, .json, sumUp(request))
        case .bytes(let size):
            respond(index, 200, .binary, length: size)
            connections[index].request?.source = .pattern(next: 0, total: size)
        case .stream(let count, let interval):
            beginSeries(index, count, interval, isEvents: false)
        case .events(let count, let interval):
            beginSeries(index, count, interval, isEvents: true)
        case .webSocket: openWebSocket(index, request)
        case .early: respond(index, 200, .json, request.facts + Array("}\n".utf8))
        case .status(let status): respondStatus(index, status)
        case .exception:
            respond(
                index, 500, .json, Array("{\"error\":\"DemoError: asked for\"}\n".utf8),
                fields: render { writer in
                    writer.write("proxy-exception: DemoError;")
                    writer.write(percentEncoded: "asked for")
                    writer.write(";")
                    writer.write(percentEncoded: "DemoError: asked for\n  at /exception\n")
                    writer.write("\r\n")
                })
        case .exit(let code): ending = .exit(code)
        case .kill: ending = .kill
        case .cut(let count):
            respond(index, 200, .binary, length: DemoPage.cutBytes)
            connections[index].request?.source = .pattern(next: 0, total: count)
            connections[index].request?.closes = true
        case .missing: respond(index, 404, .json, missing())
        case .wrong(let rule):
            respond(
                index, 400, .json,
                render { writer in
                    writer.write("{\"error\":")
                    writer.write(jsonString: rule)
                    writer.write("}\n")
                })
        }
    }

    /// `/sleep` when its time has come.
    func endSleep(_ index: Int) -> Bool {
        guard let request = connections[index].request, request.dueAt <= now,
            case .sleep(let pause) = request.page
        else { return false }
        connections[index].request?.dueAt = 0
        connections[index].phase = .answering
        let body = render { writer in
            writer.write(request.facts.span)
            writer.write(",\"slept\":")
            writer.write(seconds: pause)
            writer.write("}\n")
        }
        respond(index, 200, .json, body)
        return true
    }

    private func sumUp(_ request: DemoRequest) -> [UInt8] {
        render { writer in
            writer.write(request.facts.span)
            writer.write("\"bytes\":")
            writer.write(decimal: request.body.dataBytes)
            writer.write(",\"sha256\":\"")
            request.sum?.digest.finish(hexadecimalTo: &writer)
            writer.write("\"}\n")
        }
    }

    private func respondStatus(_ index: Int, _ status: UInt16) {
        guard status != 204, status != 304 else {
            return respond(index, status, .json, length: nil)
        }
        respond(
            index, status, .json,
            render { writer in
                writer.write("{\"status\":")
                writer.write(decimal: UInt64(status))
                writer.write("}\n")
            })
    }

    private func missing() -> [UInt8] {
        render { writer in
            writer.write("{\"error\":\"no such page\",\"pages\":[")
            for (position, page) in DemoPage.all.enumerated() {
                if position > 0 { writer.write(",") }
                writer.write(jsonString: page.bytes)
            }
            writer.write("]}\n")
        }
    }

    private func home() -> [UInt8] {
        render { writer in
            writer.write(DemoHome.beginning)
            writer.write("\(worker.service)/\(worker.slot), pid \(ProcessTraits.pid)")
            writer.write(DemoHome.middle)
            for (page, note) in zip(DemoPage.all, DemoHome.notes) {
                writer.write("<li><a href=\"")
                writer.write(page)
                writer.write("\">")
                writer.write(page)
                writer.write("</a> ")
                writer.write(note)
                writer.write("</li>\n")
            }
            writer.write(DemoHome.end)
        }
    }

    private func openWebSocket(_ index: Int, _ request: DemoRequest) {
        guard let accept = request.webSocketAccept else {
            return respond(
                index, 426, .json, Array("{\"error\":\"this page speaks WebSocket\"}\n".utf8),
                fields: Array(
                    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        .utf8))
        }
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: \(String(decoding: accept, as: UTF8.self))\r\n\r\n"
        guard append(head, to: index) else { return }
        connections[index].echo = WebSocketEcho()
        connections[index].phase = .webSocket
    }
}

extension ByteWriter {
    mutating func write(_ text: String) {
        let bytes = Array(text.utf8)
        write(bytes.span)
    }

    /// The object of `/echo` up to its headers. What only the edge and its worker say to each other
    /// is left out.
    mutating func write(echoOf head: borrowing RequestHead, from bytes: Span<UInt8>) {
        write("{\"method\":")
        write(jsonString: bytes.extracting(head.methodName))
        write(",\"target\":")
        write(jsonString: bytes.extracting(head.target))
        write(",\"headers\":[")
        var isFirst = true
        for index in 0..<head.fields.count where head.fields[index].code != .proxyPeer {
            let field = head.fields[index]
            if !isFirst { write(",") }
            isFirst = false
            write("[")
            write(jsonString: String(bytes.extracting(field.name)).lowercased())
            write(",")
            write(jsonString: bytes.extracting(field.value))
            write("]")
        }
        write("],")
    }
}

extension ByteScratch {
    /// What has been written, as bytes of its own.
    var copy: [UInt8] {
        let bytes = bytes
        var copy: [UInt8] = []
        copy.reserveCapacity(bytes.count)
        for index in bytes.indices { copy.append(bytes[index]) }
        return copy
    }
}
