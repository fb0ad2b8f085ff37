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

        /// Takes what has come; nil while the line is not whole, empty when it never will be, for
        /// its end is missing or too far.
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
    private var lock: LockFile
    private var socket: OpenFile
    /// Of the socket's file.
    private var inode: UInt64
    private var watch: Loop.Watch?
    /// Those who have not asked yet, or have not taken their answer yet; the oldest first.
    private var clients: [Client] = []
    /// Called with each command; the client is answered now or later.
    var received: (JSONValue, Client) -> Void = { _, _ in }

    /// Binds the socket. Code 69 when another proxy answers there.
    init(path: String, on loop: Loop) throws(MasterFailure) {
        self.path = path
        self.loop = loop
        lock = try Self.makeLock(path)
        do throws(MasterFailure) {
            (socket, inode) = try Self.bind(path)
        } catch {
            lock.remove()
            throw error
        }
    }

    private static func makeLock(_ path: String) throws(MasterFailure) -> LockFile {
        do throws(LockFile.Failure) {
            try makeFolder(of: path)
            return try LockFile("\(path).lock")
        } catch {
            switch error {
            case .held(let pid):
                throw MasterFailure(
                    .taken,
                    "another proxy (pid \(pid)) answers on \(path); stop it or set admin.socket")
            case .system(let error): throw MasterFailure(error, while: "cannot make \(path)")
            }
        }
    }

    private static func bind(_ path: String) throws(MasterFailure) -> (OpenFile, UInt64) {
        let status = try? FileSystem.status(of: path, followsLinks: false)
        guard status?.isSocket ?? true else {
            throw MasterFailure(
                .configuration, "admin.socket: \(path) is there and is no socket; it is left alone")
        }
        do throws(SystemError) {
            try FileSystem.remove(path)
            let socket = try ListeningSocket(unix: path, mode: 0o600)
            return (
                OpenFile(owning: try socket.descriptor.duplicate()),
                try FileSystem.status(of: path, followsLinks: false).inode
            )
        } catch {
            throw MasterFailure(error, while: "cannot listen on \(path)")
        }
    }

    private static func makeFolder(of path: String) throws(LockFile.Failure) {
        guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
        let folder = String(path[..<slash])
        guard (try? FileSystem.status(of: folder)) == nil else { return }
        do throws(SystemError) {
            try FileSystem.makeFolder(folder, mode: 0o711)
        } catch {
            throw .system(error)
        }
    }

    /// Begins to take commands.
    func begin() throws(SystemError) {
        watch = try loop.watch(socket.number) { [unowned self] in accept() }
    }

    /// Makes the socket again if somebody, such as a cleaner of `/tmp`, has removed it; true when
    /// that was needed.
    func restore() throws(MasterFailure) -> Bool {
        let hasLock = lock.isThere
        if !hasLock { lock = try Self.makeLock(path) }
        guard !isThere else { return !hasLock }
        let bound = try Self.bind(path)
        watch = nil
        (socket, inode) = bound
        do throws(SystemError) {
            try begin()
        } catch {
            throw MasterFailure(error, while: "cannot listen on \(path)")
        }
        return true
    }

    private var isThere: Bool {
        (try? FileSystem.status(of: path, followsLinks: false))?.inode == inode
    }

    func close() {
        watch = nil
        clients = []
        if isThere { try? FileSystem.remove(path) }
        lock.remove()
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
        guard let command = JSONValue(parsing: line), command["command"]?.text != nil else {
            return client.fail(
                MasterFailure(
                    .usage,
                    "one JSON line with a command is expected, such as {\"command\":\"status\"}, "
                        + "and a line end"))
        }
        received(command, client)
    }
}
