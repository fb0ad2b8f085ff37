import CLinux
import Testing

@testable import Linux

private func address(_ text: String, _ port: UInt16 = 0) -> SocketAddress {
    SocketAddress(address: text, port: port)!
}

@Suite struct ListeningSocketTests {
    @Test(arguments: ["127.0.0.1", "::1"])
    func `takes a free port and shares it`(host: String) throws {
        let first = try ListeningSocket(tcp: address(host))
        let port = try #require(first.address.port)
        #expect(port != 0)
        let second = try ListeningSocket(tcp: address(host, port))
        #expect(second.address == first.address)
        #expect(ListeningSocket.accepts(first.address))
    }

    @Test func `accepted connections send small pieces at once`() throws {
        let listener = try ListeningSocket(tcp: address("127.0.0.1"))
        let client = try ListeningSocket.connect(to: listener.address)
        #expect(client.number >= 0)
        guard let server = try listener.accept() else {
            throw SystemError("accept4", number: EAGAIN)
        }
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(
            server.number, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &size)
        #expect(result == 0 && value == 1)
    }

    @Test func `a probed peer that has half-closed stays, and one that has closed is found out`()
        throws
    {
        let listener = try ListeningSocket(tcp: address("127.0.0.1"))
        let poller = try Poller()
        func connection(_ token: UInt64) throws -> (near: Int32, far: Int32) {
            let far = try ListeningSocket.connect(to: listener.address)
            guard let near = try listener.accept() else {
                throw SystemError("accept4", number: EAGAIN)
            }
            // Its kernel forgets a closed connection after a second.
            var second: Int32 = 1
            let result = unsafe setsockopt(
                far.number, Int32(IPPROTO_TCP), TCP_LINGER2, &second, 4)
            #expect(result == 0)
            try poller.add(near.number, token: token, writable: false)
            StreamSocket.probePeer(near.number, everySeconds: 1, times: 4)
            return (near.release(), far.release())
        }
        let waiting = try connection(1)
        StreamSocket.shutdownWrite(waiting.far)
        let gone = try connection(2)
        StreamSocket.close(gone.far)
        var broken: [UInt64] = []
        for _ in 0..<600 where broken.isEmpty {
            for index in 0..<(try poller.wait(milliseconds: 100)) {
                let (token, readiness) = poller.event(index)
                if readiness.contains(.failed) { broken.append(token) }
            }
        }
        #expect(broken == [2])
        for socket in [waiting.near, waiting.far, gone.near] { StreamSocket.close(socket) }
    }

    @Test func `both families can be bound side by side`() throws {
        let six = try ListeningSocket(tcp: address("::"))
        let four = try ListeningSocket(tcp: address("0.0.0.0", six.address.port!))
        #expect(four.address.port == six.address.port)
    }

    @Test func `a taken port is EADDRINUSE and names its owner`() throws {
        let holder = try ListeningSocket(tcp: address("127.0.0.1"), sharesPort: false)
        #expect(throws: SystemError("bind", number: EADDRINUSE)) {
            _ = try ListeningSocket(tcp: holder.address)
        }
        let owner = try #require(PortOwner.find(holder.address))
        #expect(owner.pid == ProcessTraits.pid)
        #expect(!owner.name.isEmpty)
    }

    @Test func `a port is not free for one who would share it`() throws {
        let holder = try ListeningSocket(tcp: address("127.0.0.1"), sharesPort: true)
        #expect(throws: SystemError("bind", number: EADDRINUSE)) {
            try ListeningSocket.checkFree(holder.address)
        }
        try ListeningSocket.checkFree(address("127.0.0.1"))
    }

    @Test func `a socket that is only bound lets nobody in and is in the way of nobody`() throws {
        let bound = try ListeningSocket(bound: address("127.0.0.1"))
        #expect(!ListeningSocket.accepts(bound.address))
        let other = try ListeningSocket(tcp: bound.address)
        #expect(ListeningSocket.accepts(other.address))
        try ListeningSocket.startListening(bound.number, backlog: 8)
    }

    @Test func `one that turns clients away still hands out those who wait`() throws {
        let listener = try ListeningSocket(tcp: address("127.0.0.1"))
        let client = try ListeningSocket.connect(to: listener.address)
        try client.writeAll([7])
        try ListeningSocket.turnAway(listener.number)
        #expect(!ListeningSocket.accepts(listener.address))
        do {
            guard let server = try listener.accept() else {
                throw SystemError("accept4", number: EAGAIN)
            }
            #expect(try server.readAvailable(atMost: 8) == [7])
            try server.writeAll([8])
        }
        #expect(try client.readAvailable(atMost: 8) == [8])
        if let another = try listener.accept() { Issue.record("accepted \(another.number)") }
    }

    @Test(arguments: [("127.0.0.1", "0.0.0.0"), ("::1", "::")])
    func `who comes to one that turns clients away meets another socket of the port`(
        one: String, all: String
    ) throws {
        let leaving = try ListeningSocket(tcp: address(one))
        let next = try ListeningSocket(tcp: address(all, leaving.address.port!))
        try ListeningSocket.turnAway(leaving.number)
        let client = try ListeningSocket.connect(to: leaving.address)
        try client.writeAll([7])
        if let wrong = try leaving.accept() { Issue.record("accepted \(wrong.number)") }
        guard let server = try next.accept() else { throw SystemError("accept4", number: EAGAIN) }
        #expect(try server.readAvailable(atMost: 8) == [7])
    }

    @Test func `one that ended to listen does so for every holder and its port is free`() throws {
        let listener = try ListeningSocket(tcp: address("127.0.0.1"))
        let copy = try listener.descriptor.duplicate()
        ListeningSocket.stopListening(listener.number)
        #expect(!ListeningSocket.accepts(listener.address))
        #expect(StreamSocket.accept(copy.number) == .wouldBlock)
        try ListeningSocket.checkFree(listener.address)
        let next = try ListeningSocket(tcp: listener.address)
        #expect(ListeningSocket.accepts(next.address))
    }

    @Test func `a port that only we listen on is told from one that others share`() throws {
        let one = try ListeningSocket(tcp: address("127.0.0.1"))
        #expect(PortOwner.isShared(one.address, only: [one.number]))
        let other = try ListeningSocket(tcp: one.address)
        #expect(!PortOwner.isShared(one.address, only: [one.number]))
        #expect(PortOwner.isShared(one.address, only: [one.number, other.number]))
        var free = address("127.0.0.1")
        do { free = try ListeningSocket(tcp: free).address }
        #expect(!PortOwner.isShared(free, only: [one.number]))
    }

    @Test func `nobody owns a free port`() throws {
        var free = address("127.0.0.1")
        do { free = try ListeningSocket(tcp: address("127.0.0.1")).address }
        #expect(PortOwner.find(free) == nil)
        #expect(!ListeningSocket.accepts(free))
    }

    @Test func `a Unix socket has its mode from the first moment and goes with unlink`() throws {
        let path = "/tmp/linux-tests-\(ProcessTraits.pid).sock"
        try FileSystem.remove(path)
        let socket = try ListeningSocket(unix: path, mode: 0o600)
        let status = try FileSystem.status(of: path)
        #expect(status.isSocket && status.mode == 0o600)
        #expect(status.user == ProcessTraits.effectiveUser)
        let client = try ListeningSocket.connect(to: socket.address)
        guard let server = try socket.accept() else { throw SystemError("accept4", number: EAGAIN) }
        try client.writeAll([1, 2, 3])
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(unsafe read(server.number, &bytes, 8) == 3)
        if let another = try socket.accept() { Issue.record("accepted \(another.number)") }
        #expect(throws: SystemError("bind", number: EADDRINUSE)) {
            _ = try ListeningSocket(unix: path)
        }
        try FileSystem.remove(path)
        #expect(!ListeningSocket.accepts(try SocketAddress.unix(path: path)))
    }

    @Test func `a Unix socket whose queue is full is there all the same`() throws {
        let path = "/tmp/linux-tests-full-\(ProcessTraits.pid).sock"
        try FileSystem.remove(path)
        let socket = try ListeningSocket(unix: path, mode: 0o600, backlog: 0)
        // Connections that nobody accepts stay in the queue when their clients have gone.
        for _ in 0..<8 { #expect(ListeningSocket.accepts(socket.address)) }
        try FileSystem.remove(path)
    }

    @Test(.enabled(if: ProcessTraits.isRoot))
    func `root makes a Unix socket for somebody else`() throws {
        let path = "/tmp/linux-tests-owner-\(ProcessTraits.pid).sock"
        try FileSystem.remove(path)
        let nobody = try #require(Account.named("nobody"))
        let socket = try ListeningSocket(unix: path, mode: 0o600, owner: nobody)
        #expect(try FileSystem.status(of: path).user == nobody.user)
        _ = socket.number
        try FileSystem.remove(path)
    }

    @Test func `a path over 107 bytes is refused`() {
        let path = "/tmp/" + String(repeating: "x", count: 103)
        #expect(path.utf8.count == 108)
        #expect(throws: SystemError("bind", number: ENAMETOOLONG)) {
            _ = try ListeningSocket(unix: path)
        }
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"),
        ("::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80"),
    ])
    func `addresses are written as people write them`(text: String, expected: String) {
        #expect(address(text, 80).description == expected)
    }

    @Test(arguments: ["localhost", "1.2.3", "", "1.2.3.4.5", "::g", "[::1]"])
    func `what is no address is none`(text: String) {
        #expect(SocketAddress(address: text, port: 1) == nil)
    }

    @Test func `reads listening inodes out of the kernel's table`() {
        func line(_ local: String, _ state: String, _ inode: Int) -> String {
            "  0: \(local) 00000000:0000 \(state) 0:0 00:0 0 0 0 \(inode) 1"
        }
        let table = [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid inode",
            line("0100007F:1F90", "0A", 4711), line("0100007F:1F90", "01", 4712),
            line("00000000:0050", "0A", 4713),
        ].joined(separator: "\n")
        func found(_ text: String, _ port: UInt16) -> Set<String> {
            PortOwner.listeningInodes(in: table, inTheWayOf: address(text, port))
        }
        #expect(found("127.0.0.1", 8080) == ["4711"])
        #expect(found("0.0.0.0", 8080) == ["4711"])
        #expect(found("127.0.0.2", 8080) == [])
        #expect(found("127.0.0.1", 80) == ["4713"])
        #expect(found("::1", 80) == [])
        #expect(found("127.0.0.1", 81) == [])
    }

    @Test func `reads listening inodes of IPv6 out of the kernel's table`() {
        func line(_ local: String, _ inode: Int) -> String {
            "  0: \(local) \(String(repeating: "0", count: 32)):0000 0A 0:0 00:0 0 0 0 \(inode) 1"
        }
        let table = [
            "  sl  local_address", line("00000000000000000000000001000000:1F90", 5),
            line("00000000000000000000000000000000:0050", 6),
        ].joined(separator: "\n")
        func found(_ text: String, _ port: UInt16) -> Set<String> {
            PortOwner.listeningInodes(in: table, inTheWayOf: address(text, port))
        }
        #expect(found("::1", 8080) == ["5"])
        #expect(found("::", 8080) == ["5"])
        #expect(found("::2", 8080) == [])
        #expect(found("127.0.0.1", 8080) == [])
        #expect(found("::1", 80) == ["6"])
        #expect(found("127.0.0.1", 80) == ["6"])
    }
}
