import Glibc
import HTTP
import Linux
import Memory

@testable import Demo

/// A demo worker on a socket of its own whose loop the test turns by hand.
final class Rig {
    let path: String
    let loop: DemoLoop
    let busy: SharedRegion
    /// The master's end of the control channel; nil once it is closed.
    private var master: Ends?

    private final class Ends {
        let socket: MessageSocket
        init(_ socket: consuming MessageSocket) { self.socket = socket }
    }

    static let busyOffset = 128

    init(concurrency: Int = 1) throws {
        var random = SystemRandomNumberGenerator()
        path = "/tmp/proxy-demo-\(getpid())-\(random.next() as UInt64).sock"
        let listener = try ListeningSocket(unix: path)
        let (region, descriptor) = try SharedRegion.create(name: "demo-busy", size: 256)
        Glibc.close(descriptor)
        busy = region
        let ends = try MessageSocket.Pair().release()
        master = Ends(MessageSocket(owning: Descriptor(owning: ends.one)))
        let worker = DemoWorker(
            service: "demo", slot: 2, concurrency: concurrency, busyOffset: Self.busyOffset)
        loop = try DemoLoop(
            worker, listener: listener.descriptor.duplicate(),
            control: MessageSocket(owning: Descriptor(owning: ends.other)), busy: region)
    }

    deinit { unsafe unlink(path) }

    /// Turns the loop until a condition holds; false when it does not within many turns.
    func turn(until condition: () -> Bool) throws -> Bool {
        for _ in 0..<3000 {
            if condition() { return true }
            try loop.turn(longest: 2)
        }
        return condition()
    }

    func place(_ number: Int) -> UInt8 { busy.byte(at: Self.busyOffset + number).loadAcquiring() }

    /// What the worker told the master.
    func hear() throws -> JSONValue? {
        guard let master, case .packet(let bytes, _) = try master.socket.receive() else {
            return nil
        }
        return JSONValue(parsing: bytes)
    }

    func tell(_ message: JSONValue) throws { _ = try master?.socket.send(message.bytes) }

    func hangUp() { master = nil }

    /// Sends one request on a new connection and takes its answer.
    func ask(_ text: String) throws -> Answer {
        let client = try Client(self)
        client.send(text)
        return try client.answer(isHead: text.hasPrefix("HEAD "))
    }

    func get(_ target: String, _ lines: String = "") throws -> Answer {
        try ask("GET \(target) HTTP/1.1\r\nHost: a\r\n\(lines)\r\n")
    }
}

/// An answer as a client reads it.
struct Answer {
    var status: UInt16 = 0
    var fields: [String: String] = [:]
    var body: [UInt8] = []
    var trailers: [String: String] = [:]
    /// It is whole.
    var isComplete = false

    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSONValue? { JSONValue(parsing: body) }
}

/// A connection to the worker, non-blocking.
final class Client {
    private let rig: Rig
    private let socket: Descriptor
    private var isClosed = false
    /// What came and was not taken yet.
    private(set) var received: [UInt8] = []
    private(set) var hasEnded = false

    init(_ rig: Rig) throws {
        self.rig = rig
        let path = Array(rig.path.utf8)
        guard case .connected(let number) = StreamSocket.connect(toUnixPath: path.span) else {
            throw SystemError("connect")
        }
        socket = Descriptor(owning: number)
    }

    /// Sends and takes no more, as an edge that is gone.
    func close() {
        isClosed = true
        shutdown(socket.number, Int32(SHUT_RDWR))
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        for _ in 0..<10_000 where sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(
                    socket.number, $0.baseAddress! + sent, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count > 0 { sent += count } else { try? rig.loop.turn(longest: 1) }
        }
        precondition(sent == bytes.count)
    }

    func pump() {
        guard !isClosed else { return }
        let number = socket.number
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let size = buffer.count
            let count = unsafe recv(number, &buffer, size, 0)
            if count == 0 { hasEnded = true }
            guard count > 0 else { return }
            received += buffer[..<count]
        }
    }

    /// Waits for an answer, interim ones included, or for the end of the stream.
    func answer(isHead: Bool = false) throws -> Answer {
        var answer = Answer()
        _ = try rig.turn {
            pump()
            answer = read(isHead: isHead)
            return answer.isComplete || hasEnded
        }
        return answer
    }

    /// Waits for so many bytes that are no HTTP.
    func bytes(_ count: Int) throws -> [UInt8] {
        _ = try rig.turn {
            pump()
            return received.count >= count || hasEnded
        }
        let taken = Array(received.prefix(count))
        received.removeFirst(taken.count)
        return taken
    }

    func waitForEnd() throws -> Bool {
        try rig.turn {
            pump()
            return hasEnded
        }
    }

    private func read(isHead: Bool) -> Answer {
        var answer = Answer()
        var parser = ResponseHeadParser()
        var head = ResponseHead(fieldCapacity: 32)
        let context = ResponseContext(isHead: isHead, allowsUpgrade: true)
        let step = parser.parse(
            received.span, limits: HeadLimits(), context: context, into: &head)
        guard case .complete(let length) = step else { return answer }
        answer.status = head.status
        for index in 0..<head.fields.count {
            let field = head.fields[index]
            let name = String(decoding: received[field.name.indices], as: UTF8.self)
            answer.fields[name.lowercased()] = String(
                decoding: received[field.value.indices], as: UTF8.self)
        }
        var decoder = BodyDecoder(head.framing)
        var table = FieldTable(capacity: 8)
        var used = length
        while true {
            let rest = Array(received[used...])
            switch decoder.next(rest.span, trailers: &table) {
            case .data(let range):
                answer.body += rest[range.indices]
                used += range.end
            case .end(let consumed):
                for index in 0..<table.count {
                    let name = String(decoding: rest[table[index].name.indices], as: UTF8.self)
                    answer.trailers[name] = String(
                        decoding: rest[table[index].value.indices], as: UTF8.self)
                }
                answer.isComplete = true
                received.removeFirst(used + consumed)
                return answer
            case .needMore, .faulty: return answer
            }
        }
    }
}
