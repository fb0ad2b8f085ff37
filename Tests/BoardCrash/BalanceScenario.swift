import Board
import CFork
import CLinux
import Memory
import Routing

/// Three edges with real balancers and eventfds share two workers of one place each and queue for
/// them, while edges are killed and put right.
///
/// An edge that waits for longer than `patience` without a wake-up, though nobody else holds the
/// places, has lost one: it ends with a status of its own. Nothing looks again by a timer here.
func balanceScenario(_ checker: Checker, broken: Bool) -> Int {
    let kills = broken ? 6 : 30
    let stage = BalanceStage()
    var children = (0..<3).map { stage.spawn(seed: UInt64($0) + 1, broken: broken) }
    for round in 0..<kills {
        usleep(8_000)
        let dead = children.remove(at: round % children.count)
        stage.end(dead, checker)
        children.append(stage.spawn(seed: UInt64(round) + 50, broken: broken))
    }
    // What is left runs on by itself for a while: a lost wake-up shows here at the latest.
    usleep(broken ? 1_500_000 : 300_000)
    for child in children { stage.end(child, checker) }
    checker.expect(stage.table.waiting(stage.service) == 0, "waiters are left")
    for index in 0..<2 {
        checker.expect(stage.table.inFlight(index, capacity: 1) == 0, "a place is left")
        checker.expect(stage.table.requests(index) > 100, "a worker was hardly used")
    }
    checker.expect(
        stage.counts.word(at: 0).loadRelaxed() > 1_000, "hardly anybody had to wait")
    return kills
}

private struct BalanceStage {
    let table: Table
    let service: Int
    let wakes: [Int32]
    /// Requests that waited and were served.
    let counts: SharedRegion

    init() {
        do {
            let layout = TableLayout(
                services: 1, endpoints: 2, edgeSlots: 4, requestsPerEdge: 4)
            let made = try Table.create(layout)
            table = made.table
            close(made.descriptor)
            let file = try SharedRegion.create(name: "counts", size: 64)
            counts = file.region
            close(file.descriptor)
            service = try table.addService(name: "web", queueLimit: 100)
            for number in 0..<2 {
                let endpoint = try table.addEndpoint(
                    EndpointPlan(
                        service: 0, kind: .command, capacity: 1, number: number,
                        address: .unix(path: [47])))
                _ = table.setState(.ready, of: endpoint)
            }
        } catch { preconditionFailure("\(error)") }
        wakes = (0..<4).map { _ in eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC)) }
    }

    func signal(_ mask: UInt64) {
        var one: UInt64 = 1
        for slot in 0..<4 where mask & 1 << UInt64(slot) != 0 {
            _ = unsafe write(wakes[slot], &one, 8)
        }
    }

    func spawn(seed: UInt64, broken: Bool) -> (pid: Int32, edge: EdgeIdentity) {
        guard let edge = try? table.openEdge(number: 0, configuration: 1) else {
            preconditionFailure("no edge slot")
        }
        let parent = getpid()
        let pid = cfork_fork()
        precondition(pid >= 0)
        if pid == 0 {
            clinux_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL))
            if getppid() != parent { _exit(1) }
            run(edge, seed: seed, broken: broken)
        }
        return (pid, edge)
    }

    /// Kills an edge and does what the master does.
    func end(_ child: (pid: Int32, edge: EdgeIdentity), _ checker: Checker) {
        kill(child.pid, SIGKILL)
        var status: Int32 = 0
        while unsafe waitpid(child.pid, &status, 0) < 0 { precondition(clinux_errno() == EINTR) }
        checker.expect(status & 0x7f == SIGKILL, "an edge lost a wake-up: \(status)")
        signal(table.recover(child.edge, ringHead: 0).wakes)
    }

    private func run(_ edge: EdgeIdentity, seed: UInt64, broken: Bool) -> Never {
        // How long a wait may last, in milliseconds: far longer than any turn, shorter than the
        // broken run.
        let patience: Int32 = broken ? 300 : 10_000
        var balancer = Balancer(
            table: table, edge: edge,
            services: [ServicePlan(service: service, balance: .roundRobin, wait: 1 << 60)],
            waiters: 10, seed: seed)
        var random = seed &* 0x9e37_79b9_7f4a_7c15
        var leases: [Lease] = []
        var waiting = 0
        var now: UInt64 = 1
        for turn in 0..<50_000_000 {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            now += 1
            if waiting < 2 && leases.isEmpty || random & 7 == 0 && waiting < 4 {
                switch balancer.choose(service: service, now: now) {
                case .endpoint(let lease): leases.append(lease)
                default:
                    if balancer.wait(service: service, token: UInt64(turn), since: now) != nil {
                        waiting += 1
                    }
                }
            }
            while let served = balancer.nextServed(now: now) {
                waiting -= 1
                leases.append(served.lease)
                _ = counts.word(at: 0).addRelaxed(1)
            }
            if random & 3 != 0, let lease = leases.popLast() { balancer.release(lease) }
            let mask = balancer.takeWakes()
            if !broken { signal(mask) }
            pause(edge, &balancer, patience: leases.isEmpty && waiting > 0 ? patience : 0)
        }
        _exit(5)
    }

    /// Waits for the edge's eventfd, when nothing else can happen here.
    private func pause(_ edge: EdgeIdentity, _ balancer: inout Balancer, patience: Int32) {
        var entry = pollfd(fd: wakes[edge.slot], events: Int16(POLLIN), revents: 0)
        // An errand of its own may have been left by a release in this turn.
        guard unsafe poll(&entry, 1, balancer.hasErrands ? 0 : patience) > 0 else {
            if patience > 0 && !balancer.hasErrands { _exit(7) }
            return
        }
        var value: UInt64 = 0
        _ = unsafe read(wakes[edge.slot], &value, 8)
        balancer.noteWake()
    }
}
