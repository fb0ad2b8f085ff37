import Board
import Memory

/// Takes and gives back places of one of our own workers; the other edge holds one all the while.
func placesScenario(_ checker: Checker, broken: Bool) -> Int {
    var held: Lease?
    return atEveryStep(checker) {
        let stage = Stage(capacity: 3)
        held = stage.take(stage.other)
        return stage
    } operate: { stage, arm in
        arm()
        let first = stage.take(stage.victim)
        let second = stage.take(stage.victim)
        if let first { stage.table.release(first, of: stage.victim) }
        if let second { stage.table.release(second, of: stage.victim) }
    } check: { stage, isWhole in
        guard let held else { return checker.expect(false, "the other edge got no place") }
        let taken = stage.table.inFlight(Int(stage.endpoint.index), capacity: 3)
        checker.expect(
            stage.room(for: stage.other) == 3 - taken, "free places and taken ones are not 3")
        checker.expect(!isWhole || taken == 1, "a place was not given back")
        let orphaned = broken ? 0 : stage.recover().placesOrphaned
        checker.expect(orphaned == taken - 1, "places that the dead edge held")
        let busy = stage.table.reclaimOrphans { _, _ in true }
        checker.expect(busy.left == taken - 1, "a busy worker's place came back")
        let idle = stage.table.reclaimOrphans { _, _ in false }
        checker.expect(idle.left == 0, "an idle worker's place did not come back")
        checker.expect(stage.room(for: stage.other) == 2, "a place is lost, or was given twice")
        stage.table.release(held, of: stage.other)
        checker.expect(stage.room(for: stage.other) == 3, "the other edge's place is lost")
    }
}

/// The same at an endpoint that only counts.
func cellsScenario(_ checker: Checker, broken: Bool) -> Int {
    atEveryStep(checker) {
        let stage = Stage(kind: .upstream, capacity: 65)
        for _ in 0..<63 { _ = stage.take(stage.other) }
        return stage
    } operate: { stage, arm in
        arm()
        let first = stage.take(stage.victim)
        let second = stage.take(stage.victim)
        let third = stage.take(stage.victim)
        precondition(third == nil)
        if let first { stage.table.release(first, of: stage.victim) }
        if let second { stage.table.release(second, of: stage.victim) }
    } check: { stage, _ in
        if !broken { _ = stage.recover() }
        let index = Int(stage.endpoint.index)
        checker.expect(stage.table.inFlight(index, capacity: 65) == 63, "the sum of the cells")
        checker.expect(stage.room(for: stage.other) == 2, "room for two is left")
    }
}

/// The victim tries out a paused endpoint and dies: another edge may try.
func trialScenario(_ checker: Checker, broken: Bool) -> Int {
    atEveryStep(checker) {
        Stage(kind: .upstream, capacity: 0)
    } operate: { stage, arm in
        let slot = stage.table.endpoint(Int(stage.endpoint.index))
        arm()
        _ = slot.trial.compareExchange(expected: 0, desired: stage.victim.mark)
        let lease = stage.take(stage.victim)
        if let lease { stage.table.release(lease, of: stage.victim) }
        if !broken { slot.trial.storeSequential(0) }
    } check: { stage, isWhole in
        if !broken { _ = stage.recover() }
        let slot = stage.table.endpoint(Int(stage.endpoint.index))
        checker.expect(slot.trial.loadRelaxed() == 0, "the trial is still the dead edge's")
    }
}
