import CLinux
import Testing

@testable import Linux

private let demo = "services: { demo: { demo: true, workers: 2 } }\n"

/// A program that answers one connection after the other with its process id, on the socket that it
/// inherits.
private let inheriting = """
    import os, socket
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    s = socket.socket(fileno=3)
    while True:
        c, _ = s.accept()
        c.setblocking(True)
        if c.recv(65536):
            b = b"pid %d" % os.getpid()
            c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(b) + b)
        c.close()
    """

/// The real binary: process life. What requests see is for the scenario tests.
@Suite(.serialized) struct MasterTests {
    @Test func `it starts, answers, and TERM leaves nothing behind`() throws {
        let proxy = try RunningProxy(demo)
        let url = try proxy.ready()
        #expect(try proxy.get(url).contains("\"service\":\"demo\""))
        let below = ProcessTable.descendants(of: proxy.pid)
        #expect(below.count == 4)
        #expect(try proxy.workerSockets().count == 2)
        #expect(try FileSystem.status(of: proxy.socket).mode == 0o600)
        proxy.send(SIGTERM)
        #expect(try proxy.exit() == .exited(code: 0))
        #expect(below.filter(ProcessTable.isAlive).isEmpty)
        #expect(try FileSystem.names(in: "\(proxy.folder)/run").isEmpty)
    }

    @Test(.enabled(if: RunningProxy.asNobody != nil, "nobody can be become, and reach it"))
    func `it runs as an ordinary user as well`() throws {
        let launcher = try #require(RunningProxy.asNobody)
        let proxy = try RunningProxy(demo, launcher: launcher)
        let url = try proxy.ready()
        #expect(try proxy.get(url).contains("\"service\":\"demo\""))
        #expect(try proxy.ask(["command": "reload"])["result"]?["generation"]?.whole == 2)
        #expect(try proxy.ask(["command": "stop"])["ok"]?.boolean == true)
        #expect(try proxy.exit() == .exited(code: 0))
    }

    @Test(.enabled(if: ProcessTraits.isRoot))
    func `as root, what meets the network runs as nobody and only the master stays root`() throws {
        let proxy = try RunningProxy(demo)
        _ = try proxy.ready()
        for pid in ProcessTable.descendants(of: proxy.pid) {
            let user = try until("\(pid) to drop") { () -> String? in
                let user = try ProcessTable.user(of: pid)
                return user == "0" ? nil : user
            }
            #expect(user == "65534")
        }
        #expect(try ProcessTable.user(of: proxy.pid) == "0")
        for name in try proxy.workerSockets() {
            let status = try FileSystem.status(of: "\(proxy.folder)/run/workers/\(name)")
            #expect(status.mode == 0o600 && status.user == 65534)
        }
        #expect(try FileSystem.status(of: "\(proxy.folder)/run/workers").mode == 0o711)
    }

    @Test(.enabled(if: ProcessTraits.isRoot, "nobody else sees the descriptors of edges"))
    func `children have exactly the descriptors they are given`() throws {
        let folder = "/tmp/supervision-tests-program-\(ProcessTraits.pid)"
        try FileSystem.makeFolder(folder)
        defer { try? FileSystem.removeTree(folder) }
        try FileSystem.write(Array(inheriting.utf8), to: "\(folder)/program.py")
        let proxy = try RunningProxy(
            """
            services:
              tool: { command: [/usr/bin/python3, \(folder)/program.py], workers: 1 }
              demo: { demo: true, workers: 1 }
            routes: [{ path: /demo/, to: demo }, { to: tool }]

            """)
        let url = try proxy.ready()
        let program = try #require(try proxy.workerPids("tool").first)
        #expect(try proxy.get(url, "/").contains("pid \(program)"))
        // The connection it answered on is closed by the program a moment after the answer.
        let own = try until("the program to close its connection") { () -> [Int]? in
            let open = try ProcessTable.descriptors(of: Int32(program)).keys.sorted()
            return open.count <= 4 ? open : nil
        }
        #expect(own == [0, 1, 2, 3])
        let admin = Set(
            try ProcessTable.descriptors(of: proxy.pid).values.filter { $0.contains("admin.sock") })
        #expect(admin.count == 1)
        for pid in ProcessTable.descendants(of: proxy.pid) {
            let open = try ProcessTable.descriptors(of: pid)
            #expect(admin.isDisjoint(with: open.values), "\(pid) has \(open)")
            #expect(!open.values.contains { $0.contains("role-sheet") }, "\(pid) has \(open)")
        }
        // The master keeps no copy of a worker's socket: a dead worker has to refuse.
        let sockets = try ProcessTable.descriptors(of: Int32(program))[3]
        #expect(!(try ProcessTable.descriptors(of: proxy.pid)).values.contains(sockets ?? ""))
    }

    @Test func `a killed edge is back and the other one never notices`() throws {
        let proxy = try RunningProxy(demo)
        let url = try proxy.ready()
        let before = try proxy.edgePids()
        kill(Int32(before[0]), SIGKILL)
        #expect(try proxy.event("edge_exited")["status"]?.text == "signal 9 (Killed)")
        let after = try until("two edges") { () -> [Int]? in
            let edges = try proxy.status()["edges"]?.elements ?? []
            let pids = edges.filter { $0["state"]?.text == "ready" }.compactMap { $0["pid"]?.whole }
            return pids.count == 2 && !pids.contains(before[0]) ? pids : nil
        }
        #expect(after.contains(before[1]))
        let restarts = try proxy.status()["edges"]?.elements?.compactMap { $0["restarts"]?.whole }
        #expect(restarts?.sorted() == [0, 1])
        for _ in 0..<20 { #expect(try proxy.get(url).contains("200 OK")) }
    }

    @Test func `a killed worker is replaced in its slot`() throws {
        let proxy = try RunningProxy(demo)
        let url = try proxy.ready()
        let before = try until("two workers") { () -> [Int]? in
            let pids = try proxy.workerPids("demo")
            return pids.count == 2 ? pids : nil
        }
        kill(Int32(before[0]), SIGKILL)
        _ = try until("its successor") { () -> Bool? in
            let pids = try proxy.workerPids("demo")
            return pids.count == 2 && !pids.contains(before[0]) ? true : nil
        }
        #expect(try proxy.event("worker_exited")["reason"]?.text == "signal")
        #expect(try proxy.get(url).contains("200 OK"))
        #expect(try proxy.workerSockets().count == 2)
    }

    @Test func `when the master is killed everything else ends`() throws {
        let proxy = try RunningProxy(
            """
            services:
              tool: { command: [/bin/sh, -c, "trap '' TERM; sleep 600 & sleep 600", "{socket}"] }
              demo: { demo: true, workers: 1 }
            routes: [{ path: /demo/, to: demo }, { to: tool }]
            plugins: [{ name: deaf, command: [/bin/sleep, "600"] }]

            """)
        // The program never listens: the start does not wait for it for ever, and this test not at
        // all.
        let below = try until("everybody") { () -> [Int32]? in
            let found = ProcessTable.descendants(of: proxy.pid)
            let names = found.compactMap { try? FileSystem.readText("/proc/\($0)/comm") }
            return names.filter { $0 == "sleep\n" }.count >= 5 ? found : nil
        }
        proxy.send(SIGKILL)
        #expect(try proxy.exit() == .signalled(number: SIGKILL))
        _ = try until("the end of \(below)") {
            below.contains(where: ProcessTable.isAlive) ? nil : true
        }
    }

    @Test func `a second TERM ends at once what a first one waits for`() throws {
        let proxy = try RunningProxy(demo)
        let url = try proxy.ready()
        let port = UInt16(url.split(separator: ":").last!)!
        let client = try ListeningSocket.connect(
            to: SocketAddress(address: "127.0.0.1", port: port)!)
        try client.writeAll(
            Array("GET /sleep?seconds=60 HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
        _ = try until("a request in work") { () -> Bool? in
            let endpoints = try proxy.status()["services"]?["demo"]?["endpoints"]?.elements
            return endpoints?.contains { $0["in_flight"]?.whole == 1 } == true ? true : nil
        }
        proxy.send(SIGTERM)
        try proxy.event("stopping")
        proxy.send(SIGTERM)
        try proxy.event("stopping_now")
        #expect(try proxy.exit() == .exited(code: 0))
    }
}
