import Board
import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals
import Synchronization
import Testing

@testable import Edge

/// What clients ask, what endpoints do, and what was seen.
final class Traffic {
    let world: SimulatedWorld
    var requestBytes: [Int: Int] = [:]
    var reached: [Int: Int] = [:]
    var answered: [Int: Int] = [:]
    var complaints: [String] = []
    var gaveUp = 0
    private var number = 0

    init(seed: UInt64) { world = SimulatedWorld(seed: seed) }

    func complain(_ text: String) { complaints.append(text) }

    func makeRequest(_ kinds: [AnswerKind]) -> SimulatedClient.Request {
        number += 1
        let kind = kinds.randomElement(using: &world.random)!
        let sizes = [0, 1, 100, 4000, 30_000, 150_000]
        let hasBody = Int.random(in: 0..<3, using: &world.random) == 0 || kind == .hasty
        let isOld = !hasBody && Int.random(in: 0..<8, using: &world.random) == 0
        return SimulatedClient.Request(
            number: number,
            method: hasBody
                ? "POST"
                : Int.random(in: 0..<8, using: &world.random) == 0 && kind != .close
                    ? "HEAD" : "GET",
            kind: kind, size: sizes.randomElement(using: &world.random)!,
            bodyBytes: hasBody
                ? [1, 500, 20_000, 140_000].randomElement(using: &world.random)! : 0,
            isChunked: hasBody && Bool.random(using: &world.random), isOldVersion: isOld)
    }
}

/// An edge on a simulated network, with endpoints of one service.
final class SimulatedEdge {
    let traffic: Traffic
    var edge: EdgeLoop<SimulatedNetwork>
    let table: Table
    let board: MetricsBoard
    private let logNames: [String]?

    private static let count = Mutex(0)
    private static func number() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }

    deinit {
        for name in logNames ?? [] { try? FileSystem.remove(name) }
    }

    /// The lines of a log so far; the access log is written within a second.
    private func lines(_ log: Int) -> [JSONValue] {
        let text = logNames.flatMap { try? FileSystem.readText($0[log]) } ?? ""
        return text.split(separator: "\n").compactMap { JSONValue(parsing: Array($0.utf8)) }
    }

    var accessLines: [JSONValue] {
        turn(for: 1_100_000_000)
        return lines(0)
    }
    var errorLines: [JSONValue] { lines(1) }

    /// - Parameters:
    ///   - options: further lines of the configuration.
    ///   - limits: further limits.
    ///   - logs: whether its logs are kept, to be read as `accessLines` and `errorLines`.
    init(
        seed: UInt64, service: String, endpoints: Int, capacity: Int, kind: EndpointKind,
        options: String = "", limits: String = "", spool: String = "/tmp",
        listener: String = "http://127.0.0.1:8080", logs: Bool = false
    ) throws {
        let stem = "/tmp/edge-\(ProcessTraits.pid)-\(Self.number())"
        logNames = logs ? ["\(stem).access", "\(stem).errors"] : nil
        traffic = Traffic(seed: seed)
        let yaml = """
            listen: ["\(listener)"]
            edges: 1
            limits: { connections: 64 \(limits) }
            \(options)
            directories: { runtime: /tmp, state: /tmp, spool: \(spool) }
            services: { web: \(service) }
            """
        let schema = Schema([
            FrontOptions.keys, EdgeOptions.keys, DirectoryOptions.keys, ServiceOptions.keys,
            RouteOptions.keys, LogOptions.keys,
            Keys([], later: ["services.*.dir", "services.*.python"]),
        ])
        let (configuration, diagnostics) = schema.read(
            yaml: Array(yaml.utf8), file: "test.yaml", folder: "/tmp", environment: [:])
        guard !diagnostics.hasErrors else { throw TestFailure(text: "\(diagnostics)") }
        let effective = configuration.effective
        let layout = TableLayout(services: 4, endpoints: 16, edgeSlots: 4, requestsPerEdge: 128)
        table = try Table.create(layout).table
        board = try MetricsBoard.create(edgeSlots: 4, services: 4).board
        let rings = try SignalRings.create(edgeSlots: 4, records: 16).rings
        let slot = try table.addService(name: "web", queueLimit: 1000)
        for number in 1...endpoints {
            let path = Array("/worker/\(number)".utf8)
            let reference = try table.addEndpoint(
                EndpointPlan(
                    service: slot, kind: kind, capacity: capacity, number: number,
                    address: .unix(path: path)))
            table.setProcess(Int32(number), of: reference)
            _ = table.setState(.ready, of: reference)
            traffic.world.servers[path] = { [unowned traffic] in SimulatedServer(traffic) }
        }
        let identity = try table.openEdge(number: 0, configuration: 1)
        let front = FrontOptions(effective)
        let routes = RouteTable(effective)
        edge = EdgeLoop(
            network: SimulatedNetwork(world: traffic.world),
            settings: EdgeSettings(
                effective, routes: routes.routes,
                sockets: [BoundListener(number: 0, port: 8080, url: listener)],
                slots: ["web": slot]),
            routes: routes, services: ServiceOptions.all(effective), identity: identity,
            table: table, counters: board.block(identity.slot),
            journal: EdgeJournal(
                signals: SignalWriter(rings, ring: identity.slot), readers: nil, hostWakers: [],
                access: AccessLogBuffer(format: .json), accessFile: Self.open(logNames?[0]),
                errorFile: Self.open(logNames?[1]), level: .info,
                counters: board.block(identity.slot)),
            balancer: Balancer(
                table: table, edge: identity,
                services: [ServicePlan(service: slot, ServiceOptions.all(effective)[0])],
                waiters: 64, seed: seed),
            capacities: EdgeCapacities(connections: 64),
            orders: Orders(nil, wake: -1, drain: front), seed: (seed, seed &+ 1))
        edge.isAccepting = true
        edge.setListening(true)
    }

    /// A log's descriptor, which the journal owns; -1 for none.
    private static func open(_ name: String?) -> Int32 {
        guard let name, let file = try? FileSystem.openLog(name) else { return -1 }
        return file.release()
    }

    /// Turns the edge until a condition holds.
    ///
    /// - Returns: whether it came to hold.
    func turn(until condition: () -> Bool) -> Bool {
        for _ in 0..<60_000 {
            if condition() { return true }
            _ = edge.turn()
        }
        return condition()
    }

    /// Lets so many nanoseconds pass.
    func turn(for nanoseconds: UInt64) {
        let end = traffic.world.now + nanoseconds
        var isOver = false
        traffic.world.at(nanoseconds) { isOver = true }
        _ = turn { isOver && traffic.world.now >= end }
    }

    /// Turns the edge until nothing happens any more, and complains about everything that is left
    /// over.
    func run() {
        var turns = 0
        while turns < 60_000,
            !traffic.world.isIdle || edge.ready.count > 0 || edge.clients.count > 0
        {
            _ = edge.turn()
            turns += 1
        }
        traffic.complaints += traffic.world.faults.sorted()
        if edge.clients.count > 0 { traffic.complain("\(edge.clients.count) clients are left") }
        edge.drain(within: 0, closesIdle: true)
        for _ in 0..<100 { _ = edge.turn() }
        func check(_ count: Int, _ what: String) {
            if count != 0 { traffic.complain("\(count) \(what) left over") }
        }
        check(edge.exchanges.count, "requests")
        check(edge.upstreams.count, "connections to endpoints")
        check(edge.bodies.count, "bodies")
        check(edge.spools.count, "spool files")
        check(edge.pool.taken, "blocks")
        check(edge.ledger.count, "entries of requests in flight")
        check(edge.timers.count, "timers")
        check(Int(board.total(.connections)), "connections counted")
        for index in 0..<table.endpointHighWater {
            let status = table.endpoint(index).status
            check(table.inFlight(index, capacity: status.capacity), "places at endpoint \(index)")
        }
    }
}

struct TestFailure: Error { let text: String }

@Suite struct SimulationTests {
    static let services: [(String, EndpointKind)] = [
        ("{ demo: true, workers: 3 }", .ours),
        ("{ app: \"a:b\", workers: 3 }", .ours),
        ("{ command: [x], workers: 3, keep_alive: true }", .command),
    ]

    /// `SEED=7 swift test --filter SimulationTests` replays one.
    static let seeds: [UInt64] =
        ProcessTraits.variable("SEED").flatMap { UInt64($0) }.map { [$0] } ?? Array(1...12)

    @Test(arguments: seeds)
    func `every request is answered once, whole or visibly broken, and nothing is left over`(
        seed: UInt64
    ) throws {
        let (service, kind) = Self.services[Int(seed) % 3]
        let simulated = try SimulatedEdge(
            seed: seed, service: service, endpoints: 3, capacity: Int(seed % 4) + 1, kind: kind)
        let traffic = simulated.traffic
        let good = AnswerKind.allCases.filter(\.isGood)
        let kinds = seed % 2 == 0 ? good : AnswerKind.allCases
        for _ in 0..<20 {
            let requests = (0..<Int.random(in: 1...6, using: &traffic.world.random)).map { _ in
                traffic.makeRequest(kinds)
            }
            let isPipelining = Int.random(in: 0..<4, using: &traffic.world.random) == 0
            let givesUp =
                Int.random(in: 0..<6, using: &traffic.world.random) == 0
                ? Int.random(in: 1...100_000, using: &traffic.world.random) : nil
            let client = SimulatedClient(
                traffic, requests, isPipelining: isPipelining, givesUpAfter: givesUp)
            traffic.world.at(UInt64.random(in: 0...20_000_000, using: &traffic.world.random)) {
                client.begin(traffic.world)
            }
        }
        simulated.run()
        #expect(traffic.complaints == [])
        #expect(traffic.answered.values.allSatisfy { $0 == 1 })
        #expect(traffic.answered.count > 5)
    }
}
