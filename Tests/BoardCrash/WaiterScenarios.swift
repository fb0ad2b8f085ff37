import Board
import Memory

/// Waiters come and go at the victim, while the other edge has one.
func queueScenario(_ checker: Checker, broken: Bool) -> Int {
    atEveryStep(checker) {
        let stage = Stage(capacity: 1, queueLimit: 3)
        _ = stage.table.enterQueue(
            service: stage.service, edge: stage.other, count: 1, oldest: 500)
        return stage
    } operate: { stage, arm in
        let (table, service, edge) = (stage.table, stage.service, stage.victim)
        arm()
        _ = table.enterQueue(service: service, edge: edge, count: 1, oldest: 100)
        _ = table.enterQueue(service: service, edge: edge, count: 2, oldest: 100)
        let isFull = !table.enterQueue(service: service, edge: edge, count: 3, oldest: 100)
        precondition(isFull)
        table.passBaton(service: service, to: edge.slot, endpoint: 0)
        _ = table.takeBaton(service: service, edge: edge)
        table.leaveQueue(service: service, edge: edge, count: 1, oldest: 200)
        table.leaveQueue(service: service, edge: edge, count: 0, oldest: 0)
    } check: { stage, _ in
        let wakes = broken ? 0 : stage.recover().wakes
        let slot = stage.table.service(stage.service)
        checker.expect(slot.waitingEdges == stage.other.bit, "waiting edges")
        checker.expect(stage.table.waiting(stage.service) == 1, "the sum of waiters")
        checker.expect(
            stage.table.oldestWaiting(stage.service)?.slot == stage.other.slot, "the oldest")
        checker.expect(wakes == stage.other.bit, "the other edge is not woken")
        checker.expect(
            stage.table.takeBaton(service: stage.service, edge: stage.other)
                == Table.anyEndpoint, "no baton")
        checker.expect(
            stage.table.takeBaton(service: stage.service, edge: stage.victim) == nil,
            "the dead edge's baton is still there")
    }
}

/// The victim gives the only place back while the other edge waits: the wake-up is never lost.
func wakeScenario(_ checker: Checker, broken: Bool) -> Int {
    atEveryStep(checker) {
        let stage = Stage(kind: .upstream, capacity: 1)
        return stage
    } operate: { stage, arm in
        let (table, service) = (stage.table, stage.service)
        guard let lease = stage.take(stage.victim) else { preconditionFailure() }
        _ = table.enterQueue(service: service, edge: stage.other, count: 1, oldest: 100)
        arm()
        table.release(lease, of: stage.victim)
        if table.service(service).waitingEdges != 0,
            let oldest = table.oldestWaiting(service)
        {
            table.passBaton(service: service, to: oldest.slot, endpoint: 0)
        }
    } check: { stage, isWhole in
        let wakes = broken || isWhole ? 0 : stage.recover().wakes
        checker.expect(isWhole || wakes & stage.other.bit != 0, "nobody wakes the other edge")
        checker.expect(
            stage.table.takeBaton(service: stage.service, edge: stage.other) != nil, "no baton")
        checker.expect(stage.take(stage.other) != nil, "the place is not free")
    }
}
