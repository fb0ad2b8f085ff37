import CLinux
import Testing

@testable import Linux

/// The real binary: what a reload and a roll change, and what they leave alone.
@Suite(.serialized) struct ReloadTests {
    private static let two = """
        services:
          one: { demo: true, workers: 1 }
          two: { demo: true, workers: 1 }
        routes: [{ path: /two/, strip: /two, to: two }, { to: one }]

        """

    @Test func `a reload without changes replaces edges and touches no worker`() throws {
        let proxy = try RunningProxy(Self.two)
        let url = try proxy.ready()
        let edges = try proxy.edgePids()
        let workers = try proxy.workerPids("one") + proxy.workerPids("two")
        let answer = try proxy.ask(["command": "reload"])
        #expect(answer["result"]?["generation"]?.whole == 2)
        #expect(answer["result"]?["services"]?.text == "app code unchanged")
        let fresh = try proxy.status()["edges"]?.elements?
            .filter { $0["generation"]?.whole == 2 }.compactMap { $0["pid"]?.whole }
        #expect(fresh?.count == 2 && Set(fresh ?? []).isDisjoint(with: edges))
        _ = try until("the end of the old edges") { () -> Bool? in
            edges.contains { ProcessTable.isAlive(Int32($0)) } ? nil : true
        }
        #expect(try proxy.workerPids("one") + proxy.workerPids("two") == workers)
        #expect(try proxy.get(url).contains("200 OK"))
    }

    @Test func `only the service whose settings changed gets new workers`() throws {
        let proxy = try RunningProxy(Self.two)
        let url = try proxy.ready()
        let one = try proxy.workerPids("one")
        let two = try proxy.workerPids("two")
        try proxy.change("two: { demo: true, workers: 1 }", to: "two: { demo: true, workers: 2 }")
        #expect(try proxy.ask(["command": "reload"])["ok"]?.boolean == true)
        #expect(try proxy.workerPids("one") == one)
        let now = try proxy.workerPids("two")
        #expect(now.count == 2 && !now.contains(two[0]))
        _ = try until("the end of the old worker") {
            ProcessTable.isAlive(Int32(two[0])) ? nil : true
        }
        #expect(try proxy.get(url, "/two/worker").contains("200 OK"))
    }

    @Test func `a configuration with an error changes nothing and is answered with its place`()
        throws
    {
        let proxy = try RunningProxy(Self.two)
        let url = try proxy.ready()
        let edges = try proxy.edgePids()
        try proxy.change("workers: 1", to: "worker: 1")
        let answer = try proxy.ask(["command": "reload"])
        #expect(answer["ok"]?.boolean == false)
        #expect(answer["exit"]?.whole == 78)
        #expect(answer["diagnostics"]?.elements?.count == 2)
        #expect(answer["diagnostics"]?.elements?.first?["key"]?.text == "services.one.worker")
        try proxy.event("config_rejected")
        #expect(try proxy.edgePids() == edges)
        #expect(try proxy.status()["generation"]?.whole == 1)
        #expect(try proxy.get(url).contains("200 OK"))
        proxy.send(SIGHUP)
        try proxy.event("config_rejected")
    }

    @Test func `a program that cannot start is refused by a reload and the old one serves on`()
        throws
    {
        let proxy = try RunningProxy(Self.two)
        let url = try proxy.ready()
        try proxy.change(
            "two: { demo: true, workers: 1 }", to: "two: { command: [/bin/false], workers: 1 }")
        let answer = try proxy.ask(["command": "reload"])
        #expect(answer["ok"]?.boolean == false)
        #expect(answer["exit"]?.whole == 1)
        #expect(try proxy.get(url, "/two/worker").contains("200 OK"))
        try proxy.change(
            "two: { command: [/bin/false], workers: 1 }", to: "two: { demo: true, workers: 1 }")
        #expect(try proxy.ask(["command": "reload"])["ok"]?.boolean == true)
    }

    @Test func `USR2 rolls every worker while requests go on`() throws {
        let proxy = try RunningProxy(Self.two)
        let url = try proxy.ready()
        let before = try proxy.workerPids("one") + proxy.workerPids("two")
        proxy.send(SIGUSR2)
        for _ in 0..<10 { #expect(try proxy.get(url).contains("200 OK")) }
        try proxy.event("rolled")
        try proxy.event("rolled")
        let after = try proxy.workerPids("one") + proxy.workerPids("two")
        #expect(after.count == 2)
        #expect(Set(after).isDisjoint(with: before))
    }

    @Test func `USR1 begins new log files`() throws {
        let proxy = try RunningProxy(
            "logs: { error: { path: error.json } }\n" + Self.two)
        _ = try proxy.ready()
        let log = "\(proxy.folder)/error.json"
        #expect(try FileSystem.readText(log).contains("\"ready\""))
        try FileSystem.rename(log, to: "\(log).1")
        proxy.send(SIGUSR1)
        _ = try until("the new file") { () -> Bool? in
            (try? FileSystem.readText(log))?.contains("logs_reopened") == true ? true : nil
        }
    }

    @Test func `names of upstreams are looked up by the resolver`() throws {
        let proxy = try RunningProxy(
            """
            services: { up: { upstreams: ["http://localhost:9"] } }

            """)
        _ = try proxy.ready()
        let endpoints = try proxy.status()["services"]?["up"]?["endpoints"]?.elements ?? []
        #expect(endpoints.contains { $0["name"]?.text == "127.0.0.1:9" })
        let resolver = ProcessTable.descendants(of: proxy.pid).filter {
            (try? FileSystem.readText("/proc/\($0)/comm")) == "proxy: resolve\n"
        }
        #expect(resolver.count == 1)
        kill(resolver[0], SIGKILL)
        try proxy.event("resolver_exited")
        _ = try until("another resolver") { () -> Bool? in
            let found = ProcessTable.descendants(of: proxy.pid).contains {
                (try? FileSystem.readText("/proc/\($0)/comm")) == "proxy: resolve\n"
            }
            return found ? true : nil
        }
        let now = try proxy.status()["services"]?["up"]?["endpoints"]?.elements ?? []
        #expect(now == endpoints)
    }
}

/// The real binary: starts that end.
@Suite(.serialized) struct StartTests {
    private static let demo = "services: { demo: { demo: true, workers: 1 } }\n"

    @Test func `a taken port is 69 and names its owner`() throws {
        let holder = try ListeningSocket(
            tcp: SocketAddress(address: "127.0.0.1", port: 0)!, sharesPort: true)
        let proxy = try RunningProxy(Self.demo, listen: "http://\(holder.address)")
        #expect(try proxy.exit() == .exited(code: 69))
        let text = proxy.lines.joined(separator: "\n")
        #expect(text.contains("\(holder.address) is taken by "))
        #expect(text.contains("(pid \(ProcessTraits.pid))"))
    }

    @Test func `a second instance is 69 and the first goes on`() throws {
        let first = try RunningProxy(Self.demo)
        let url = try first.ready()
        let second = try RunningProxy(Self.demo, sharing: first)
        #expect(try second.exit() == .exited(code: 69))
        #expect(
            second.lines.joined().contains(
                "another proxy (pid \(first.pid)) answers on \(first.socket)"))
        #expect(try first.get(url).contains("200 OK"))
    }

    @Test func `it starts over what a killed one left`() throws {
        let first = try RunningProxy(Self.demo)
        _ = try first.ready()
        first.send(SIGKILL)
        _ = try first.exit()
        let second = try RunningProxy(Self.demo, sharing: first)
        let url = try second.ready()
        #expect(try second.get(url).contains("200 OK"))
        second.send(SIGTERM)
        #expect(try second.exit() == .exited(code: 0))
    }

    @Test func `an app that cannot be imported ends the start with 1 and the cause`() throws {
        let folder = "/tmp/supervision-tests-app-\(ProcessTraits.pid)"
        try FileSystem.makeFolder(folder)
        defer { try? FileSystem.removeTree(folder) }
        try FileSystem.write(
            Array("raise RuntimeError('out of tea')\n".utf8), to: "\(folder)/bad.py")
        let proxy = try RunningProxy(
            """
            services:
              web: { app: "bad:app", dir: \(folder), python: /usr/bin/python3, workers: 1 }

            """)
        #expect(try proxy.exit() == .exited(code: 1))
        #expect(proxy.lines.last?.contains("RuntimeError: out of tea") == true)
    }

    @Test func `the one who started it is told that it is ready`() throws {
        let path = "/tmp/supervision-tests-notify-\(ProcessTraits.pid)"
        try FileSystem.remove(path)
        let receiver = Descriptor(
            owning: socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        let address = try SocketAddress.unix(path: path)
        let bound = unsafe address.withRaw { raw, size in
            unsafe clinux_address_bind(receiver.number, raw, size)
        }
        #expect(bound == 0)
        let proxy = try RunningProxy(Self.demo, environment: ["NOTIFY_SOCKET=\(path)"])
        _ = try proxy.ready()
        #expect(try receiver.readAvailable(atMost: 64) == Array("READY=1".utf8))
        try FileSystem.remove(path)
    }

    /// The words that start a program as the first of its own process IDs; nil where we may not.
    private static let asFirstProcess: [String]? = {
        let words = ["/usr/bin/unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
        let trial = ProcessLaunch(
            program: words[0], arguments: words + ["/bin/true"], environment: [])
        return (try? trial.start().waitForExit()) == .exited(code: 0) ? words : nil
    }()

    @Test(.enabled(if: asFirstProcess != nil, "no process IDs of its own are allowed here"))
    func `it works as the first process of a container`() throws {
        let words = try #require(Self.asFirstProcess)
        let proxy = try RunningProxy(Self.demo, launcher: words)
        let url = try proxy.ready()
        #expect(try proxy.get(url).contains("200 OK"))
        #expect(try proxy.status()["pid"]?.whole == 1)
        #expect(try proxy.ask(["command": "stop"])["ok"]?.boolean == true)
        #expect(try proxy.exit() == .exited(code: 0))
    }
}
