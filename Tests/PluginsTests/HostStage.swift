import Board
import Foundation
import Memory
import Synchronization
import Testing

@testable import Linux
@testable import Plugins
@testable import Signals

/// A plug-in host in a thread of the test, with rings of its own and a folder for what its plug-ins
/// write.
final class HostStage {
    let folder: String
    let rings: SignalRings
    let readers: SleepingReaders
    private let wake: Int32
    private var control: MessageSocket?
    private let ended = DispatchSemaphore(value: 0)
    /// The thread's folder below `/proc`.
    private let place = Place()
    private var writer: SignalWriter
    private var raised = 0
    private var received: [JSONValue] = []

    /// - Parameter records: in each ring.
    init(
        _ plugins: [PluginOptions], records: Int = 4096, edges: Int = 2,
        times: PluginTimes = PluginTimes(), launcher: [String] = [],
        past: [String: PluginPast] = [:]
    ) throws {
        folder = NSTemporaryDirectory() + "plugins-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let rings = try SignalRings.create(edgeSlots: edges, records: records)
        close(rings.descriptor)
        let readers = try SleepingReaders.create()
        close(readers.descriptor)
        self.rings = rings.rings
        self.readers = readers.readers
        self.rings.setListened(SignalSet.all.rawValue)
        writer = SignalWriter(rings.rings, ring: 0)
        let wake = try EventCounter.make()
        self.wake = try wake.duplicate().release()
        let pair = try MessageSocket.Pair()
        let (own, hosts) = pair.release()
        control = MessageSocket(owning: Descriptor(owning: own))
        var resources = PluginHostResources(
            control: MessageSocket(owning: Descriptor(owning: hosts)), rings: rings.rings,
            readers: readers.readers, reader: 5, wake: wake,
            errors: try FileSystem.openLog(folder + "/error.json"), plugins: plugins,
            folder: folder, runtime: "/run/test")
        resources.times = times
        resources.launcher = launcher
        resources.past = past
        let box = Box(resources)
        let ended = ended
        let place = place
        let thread = Thread {
            place.withLock {
                $0 = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
            }
            box.run()
            ended.signal()
        }
        thread.start()
    }

    deinit {
        close(wake)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Carries the resources into the thread.
    private final class Box: @unchecked Sendable {
        private var resources: PluginHostResources?

        init(_ resources: consuming PluginHostResources) { self.resources = consume resources }

        func run() {
            guard let resources = resources.take() else { return }
            do {
                try runPluginHost(resources)
            } catch {
                Issue.record("the host ended: \(error)")
            }
        }
    }

    private final class Place: Sendable {
        private let path = Mutex<String?>(nil)

        func withLock(_ body: (inout sending String?) -> Void) {
            path.withLock { body(&$0) }
        }

        var value: String? { path.withLock { $0 } }
    }

    /// How often the host's thread has gone to sleep.
    func sleeps() throws -> Int {
        let path = try #require(place.value)
        let text = try String(contentsOfFile: "/proc/\(path)/status", encoding: .utf8)
        let line = try #require(
            text.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") })
        return try #require(Int(line.split(separator: "\t")[1]))
    }

    // MARK: the master's side

    func send(_ command: String, descriptors: [Int32] = []) throws {
        let packet: JSONValue = ["command": .string(command)]
        #expect(try control?.send(packet.bytes, descriptors: descriptors) == .sent)
    }

    /// Waits for a packet with this event; others are dropped.
    func receive(_ event: String, seconds: Double = 20) throws -> JSONValue {
        let end = Date(timeIntervalSinceNow: seconds)
        while Date() < end {
            guard control?.waitReadable(milliseconds: 200) == true else { continue }
            switch try control?.receive() ?? .closed {
            case .packet(let bytes, _):
                if let packet = JSONValue(parsing: bytes), packet["event"]?.text == event {
                    return packet
                }
            case .nothing: continue
            case .closed: throw Missing(event)
            }
        }
        throw Missing(event)
    }

    struct Missing: Error {
        let what: String
        init(_ what: String) { self.what = what }
    }

    /// The status of one plug-in.
    func status(_ name: String) throws -> JSONValue {
        try send("status")
        let all = try receive("status")["plugins"]?.elements ?? []
        return try #require(all.first { $0["name"]?.text == name })
    }

    /// Asks until the status is as it should be.
    func wait(
        _ name: String, seconds: Double = 20, until isGood: (JSONValue) -> Bool
    ) throws {
        let end = Date(timeIntervalSinceNow: seconds)
        while Date() < end {
            if isGood(try status(name)) { return }
            usleep(5000)
        }
        Issue.record("\(name): \(try status(name))")
    }

    /// Stops the host and waits until it is done.
    func stop() throws {
        try send("stop")
        _ = try receive("stopped")
        #expect(ended.wait(timeout: .now() + 20) == .success)
    }

    /// Dies as a master does, and waits until the host is done.
    func dieAsMaster() {
        control = nil
        #expect(ended.wait(timeout: .now() + 20) == .success)
    }

    // MARK: an edge's side

    /// Raises `connection_opened` with the next number, and wakes the host as an edge does.
    func raise(_ count: Int) {
        for _ in 0..<count {
            raised += 1
            writer.connectionOpened(
                ConnectionFacts(
                    connection: UInt64(raised), remote: PeerAddress(ipv4: 1), remotePort: 1),
                listener: "http://x".utf8.span, wall: 0)
        }
        wakeHost()
    }

    /// Raises the three signals of a whole request.
    func raiseRequest(status: UInt16, id: UInt64, wakes: Bool = true) {
        var facts = RequestFacts(
            id: RequestID(high: 1, low: id), wall: 0, remote: .none, remotePort: 0, scheme: .http,
            version: .http11, tls: .none, connection: 1, connectionRequests: 1)
        let head = Array("GET/".utf8)
        facts.method = ByteRange(start: 0, count: 3)
        facts.target = ByteRange(start: 3, count: 1)
        var result = RequestResult()
        result.status = status
        let service = Array("web".utf8)
        let none: [UInt8] = []
        let text = RequestText(
            head: head.span, service: service.span, endpoint: none.span, sni: none.span)
        writer.writeFinished(facts, result, text, wall: 0)
        if wakes { wakeHost() }
    }

    func wakeHost() {
        if writer.takeSleepers(readers) & (1 << 5) != 0 { EventCounter.signal(wake) }
    }

    // MARK: what plug-ins wrote

    func path(_ name: String) -> String { folder + "/" + name }

    /// The JSON lines in a file.
    func lines(_ name: String) throws -> [[String: Any]] {
        let bytes = FileManager.default.contents(atPath: path(name)) ?? Data()
        return try bytes.split(separator: 0x0A).map {
            try JSONSerialization.jsonObject(with: $0) as? [String: Any] ?? [:]
        }
    }

    /// Waits until a file has so many lines.
    func lines(_ name: String, atLeast count: Int, seconds: Double = 20) throws -> [[String: Any]] {
        let end = Date(timeIntervalSinceNow: seconds)
        while Date() < end {
            let bytes = FileManager.default.contents(atPath: path(name)) ?? Data()
            if bytes.count(where: { $0 == 0x0A }) >= count { return try lines(name) }
            usleep(5000)
        }
        return try lines(name)
    }

    /// True when no process is left that runs in this stage's folder; one that was killed may need
    /// a moment.
    func hasNoLeftovers() -> Bool {
        for _ in 0..<1000 {
            if !hasProcesses() { return true }
            usleep(5000)
        }
        return false
    }

    private func hasProcesses() -> Bool {
        let own = getpid()
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { Int32($0) }.contains { pid in
            guard pid != own,
                let folder = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(pid)/cwd")
            else { return false }
            return folder == self.folder
        }
    }
}

/// Plug-ins as people write them.
enum Sample {
    static func plugin(
        _ name: String, _ command: [String], events: SignalSet = .all, filter: String? = nil,
        length: Int = 4096
    ) -> PluginOptions {
        PluginOptions(
            name: name, command: command, events: events, filter: filter, queueLength: length,
            whenFull: .newest)
    }

    /// Writes every line it is given to a file in its folder.
    static func recorder(
        _ name: String = "tap", events: SignalSet = .all, filter: String? = nil, length: Int = 4096
    ) -> PluginOptions {
        plugin(
            name, ["/bin/sh", "-c", "exec cat >> \(name).json"], events: events, filter: filter,
            length: length)
    }

    static func shell(_ name: String, _ script: String, length: Int = 4096) -> PluginOptions {
        plugin(name, ["/bin/sh", "-c", script], length: length)
    }
}
