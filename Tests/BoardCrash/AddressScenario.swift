import Board
import Memory

/// The victim counts connections of many addresses up and down, in a table that is so full that
/// cells move; the other edge has some of the same addresses.
func addressScenario(_ checker: Checker, broken: Bool) -> Int {
    let addresses: Range<UInt64> = 0..<10
    return atEveryStep(checker) {
        let stage = Stage(capacity: 1)
        var other = AddressCounter(stage.table, edge: stage.other)
        for address in addresses { _ = other.add(high: 0, low: address, limit: 9) }
        return stage
    } operate: { stage, arm in
        var victim = AddressCounter(stage.table, edge: stage.victim)
        arm()
        for address in addresses {
            for _ in 0..<2 { precondition(victim.add(high: 0, low: address, limit: 3)) }
            precondition(!victim.add(high: 0, low: address, limit: 3))
        }
        for address in addresses { victim.remove(high: 0, low: address) }
        for address in addresses { victim.remove(high: 0, low: address) }
    } check: { stage, isWhole in
        let before = AddressCounter(stage.table, edge: stage.other)
        for address in addresses {
            let count = before.count(high: 0, low: address)
            checker.expect(1...4 ~= count && (!isWhole || count == 1), "\(address): \(count)")
        }
        if !broken { _ = stage.recover() }
        guard broken || stage.table.edge(in: stage.victim.slot) == nil,
            let edge = broken
                ? stage.victim : try? stage.table.openEdge(number: 0, configuration: 1)
        else { return checker.expect(false, "the slot is not free") }
        var next = AddressCounter(stage.table, edge: edge)
        for address in addresses {
            checker.expect(next.count(high: 0, low: address) == 1, "the dead edge's are counted")
            checker.expect(next.add(high: 0, low: address, limit: 2), "no room for one more")
            checker.expect(!next.add(high: 0, low: address, limit: 2), "room for two more")
        }
    }
}
