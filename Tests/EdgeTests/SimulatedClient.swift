import Board
import Linux
import Memory

@testable import Edge

/// A client with requests to make on one connection, one after the other or all at once.
final class SimulatedClient: FarEnd {
    struct Request {
        var number: Int
        var method: String
        var kind: AnswerKind
        var size: Int
        var bodyBytes: Int
        var isChunked: Bool
        var isOldVersion: Bool
    }

    private var waiting: [Request]
    private var asked: [Request] = []
    private var reader = MessageReader()
    private var isOver = false
    private let isPipelining: Bool
    private let givesUpAfter: Int?
    private var received = 0
    unowned let traffic: Traffic

    init(_ traffic: Traffic, _ requests: [Request], isPipelining: Bool, givesUpAfter: Int?) {
        self.traffic = traffic
        waiting = requests
        self.isPipelining = isPipelining
        self.givesUpAfter = givesUpAfter
    }

    func begin(_ world: SimulatedWorld) {
        let stream = world.connect(self)
        ask(stream, world)
        guard isPipelining else { return }
        while !waiting.isEmpty { ask(stream, world) }
        // Some say at once that nothing more will come, and wait for their answers.
        if Bool.random(using: &world.random) { world.end(stream) }
    }

    private func ask(_ stream: Int32, _ world: SimulatedWorld) {
        let request = waiting.removeFirst()
        asked.append(request)
        traffic.requestBytes[request.number] = request.bodyBytes
        let version = request.isOldVersion ? "1.0" : "1.1"
        var head =
            "\(request.method) /\(request.number)/\(request.kind.rawValue)/\(request.size)"
            + " HTTP/\(version)\r\n"
            + "Host: a.example\r\n"
        let data = body(request.number, request.bodyBytes)
        if request.isChunked {
            world.send(Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8), on: stream)
            var rest = data[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...3000, using: &world.random))
                world.send(Array("\(String(piece.count, radix: 16))\r\n".utf8), on: stream)
                world.send(Array(piece), on: stream)
                world.send(Array("\r\n".utf8), on: stream)
                rest = rest.dropFirst(piece.count)
            }
            world.send(Array("0\r\n\r\n".utf8), on: stream)
        } else {
            if request.bodyBytes > 0 { head += "Content-Length: \(request.bodyBytes)\r\n" }
            world.send(Array((head + "\r\n").utf8), on: stream)
            world.send(data, on: stream)
        }
    }

    func received(_ bytes: [UInt8], _ stream: Int32, _ world: SimulatedWorld) {
        guard !isOver else { return }
        reader.bytes += bytes
        received += bytes.count
        if let givesUpAfter, received >= givesUpAfter {
            isOver = true
            traffic.gaveUp += asked.count
            return world.reset(stream)
        }
        while let request = asked.first {
            switch reader.next(isAnswerToHead: request.method == "HEAD") {
            case .incomplete, .untilEnd: return
            case .bad(let what):
                traffic.complain("request \(request.number): bad answer: \(what)")
                isOver = true
                return
            case .message(let message):
                if message.start.contains(" 103 ") { continue }
                judge(request, message)
                asked.removeFirst()
                if message.fields["connection"] == "close" { isOver = true }
                if asked.isEmpty, waiting.isEmpty || isOver { return finish(stream, world) }
                if !isPipelining { ask(stream, world) }
            }
        }
    }

    private func judge(_ request: Request, _ message: MessageReader.Message) {
        let status = String(message.start.split(separator: " ")[1])
        traffic.answered[request.number, default: 0] += 1
        guard request.kind.isGood else {
            let isFine = status == "502" || request.method == "HEAD" && request.kind == .cutBody
            if !isFine { traffic.complain("\(request) was answered \(message.start)") }
            return
        }
        let wanted = request.method == "HEAD" || request.kind == .noContent ? 0 : request.size
        if status != (request.kind == .noContent ? "204" : "200") {
            traffic.complain("\(request) was answered \(message.start)")
        } else if message.body != body(request.number, wanted) {
            traffic.complain("\(request): \(message.body.count) bytes, not \(wanted)")
        }
    }

    private func finish(_ stream: Int32, _ world: SimulatedWorld) {
        isOver = true
        world.end(stream)
    }

    func ended(_ stream: Int32, _ world: SimulatedWorld) {
        guard !isOver else { return }
        if let request = asked.first, case .untilEnd(let message) = reader.next() {
            judge(request, message)
            asked.removeFirst()
        } else if let request = asked.first, request.kind != .cutBody, request.kind != .hasty {
            traffic.complain("\(request) got no answer, but the end")
        }
        isOver = true
        world.end(stream)
    }

    func broke(_ stream: Int32, _ world: SimulatedWorld) {
        guard !isOver else { return }
        isOver = true
        if let request = asked.first, request.kind != .cutBody, request.kind != .hasty {
            traffic.complain("\(request) was broken off")
        }
    }
}
