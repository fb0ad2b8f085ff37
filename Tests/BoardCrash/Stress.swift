import Board
import CFork
import CLinux
import Memory

/// Four processes take and give places as fast as they can, while some are killed and put right.
///
/// A word beside each place says who is in it; nobody may ever find it taken.
func stressScenario(_ checker: Checker, broken: Bool) -> Int {
    // Kills tried, and the time they may take at most.
    let kills = 60
    let stage = StressStage()
    var children = (0..<4).map { stage.spawn(seed: UInt64($0) + 1, broken: broken) }
    for round in 0..<kills {
        usleep(2_000)
        let dead = children.remove(at: round % children.count)
        kill(dead.pid, SIGKILL)
        var status: Int32 = 0
        while unsafe waitpid(dead.pid, &status, 0) < 0 { precondition(clinux_errno() == EINTR) }
        checker.expect(status & 0x7f == SIGKILL, "a child found a place taken: \(status)")
        stage.forgetOwner(dead.edge.mark)
        _ = stage.table.recover(dead.edge, ringHead: 0)
        checker.expect(
            stage.table.reclaimOrphans { _, _ in false }.left == 0, "orphans are left")
        children.append(stage.spawn(seed: UInt64(round) + 100, broken: broken))
    }
    for child in children {
        kill(child.pid, SIGKILL)
        var status: Int32 = 0
        while unsafe waitpid(child.pid, &status, 0) < 0 { precondition(clinux_errno() == EINTR) }
        stage.forgetOwner(child.edge.mark)
        _ = stage.table.recover(child.edge, ringHead: 0)
    }
    _ = stage.table.reclaimOrphans { _, _ in false }
    for (index, capacity) in stage.capacities.enumerated() {
        checker.expect(
            stage.table.inFlight(index, capacity: capacity) == 0, "endpoint \(index) is not empty")
        checker.expect(stage.table.requests(index) > 0, "endpoint \(index) was never used")
    }
    return kills
}

private struct StressStage {
    let table: Table
    let owners: SharedRegion
    /// Three with places, one that counts, one without limit.
    let capacities = [1, 2, 5, 65, 0]

    init() {
        do {
            let layout = TableLayout(
                services: 1, endpoints: 5, edgeSlots: 8, requestsPerEdge: 4)
            let made = try Table.create(layout)
            table = made.table
            close(made.descriptor)
            let file = try SharedRegion.create(name: "owners", size: 5 * 64 * 8)
            owners = file.region
            close(file.descriptor)
            _ = try table.addService(name: "web", queueLimit: 10)
            for (number, capacity) in capacities.enumerated() {
                let endpoint = try table.addEndpoint(
                    EndpointPlan(
                        service: 0, kind: .upstream, capacity: capacity, number: number,
                        address: .ipv4(address: [127, 0, 0, 1], port: 80)))
                _ = table.setState(.ready, of: endpoint)
            }
        } catch { preconditionFailure("\(error)") }
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

    /// Takes and gives places until it is killed, at most for some seconds.
    private func run(_ edge: EdgeIdentity, seed: UInt64, broken: Bool) -> Never {
        var random = seed &* 0x9e37_79b9_7f4a_7c15
        for _ in 0..<50_000_000 {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            let index = Int(random % 5)
            let taking = table.take(
                index, expecting: table.endpoint(index).status, service: 0, for: edge)
            guard case .taken(let lease) = taking else { continue }
            if lease.place != Lease.cellPlace {
                let owner = owners.word(at: (index * 64 + Int(lease.place)) * 8)
                if owner.exchange(edge.mark) != 0 { _exit(3) }
                if !broken { owner.storeSequential(0) }
            } else if capacities[index] != 0 && table.inFlight(index, capacity: 65) > 65 + 3 {
                // Others may have stepped over the edge and not yet back: one each.
                _exit(4)
            }
            table.release(lease, of: edge)
        }
        _exit(5)
    }

    func forgetOwner(_ mark: UInt64) {
        for index in 0..<5 * 64 {
            _ = owners.word(at: index * 8).compareExchange(expected: mark, desired: 0)
        }
    }
}
