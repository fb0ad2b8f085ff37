import HTTP
import Linux
import Memory

extension DemoLoop {
    /// What a body is.
    enum ContentType {
        case json, html, binary, text, events

        var name: StaticString {
            switch self {
            case .json: "application/json"
            case .html: "text/html; charset=utf-8"
            case .binary: "application/octet-stream"
            case .text: "text/plain; charset=utf-8"
            case .events: "text/event-stream"
            }
        }
    }

    /// Writes a whole answer.
    ///
    /// - Parameter fields: more field lines.
    func respond(
        _ index: Int, _ status: UInt16, _ type: ContentType, _ body: [UInt8], fields: [UInt8] = []
    ) {
        let isHead = connections[index].request?.isHead == true
        respond(index, status, type, length: UInt64(body.count), fields: fields)
        guard connections.isUsed(index), !isHead else { return }
        _ = append(body.span, to: index)
    }

    /// Writes a head; the body follows from the request's source.
    ///
    /// - Parameter length: nil: there is no body.
    func respond(
        _ index: Int, _ status: UInt16, _ type: ContentType, length: UInt64?, fields: [UInt8] = []
    ) {
        let closes = connections[index].request?.closes == true
        let head = render { writer in
            writer.write("HTTP/1.1 ")
            writer.write(decimal: UInt64(status))
            writer.write(" ")
            writer.write(StatusCode.reason(status))
            writer.write("\r\n")
            if let length {
                writer.write("Content-Type: ")
                writer.write(type.name)
                writer.write("\r\nContent-Length: ")
                writer.write(decimal: length)
                writer.write("\r\n")
            }
            writer.write(fields.span)
            if closes { writer.write("Connection: close\r\n") }
            writer.write("\r\n")
        }
        _ = append(head.span, to: index)
    }

    /// Begins chunks or events.
    func beginSeries(_ index: Int, _ count: UInt64, _ interval: UInt64, isEvents: Bool) {
        let type = isEvents ? ContentType.events : .text
        let closes = connections[index].request?.closes == true
        let isHead = connections[index].request?.isHead == true
        let head = render { writer in
            writer.write("HTTP/1.1 200 OK\r\nContent-Type: ")
            writer.write(type.name)
            writer.write("\r\nTransfer-Encoding: chunked\r\n")
            writer.write(isEvents ? "Cache-Control: no-cache\r\n" : "Trailer: X-Count\r\n")
            if closes { writer.write("Connection: close\r\n") }
            writer.write("\r\n")
        }
        guard append(head.span, to: index), !isHead else { return }
        connections[index].request?.source = .series(
            next: 1, count: count, interval: interval, isEvents: isEvents)
        connections[index].request?.dueAt = max(1, now)
    }

    /// Makes what is due of an answer and sends it; ends the request behind its last byte.
    ///
    /// - Returns: whether there is more to do on the connection.
    func writeAnswer(_ index: Int) -> Bool {
        guard ending == nil else { return false }
        while true {
            while connections[index].output.count < Self.outputBytesMax {
                guard produce(index) else { break }
                guard connections.isUsed(index) else { return false }
            }
            let hasOutput = !connections[index].output.isEmpty
            guard flush(index) else { return false }
            guard connections[index].output.isEmpty else { return false }
            guard let request = connections[index].request else { return false }
            if isDone(request) {
                finish(index, request)
                return connections.isUsed(index)
            }
            if connections[index].hasHungUp {
                close(index)
                return false
            }
            guard hasOutput else { return false }
        }
    }

    private func isDone(_ request: DemoRequest) -> Bool {
        guard !request.isHead else { return true }
        return switch request.source {
        case .written: true
        case .pattern(let next, let total): next == total
        case .series: false
        }
    }

    /// Adds the next piece of an answer, if it is due.
    private func produce(_ index: Int) -> Bool {
        guard let request = connections[index].request, !request.isHead else { return false }
        switch request.source {
        case .written: return false
        case .pattern(let next, let total):
            guard next < total else { return false }
            let start = Int(next % 251)
            let size = Int(min(total - next, UInt64(DemoPattern.pieceBytes)))
            let piece = DemoPattern.bytes.span.extracting(start..<start + size)
            guard append(piece, to: index) else { return true }
            connections[index].request?.source = .pattern(next: next + UInt64(size), total: total)
            return true
        case .series(let next, let count, let interval, let isEvents):
            guard request.dueAt <= now else { return false }
            guard next <= count else { return endSeries(index, count, isEvents: isEvents) }
            let text = isEvents ? "id: \(next)\ndata: event \(next)\n\n" : "chunk \(next)\n"
            let piece = render { writer in
                writer.write(chunkSize: text.utf8.count)
                writer.write(text)
                writer.writeChunkEnd()
            }
            guard append(piece.span, to: index) else { return true }
            connections[index].request?.source = .series(
                next: next + 1, count: count, interval: interval, isEvents: isEvents)
            if next < count { connections[index].request?.dueAt = max(1, now + interval) }
            return true
        }
    }

    private func endSeries(_ index: Int, _ count: UInt64, isEvents: Bool) -> Bool {
        connections[index].request?.source = .written
        connections[index].request?.dueAt = 0
        _ = append(isEvents ? "0\r\n\r\n" : "0\r\nX-Count: \(count)\r\n\r\n", to: index)
        return true
    }

    /// Ends a request whose answer was written.
    private func finish(_ index: Int, _ request: DemoRequest) {
        guard !request.closes else { return close(index) }
        end(request)
        connections[index].request = nil
        connections[index].phase = .idle
        dropInput(index)
    }

    /// Answers a head that is no good, which only a stranger on the socket sends.
    func refuse(_ index: Int, _ refusal: Refusal) {
        let status = refusal.status
        let text = "\(status) \(StatusCode.reason(status))\n\(refusal.rule)\n"
        let head =
            "HTTP/1.1 \(status) \(StatusCode.reason(status))\r\nContent-Type: text/plain\r\n"
            + "Content-Length: \(text.utf8.count)\r\nConnection: close\r\n\r\n"
        guard append(head + text, to: index), flush(index) else { return }
        close(index)
    }

    /// Adds bytes to what is to be sent; without memory for them the connection is closed.
    func append(_ bytes: Span<UInt8>, to index: Int) -> Bool {
        if connections[index].output.append(bytes, in: pool) { return true }
        close(index)
        return false
    }

    func append(_ text: String, to index: Int) -> Bool {
        let bytes = Array(text.utf8)
        return append(bytes.span, to: index)
    }

    /// Sends what there is.
    ///
    /// - Returns: false when the connection is broken, and closed.
    func flush(_ index: Int) -> Bool {
        while !connections[index].output.isEmpty {
            let socket = connections[index].socket.number
            switch StreamSocket.send(socket, connections[index].output, of: pool) {
            case .bytes(let count): connections[index].output.consume(count, in: pool)
            case .wouldBlock: return true
            case .failed:
                close(index)
                return false
            }
        }
        return true
    }
}

/// The bytes of `/bytes`, long enough to be cut at any of the 251 beginnings.
enum DemoPattern {
    /// Bytes that are made at once.
    static let pieceBytes = 64 << 10
    static let bytes: [UInt8] = (0..<pieceBytes + 251).map { UInt8($0 % 251) }
}
