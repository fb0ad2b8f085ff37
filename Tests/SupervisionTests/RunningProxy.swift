import CLinux
import Testing

@testable import Linux

/// What a test waited for and did not get.
struct DidNotCome: Error, CustomStringConvertible {
    let what: String
    var description: String { "\(what) did not come" }
}

/// Waits until `condition` gives something, within a bound that decides nothing else.
func until<Value>(_ what: String, _ condition: () throws -> Value?) throws -> Value {
    let end = Clock.monotonic + 30_000_000_000
    while true {
        if let value = try condition() { return value }
        guard Clock.monotonic < end else { throw DidNotCome(what: what) }
        usleep(10_000)
    }
}

/// The real binary with a configuration of its own, in a folder of its own.
final class RunningProxy {
    let folder: String
    private let process: ChildProcess
    private var output: OutputPipe
    private(set) var lines: [String] = []
    private var found: ProcessEnd?

    var pid: Int32 { process.pid }
    var socket: String { "\(folder)/run/admin.sock" }
    var configuration: String { "\(folder)/proxy.yaml" }

    /// The program that was built beside this test.
    static let binary: String = {
        let own = (try? FileSystem.target(ofLink: "/proc/self/exe")) ?? ""
        return "\(own[..<(own.lastIndex(of: "/") ?? own.endIndex)])/proxy"
    }()

    /// The words that start a program as nobody; nil where we may not, or it could not be reached.
    static let asNobody: [String]? = {
        let words = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        guard ProcessTraits.isRoot else { return nil }
        let trial = ProcessLaunch(
            program: words[0], arguments: words + ["/usr/bin/test", "-x", binary], environment: [])
        return (try? trial.start().waitForExit()) == .exited(code: 0) ? words : nil
    }()

    /// - Parameters:
    ///   - services: YAML after the folders and the listener on a free port.
    ///   - launcher: words in front of the command.
    init(
        _ services: String, listen: String = "http://127.0.0.1:0", launcher: [String] = [],
        environment: [String] = [], sharing other: RunningProxy? = nil
    ) throws {
        let number = Clock.monotonic
        folder = "/tmp/supervision-tests-\(ProcessTraits.pid)-\(number)"
        try FileSystem.makeFolder(folder, mode: 0o755)
        if !launcher.isEmpty {
            try FileSystem.changeOwner(folder, user: 65534, group: 65534)
        }
        let place = other?.folder ?? folder
        let text = """
            listen: "\(listen)"
            edges: 2
            timeout: { drain: 20s }
            directories: { runtime: \(place)/run, state: \(place)/state }

            """
        try FileSystem.write(Array((text + services).utf8), to: "\(folder)/proxy.yaml")
        let words = launcher + [Self.binary, "--conf", "\(folder)/proxy.yaml"]
        var launch = ProcessLaunch(
            program: words[0], arguments: words,
            environment: ["PATH=/usr/bin:/bin", "HOME=\(folder)"] + environment)
        let (reader, writer) = try OutputPipe.pipe().release()
        let end = Descriptor(owning: writer)
        output = OutputPipe(owning: Descriptor(owning: reader))
        launch.give(end.number, as: 2)
        process = try launch.start()
    }

    deinit {
        if found == nil {
            process.send(SIGKILL)
            _ = try? process.waitForExit()
        }
        try? FileSystem.removeTree(folder)
    }

    /// Writes the configuration anew, with this in the place of `old`.
    func change(_ old: String, to new: String) throws {
        let text = try FileSystem.readText(configuration)
        try FileSystem.write(
            Array(text.replacing(old, with: new).utf8), to: configuration)
    }

    /// The first event of this name on standard error that was not taken before.
    @discardableResult
    func event(_ name: String) throws -> JSONValue {
        try until("event \(name) in \(lines)") {
            lines += output.lines()
            for (position, line) in lines.enumerated() {
                if let value = JSONValue(parsing: Array(line.utf8)), value["event"]?.text == name {
                    lines.remove(at: position)
                    return value
                }
            }
            if let end = process.reap() { found = end }
            if output.isClosed { throw DidNotCome(what: "event \(name) before the end: \(lines)") }
            return nil
        }
    }

    /// The ready event's first URL.
    func ready() throws -> String {
        try event("ready")["listen"]?.elements?.first?.text ?? ""
    }

    func send(_ signal: Int32) { process.send(signal) }

    /// Waits for the end.
    func exit() throws -> ProcessEnd {
        let end = try until("the end of \(pid)") {
            lines += output.lines()
            return found ?? process.reap()
        }
        found = end
        while !output.isClosed { lines += output.lines() }
        return end
    }

    /// Speaks to the control socket.
    func ask(_ command: JSONValue) throws -> JSONValue {
        let connection = try ListeningSocket.connect(to: try SocketAddress.unix(path: socket))
        try connection.writeAll(command.bytes + [0x0A])
        var bytes: [UInt8] = []
        while let more = try connection.readAvailable(atMost: 65536), !more.isEmpty {
            bytes += more
        }
        guard let value = JSONValue(parsing: bytes) else { throw DidNotCome(what: "an answer") }
        return value
    }

    func status() throws -> JSONValue { try ask(["command": "status"])["result"] ?? .null }

    func edgePids() throws -> [Int] {
        try status()["edges"]?.elements?.compactMap { $0["pid"]?.whole } ?? []
    }

    /// The processes of a service's workers that are ready.
    func workerPids(_ service: String) throws -> [Int] {
        try status()["services"]?[service]?["endpoints"]?.elements?
            .filter { $0["state"]?.text == "ready" }.compactMap { $0["pid"]?.whole } ?? []
    }

    /// The names of the sockets that workers have.
    func workerSockets() throws -> [String] {
        try FileSystem.names(in: "\(folder)/run/workers").filter { $0.hasSuffix(".sock") }
    }

    /// The body of an answer, over a connection of its own.
    func get(_ url: String, _ target: String = "/worker") throws -> String {
        let port = url.split(separator: ":").last.flatMap { UInt16($0) } ?? 0
        let address = SocketAddress(address: "127.0.0.1", port: port)!
        let connection = try ListeningSocket.connect(to: address)
        try connection.writeAll(
            Array("GET \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8))
        var bytes: [UInt8] = []
        while let more = try connection.readAvailable(atMost: 65536), !more.isEmpty {
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What `/proc` says about processes.
enum ProcessTable {
    /// Everything that descends from a process.
    static func descendants(of root: Int32) -> [Int32] {
        var parents: [Int32: Int32] = [:]
        for name in (try? FileSystem.names(in: "/proc")) ?? [] {
            guard let pid = Int32(name), let parent = parent(of: pid) else { continue }
            parents[pid] = parent
        }
        var found: [Int32] = []
        var next = [root]
        while let pid = next.popLast() {
            let children = parents.filter { $0.value == pid }.map(\.key)
            found += children
            next += children
        }
        return found
    }

    private static func parent(of pid: Int32) -> Int32? {
        guard let text = try? FileSystem.readText("/proc/\(pid)/stat"),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.count > 1 && fields[0] != "Z" ? Int32(fields[1]) : nil
    }

    static func isAlive(_ pid: Int32) -> Bool { parent(of: pid) != nil }

    /// What each open descriptor of a process leads to.
    static func descriptors(of pid: Int32) throws -> [Int: String] {
        var found: [Int: String] = [:]
        for name in try FileSystem.names(in: "/proc/\(pid)/fd") {
            guard let number = Int(name) else { continue }
            found[number] = try? FileSystem.target(ofLink: "/proc/\(pid)/fd/\(name)")
        }
        return found
    }

    /// The real user of a process.
    static func user(of pid: Int32) throws -> String? {
        try FileSystem.readText("/proc/\(pid)/status").split(separator: "\n")
            .first { $0.hasPrefix("Uid:") }?.split(separator: "\t").dropFirst().first.map(
                String.init)
    }
}
