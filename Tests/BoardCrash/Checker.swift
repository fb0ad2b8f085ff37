import Board
import CFork
import CLinux
import Memory

/// Collects what an invariant checker found wrong.
final class Checker {
    private(set) var violations: [String] = []

    func expect(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition { violations.append(message()) }
    }
}

/// How a child of the helper ended.
enum Ending: Equatable {
    case finished
    case killed
    case odd(Int32)
}

/// Forks, runs `body` in the child, and waits for it. The helper has one thread, so that a fork is
/// sound.
func inChild(_ body: () -> Void) -> Ending {
    let pid = cfork_fork()
    precondition(pid >= 0)
    if pid == 0 {
        body()
        _exit(0)
    }
    var status: Int32 = 0
    while unsafe waitpid(pid, &status, 0) < 0 { precondition(clinux_errno() == EINTR) }
    if status == 0 { return .finished }
    return status & 0x7f == SIGKILL ? .killed : .odd(status)
}

/// Kills an operation at each of its steps, and checks what is left each time.
///
/// - Parameters:
///   - prepare: makes fresh shared memory.
///   - operate: runs in the child; `arm` begins the counting of steps.
///   - check: runs in the parent, with true when the operation went through.
/// - Returns: how many steps were tried.
func atEveryStep<State>(
    _ checker: Checker, prepare: () -> State, operate: (State, _ arm: () -> Void) -> Void,
    check: (State, Bool) -> Void
) -> Int {
    // More steps than any operation has; a bound, so that nothing loops for ever.
    let stepsMax = 5_000
    for step in 0..<stepsMax {
        let state = prepare()
        let ending = inChild { operate(state) { CrashSteps.arm(after: step) } }
        let before = checker.violations.count
        switch ending {
        case .finished:
            check(state, true)
            return step
        case .killed: check(state, false)
        case .odd(let status): checker.expect(false, "child ended with status \(status)")
        }
        if checker.violations.count > before {
            checker.expect(false, "… at step \(step)")
            if checker.violations.count > 40 { return step }
        }
    }
    checker.expect(false, "the operation never ended")
    return stepsMax
}

/// A table with two edges, one service and one endpoint.
struct Stage {
    let table: Table
    let rings: SignalRings
    /// The edge that is killed.
    let victim: EdgeIdentity
    /// The edge that lives.
    let other: EdgeIdentity
    let service: Int
    let endpoint: EndpointReference

    init(kind: EndpointKind = .ours, capacity: Int, queueLimit: Int = 10) {
        do {
            let layout = TableLayout(
                services: 2, endpoints: 4, edgeSlots: 4, requestsPerEdge: 8)
            let made = try Table.create(layout)
            close(made.descriptor)
            table = made.table
            let ring = try SignalRings.create(edgeSlots: 4, records: 16)
            close(ring.descriptor)
            rings = ring.rings
            victim = try table.openEdge(number: 0, configuration: 1)
            other = try table.openEdge(number: 1, configuration: 1)
            service = try table.addService(name: "web", queueLimit: queueLimit)
            endpoint = try table.addEndpoint(
                EndpointPlan(
                    service: service, kind: kind, capacity: capacity, number: 1,
                    address: .unix(path: Array("/w1".utf8))))
            _ = table.setState(.ready, of: endpoint)
        } catch { preconditionFailure("\(error)") }
    }

    func take(_ edge: EdgeIdentity) -> Lease? {
        let index = Int(endpoint.index)
        let status = table.endpoint(index).status
        let taking = table.take(index, expecting: status, service: UInt16(service), for: edge)
        if case .taken(let lease) = taking { return lease }
        return nil
    }

    func recover() -> Recovery {
        table.recover(victim, ringHead: rings.head(of: victim.slot))
    }

    /// Places this edge can still take; it gives them back.
    func room(for edge: EdgeIdentity) -> Int {
        var leases: [Lease] = []
        while leases.count < 200, let lease = take(edge) { leases.append(lease) }
        for lease in leases { table.release(lease, of: edge) }
        return leases.count
    }
}
