internal import Configuration
internal import Linux

/// The control socket: one JSON line in, one out, then close (contract, section 7).
///
/// A lock file beside it tells a proxy that runs from one that left its socket behind.
final class AdminSocket {
    /// One who has asked, and waits for the answer.
    final class Client {
        private let connection: OpenFile
        private weak var server: AdminSocket?
        fileprivate var watch: Loop.Watch?
        fileprivate var line: [UInt8] = []
        private var answer: [UInt8] = []

        fileprivate init(_ connection: consuming Descriptor, of server: AdminSocket) {
            self.connection = OpenFile(owning: connection)
            self.server = server
        }

        fileprivate var number: Int32 { connection.number }

        /// Takes what has come; nil while the line is not whole, empty when it never will be.
        fileprivate func read() -> [UInt8]? {
            guard let bytes = try? connection.descriptor.readAvailable(atMost: 64 << 10) else {
                return nil
            }
            line += bytes
            if let end = line.firstIndex(of: 0x0A) { return Array(line[..<end]) }
            return bytes.isEmpty || line.count > AdminSocket.lineBytesMax ? [] : nil
        }

        /// Sends the one answer; what does not fit into the socket goes out as the client reads.
        /// The connection closes with the last reference.
        func answer(_ value: JSONValue) {
            answer = value.bytes + [0x0A]
            if write() { server?.keep(self, writable: true) }
        }

        /// Sends what there is room for; true when more is left.
        fileprivate func write() -> Bool {
            switch LogFile.write(answer.span, to: connection.number) {
            case .bytes(let count):
                answer.removeFirst(count)
                return !answer.isEmpty
            case .wouldBlock: return true
            case .failed: return false
            }
        }

        func succeed(_ result: JSONValue) { answer(["ok": true, "result": result]) }

        func fail(_ failure: MasterFailure) {
            let diagnostics = failure.diagnostics.map { one in
                JSONValue(parsing: Array(one.json.utf8)) ?? .null
            }
            answer([
                "ok": false, "exit": .whole(failure.code.rawValue),
                "error": .string(failure.message), "diagnostics": .array(diagnostics),
            ])
        }
    }

    /// Longest line taken; commands have a few words. Bytes.
    private static let lineBytesMax = 64 << 10
    /// Clients at once that ask or take their answer; they are commands of people and scripts. One
    /// more ends the oldest, so that nobody who only holds connections shuts others out.
    private static let clientsMax = 64

    let path: String
    private let loop: Loop
    private let socket: OpenFile
    private let lock: OpenFile
    private var watch: Loop.Watch?
    /// Those who have not asked yet, or have not taken their answer yet; the oldest first.
    private var clients: [Client] = []
    /// Called with each command; the client is answered now or later.
    var received: (JSONValue, Client) -> Void = { _, _ in }

    /// Binds the socket. Code 69 when another proxy answers there.
    init(path: String, on loop: Loop) throws(MasterFailure) {
        self.path = path
        self.loop = loop
        do throws(SystemError) {
            if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
                let folder = String(path[..<slash])
                if (try? FileSystem.status(of: folder)) == nil {
                    try FileSystem.makeFolder(folder, mode: 0o711)
                }
            }
            // O_RDWR | O_CREAT
            lock = OpenFile(
                owning: try FileSystem.open("\(path).lock", flags: 0o2 | 0o100, mode: 0o600))
        } catch {
            throw MasterFailure(error, while: "cannot make \(path)")
        }
        guard lock.descriptor.tryLock() else {
            let pid = (try? lock.descriptor.readAll()).map { String(decoding: $0, as: UTF8.self) }
            let who = pid.map { $0.filter(\.isNumber) } ?? "?"
            throw MasterFailure(
                .taken,
                "another proxy (pid \(who)) answers on \(path); stop it or set admin.socket")
        }
        do throws(SystemError) {
            try FileSystem.truncate(lock.number)
            try lock.descriptor.writeAll(Array("\(ProcessTraits.pid)\n".utf8))
            try FileSystem.remove(path)
            let socket = try ListeningSocket(unix: path, mode: 0o600)
            self.socket = OpenFile(owning: try socket.descriptor.duplicate())
        } catch {
            throw MasterFailure(error, while: "cannot listen on \(path)")
        }
    }

    /// Begins to take commands.
    func begin() throws(SystemError) {
        watch = try loop.watch(socket.number) { [unowned self] in accept() }
    }

    func close() {
        watch = nil
        clients = []
        try? FileSystem.remove(path)
        try? FileSystem.remove("\(path).lock")
    }

    private func accept() {
        guard let connection = try? ListeningSocket.accept(from: socket.number) else { return }
        keep(Client(connection, of: self), writable: false)
    }

    /// Holds a client until it has asked, or has taken its answer.
    fileprivate func keep(_ client: Client, writable: Bool) {
        if clients.count == Self.clientsMax { clients.removeFirst() }
        clients.append(client)
        client.watch = try? loop.watch(client.number, writable: writable) {
            [unowned self, unowned client] in
            if writable {
                if !client.write() { forget(client) }
            } else if let line = client.read() {
                hear(line, from: client)
            }
        }
    }

    private func forget(_ client: Client) {
        client.watch = nil
        clients.removeAll { $0 === client }
    }

    private func hear(_ line: [UInt8], from client: Client) {
        forget(client)
        guard !line.isEmpty else { return }
        guard let command = JSONValue(parsing: line), command["command"]?.text != nil else {
            return client.fail(MasterFailure(.usage, "one JSON line with a command is expected"))
        }
        received(command, client)
    }
}
