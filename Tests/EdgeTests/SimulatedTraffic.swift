import Board
import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals

@testable import Edge

/// How a simulated endpoint answers a request, said in the request's path: `/NUMBER/KIND/SIZE`.
enum AnswerKind: String, CaseIterable {
    /// With a length; in chunks; until the connection closes.
    case length, chunked, close
    /// An interim answer before it.
    case early
    /// Before the request's body was read.
    case hasty
    case noContent
    /// Nothing but the end; a break in the head; a break in the body; rubbish; conflicting lengths.
    case silent, cutHead, cutBody, rubbish, conflict

    /// Whether the client has to get the whole body.
    var isGood: Bool {
        switch self {
        case .length, .chunked, .close, .early, .hasty, .noContent: true
        case .silent, .cutHead, .cutBody, .rubbish, .conflict: false
        }
    }
}

/// Byte `index` of the body that belongs to a request.
func pattern(_ request: Int, _ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: request &* 31 &+ index &* 7 &+ index >> 8)
}

func body(_ request: Int, _ count: Int) -> [UInt8] { (0..<count).map { pattern(request, $0) } }

/// A plain reader of messages for the far ends, apart from the product's parsers on purpose.
struct MessageReader {
    var bytes: [UInt8] = []
    /// Bytes that have to be there before it is worth looking again.
    private var wanted = 0

    struct Message {
        var start: String
        var fields: [String: String]
        var body: [UInt8]
    }

    enum Result {
        case incomplete
        case message(Message)
        /// Complete only if the stream ends here.
        case untilEnd(Message)
        case bad(String)
    }

    /// - Parameter isAnswerToHead: no body follows, whatever the fields say.
    mutating func next(isAnswerToHead: Bool = false) -> Result {
        guard bytes.count >= wanted else { return .incomplete }
        wanted = 0
        guard let end = find("\r\n\r\n", from: 0) else { return .incomplete }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).components("\r\n")
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { return .bad(line) }
            fields[line[..<colon].lowercased()] =
                String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        var message = Message(start: lines[0], fields: fields, body: [])
        let isAnswer = lines[0].hasPrefix("HTTP/")
        let status = isAnswer ? Int(lines[0].split(separator: " ")[1])! : 0
        var rest = end + 4
        if isAnswer, status < 200 || status == 204 || status == 304 || isAnswerToHead {
            bytes.removeFirst(rest)
            return .message(message)
        }
        if let length = fields["content-length"].flatMap({ Int($0) }) {
            guard bytes.count - rest >= length else {
                wanted = rest + length
                return .incomplete
            }
            message.body = Array(bytes[rest..<rest + length])
            bytes.removeFirst(rest + length)
            return .message(message)
        }
        guard fields["transfer-encoding"] == "chunked" else {
            guard isAnswer else {
                bytes.removeFirst(rest)
                return .message(message)
            }
            message.body = Array(bytes[rest...])
            return .untilEnd(message)
        }
        while true {
            guard let line = find("\r\n", from: rest) else { return .incomplete }
            guard let size = Int(String(decoding: bytes[rest..<line], as: UTF8.self), radix: 16)
            else { return .bad("chunk size") }
            guard bytes.count >= line + 2 + size + 2 else {
                wanted = line + 2 + size + 2
                return .incomplete
            }
            message.body += bytes[line + 2..<line + 2 + size]
            guard bytes[line + 2 + size] == 13, bytes[line + 3 + size] == 10 else {
                return .bad("chunk end")
            }
            rest = line + 4 + size
            if size == 0 { break }
        }
        bytes.removeFirst(rest)
        return .message(message)
    }

    private func find(_ text: String, from start: Int) -> Int? {
        let wanted = Array(text.utf8)
        guard bytes.count >= start + wanted.count else { return nil }
        return (start...bytes.count - wanted.count).first {
            bytes[$0..<$0 + wanted.count].elementsEqual(wanted)
        }
    }
}

extension String {
    func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.range(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}

extension Substring {
    func range(of text: String) -> Range<Index>? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(text) {
                return index..<self.index(index, offsetBy: text.count)
            }
            index = self.index(after: index)
        }
        return nil
    }
}

/// One connection of a simulated endpoint.
final class SimulatedServer: FarEnd {
    private var reader = MessageReader()
    private var isOver = false
    unowned let traffic: Traffic

    init(_ traffic: Traffic) { self.traffic = traffic }

    func received(_ bytes: [UInt8], _ stream: Int32, _ world: SimulatedWorld) {
        guard !isOver else { return }
        reader.bytes += bytes
        if let hasty = hastyRequest() {
            isOver = true
            return answer(hasty, stream, world)
        }
        while !isOver {
            switch reader.next() {
            case .incomplete: return
            case .untilEnd, .bad:
                traffic.complain("an endpoint got a bad request")
                isOver = true
            case .message(let message): serve(message, stream, world)
            }
        }
    }

    /// The start line of a request that is answered before its body has come.
    private func hastyRequest() -> MessageReader.Message? {
        guard let end = reader.bytes.prefix(80).firstIndex(of: 13) else { return nil }
        let line = String(decoding: reader.bytes[..<end], as: UTF8.self)
        guard line.split(separator: "/").contains("hasty") else { return nil }
        return MessageReader.Message(start: line, fields: [:], body: [])
    }

    private func serve(
        _ message: MessageReader.Message, _ stream: Int32, _ world: SimulatedWorld
    ) {
        let parts = message.start.split(separator: " ")[1].split(separator: "/")
        guard let number = Int(parts[0]) else { return traffic.complain("path \(parts)") }
        traffic.reached[number, default: 0] += 1
        if message.body != body(number, message.body.count)
            || message.body.count != traffic.requestBytes[number]
        {
            traffic.complain("request \(number) arrived with another body")
        }
        let delay = UInt64.random(in: 0...3_000_000, using: &world.random)
        let kind = AnswerKind(rawValue: String(parts[1]))!
        if !kind.isGood || kind == .close { isOver = true }
        world.at(delay) { self.answer(message, stream, world) }
    }

    private func answer(
        _ message: MessageReader.Message, _ stream: Int32, _ world: SimulatedWorld
    ) {
        let words = message.start.split(separator: " ")
        let parts = words[1].split(separator: "/")
        let number = Int(parts[0])!
        let kind = AnswerKind(rawValue: String(parts[1]))!
        let size = Int(parts[2])!
        let data = words[0] == "HEAD" ? [] : body(number, size)
        func send(_ text: String) { world.send(Array(text.utf8), on: stream) }
        switch kind {
        case .length, .hasty:
            send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            world.send(data, on: stream)
            if kind == .hasty { world.end(stream) }
        case .early:
            send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            world.send(data, on: stream)
        case .chunked:
            send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            guard words[0] != "HEAD" else { return }
            var rest = data[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...5000, using: &world.random))
                send(String(piece.count, radix: 16) + "\r\n")
                world.send(Array(piece), on: stream)
                send("\r\n")
                rest = rest.dropFirst(piece.count)
            }
            send("0\r\n\r\n")
        case .close:
            send("HTTP/1.1 200 OK\r\n\r\n")
            world.send(data, on: stream)
            world.end(stream)
        case .noContent: send("HTTP/1.1 204 No Content\r\n\r\n")
        case .silent: world.end(stream)
        case .cutHead:
            send("HTTP/1.1 200 O")
            world.end(stream)
        case .cutBody:
            send("HTTP/1.1 200 OK\r\nContent-Length: \(size + 10)\r\n\r\n")
            world.send(data, on: stream)
            world.end(stream)
        case .rubbish: send("SSH-2.0-OpenSSH\r\n\r\n")
        case .conflict:
            send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
        }
    }

    func ended(_ stream: Int32, _ world: SimulatedWorld) { isOver = true }
    func broke(_ stream: Int32, _ world: SimulatedWorld) { isOver = true }
}
