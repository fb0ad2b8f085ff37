import Testing

@testable import Supervision

private let second: UInt64 = 1_000_000_000

@Suite struct EdgeFleetTests {
    /// A fleet whose first generation accepts.
    private func serving(edges: Int = 2, slots: Int = 8) -> EdgeFleet {
        var fleet = EdgeFleet(slots: slots)
        _ = fleet.begin(generation: 1, count: edges, now: 0)
        for slot in 0..<edges { _ = fleet.ready(slot: slot, now: 1) }
        _ = fleet.takeOver(by: 1, now: 1, deadline: 1)
        for slot in 0..<edges { _ = fleet.accepting(slot: slot) }
        return fleet
    }

    @Test func `a generation is prepared with its last edge and accepts when it takes over`() {
        var fleet = EdgeFleet(slots: 8)
        #expect(
            fleet.begin(generation: 1, count: 2, now: 0) == [
                .launch(generation: 1, index: 0, slot: 0),
                .launch(generation: 1, index: 1, slot: 1),
            ])
        #expect(fleet.ready(slot: 1, now: 1) == [])
        #expect(fleet.ready(slot: 0, now: 1) == [.prepared(generation: 1)])
        #expect(fleet.deadline == nil)
        #expect(
            fleet.takeOver(by: 1, now: 1, deadline: 1) == [.accept(slot: 0), .accept(slot: 1)])
        #expect(fleet.accepting(slot: 1) == [])
        #expect(fleet.accepting(slot: 0) == [.settled])
        #expect(fleet.deadline == nil)
    }

    @Test func `a take-over is settled when old edges have said that they accept no more`() {
        var fleet = serving()
        _ = fleet.begin(generation: 2, count: 1, now: 2)
        _ = fleet.ready(slot: 2, now: 2)
        _ = fleet.takeOver(by: 2, now: 3, deadline: 100 * second)
        #expect(fleet.accepting(slot: 2) == [])
        #expect(fleet.stopped(slot: 0) == [])
        #expect(fleet.exited(slot: 1, now: 4) == [.recover(slot: 1), .settled])
    }

    @Test func `an edge that dies before it accepts is told again and waited for`() {
        var fleet = EdgeFleet(slots: 8)
        _ = fleet.begin(generation: 1, count: 1, now: 0)
        _ = fleet.ready(slot: 0, now: 1)
        _ = fleet.takeOver(by: 1, now: 1, deadline: 1)
        #expect(
            fleet.exited(slot: 0, now: 2) == [
                .recover(slot: 0), .launch(generation: 1, index: 0, slot: 0),
            ])
        #expect(fleet.ready(slot: 0, now: 3) == [.accept(slot: 0)])
        #expect(fleet.accepting(slot: 0) == [.settled])
    }

    @Test func `an edge that hangs does not hold a take-over up for ever`() {
        var fleet = serving()
        #expect(fleet.stop(now: 0, deadline: 100 * second) == [.stop(slot: 0), .stop(slot: 1)])
        #expect(fleet.stopped(slot: 0) == [])
        #expect(fleet.deadline == EdgeFleet.wordLimit)
        #expect(fleet.tick(now: EdgeFleet.wordLimit) == [.settled])
        #expect(fleet.stopped(slot: 1) == [])
    }

    @Test func `a killed edge is recovered and back at once in its slot`() {
        var fleet = serving()
        #expect(
            fleet.exited(slot: 1, now: 10 * second) == [
                .recover(slot: 1), .launch(generation: 1, index: 1, slot: 1),
            ])
        #expect(fleet.ready(slot: 1, now: 11 * second) == [.accept(slot: 1)])
        #expect(fleet.restarts(generation: 1, index: 1) == 1)
    }

    @Test func `an edge that keeps dying waits longer each time`() {
        var fleet = serving()
        _ = fleet.exited(slot: 0, now: second)
        #expect(fleet.exited(slot: 0, now: second) == [.recover(slot: 0)])
        let due = second + second / 20
        #expect(fleet.deadline == due)
        #expect(fleet.tick(now: due) == [.launch(generation: 1, index: 0, slot: 0)])
    }

    @Test func `a reload starts new edges first and then lets the old ones drain`() {
        var fleet = serving()
        #expect(
            fleet.begin(generation: 2, count: 1, now: 2) == [
                .launch(generation: 2, index: 0, slot: 2)
            ])
        #expect(fleet.ready(slot: 2, now: 3) == [.prepared(generation: 2)])
        #expect(
            fleet.takeOver(by: 2, now: 3, deadline: 100) == [
                .accept(slot: 2), .drain(slot: 0), .drain(slot: 1),
            ])
        #expect(fleet.exited(slot: 0, now: 4) == [.recover(slot: 0)])
        #expect(fleet.tick(now: 100) == [.stopNow(slot: 1)])
        #expect(fleet.tick(now: 101) == [])
        #expect(fleet.exited(slot: 1, now: 101) == [.recover(slot: 1), .ended(generation: 1)])
        #expect(fleet.livingGenerations == [2])
    }

    @Test func `an old edge that does not accept yet is ended by a take-over, as it is to be`() {
        var fleet = serving()
        #expect(fleet.exited(slot: 1, now: 1).contains(.launch(generation: 1, index: 1, slot: 1)))
        _ = fleet.begin(generation: 2, count: 1, now: 2)
        _ = fleet.ready(slot: 2, now: 3)
        #expect(
            fleet.takeOver(by: 2, now: 3, deadline: 100) == [
                .accept(slot: 2), .drain(slot: 0), .kill(slot: 1),
            ])
        // So its end is no error, and nothing is due for it.
        #expect(fleet.edges[1]?.phase == .stopping)
        #expect(fleet.edges[1]?.deadline == nil)
        #expect(fleet.exited(slot: 1, now: 4) == [.recover(slot: 1)])
    }

    @Test func `a new generation that cannot start is taken back and the old one serves on`() {
        var fleet = serving()
        _ = fleet.begin(generation: 2, count: 2, now: 2)
        #expect(fleet.exited(slot: 2, now: 2).contains(.launch(generation: 2, index: 0, slot: 2)))
        _ = fleet.exited(slot: 2, now: 2)
        #expect(fleet.tick(now: second) == [.launch(generation: 2, index: 0, slot: 2)])
        let actions = fleet.exited(slot: 2, now: second)
        #expect(actions == [.recover(slot: 2), .failed(generation: 2), .kill(slot: 3)])
        #expect(fleet.exited(slot: 3, now: second) == [.recover(slot: 3), .ended(generation: 2)])
        #expect(fleet.livingGenerations == [1])
        #expect(fleet.edges.values.allSatisfy { $0.phase == .accepting })
    }

    @Test func `an edge that never accepts is killed`() {
        var fleet = EdgeFleet(slots: 4)
        _ = fleet.begin(generation: 1, count: 1, now: 0)
        #expect(fleet.deadline == EdgeFleet.startLimit)
        #expect(fleet.tick(now: EdgeFleet.startLimit) == [.kill(slot: 0)])
    }

    @Test func `a fifth generation ends the oldest`() {
        var fleet = EdgeFleet(slots: 16)
        for generation in 1...4 {
            _ = fleet.begin(generation: generation, count: 1, now: 0)
            _ = fleet.ready(slot: generation - 1, now: 0)
            _ = fleet.takeOver(by: generation, now: 0, deadline: 1000)
            _ = fleet.accepting(slot: generation - 1)
        }
        #expect(fleet.livingGenerations == [1, 2, 3, 4])
        #expect(
            fleet.begin(generation: 5, count: 1, now: 1) == [
                .tooMany(generation: 1), .stopNow(slot: 0),
                .launch(generation: 5, index: 0, slot: 4),
            ])
        #expect(fleet.exited(slot: 0, now: 2) == [.recover(slot: 0), .ended(generation: 1)])
    }

    @Test func `an edge waits for a slot when all are taken`() {
        var fleet = EdgeFleet(slots: 2)
        _ = fleet.begin(generation: 1, count: 2, now: 0)
        for slot in 0...1 { _ = fleet.ready(slot: slot, now: 0) }
        #expect(fleet.begin(generation: 2, count: 1, now: 1) == [])
        #expect(fleet.deadline == nil)
        _ = fleet.withdraw(generation: 1, now: 1)
        let actions = fleet.exited(slot: 1, now: 2)
        #expect(actions == [.recover(slot: 1), .launch(generation: 2, index: 0, slot: 1)])
    }

    @Test func `a stop lets every edge finish and starts none again`() {
        var fleet = serving()
        #expect(fleet.stop(now: 2, deadline: 50) == [.stop(slot: 0), .stop(slot: 1)])
        #expect(fleet.exited(slot: 0, now: 10) == [.recover(slot: 0)])
        #expect(fleet.tick(now: 50) == [.stopNow(slot: 1)])
        #expect(
            fleet.exited(slot: 1, now: 51) == [
                .recover(slot: 1), .ended(generation: 1), .settled,
            ])
        #expect(fleet.isEmpty)
    }

    @Test func `an edge is told to end before it is killed, and has time for its log`() {
        var fleet = serving()
        _ = fleet.stop(now: 0, deadline: 50)
        #expect(fleet.stopped(slot: 0) == [])
        #expect(fleet.stopped(slot: 1) == [.settled])
        #expect(fleet.tick(now: 50) == [.stopNow(slot: 0), .stopNow(slot: 1)])
        #expect(fleet.deadline == 50 + EdgeFleet.endLimit)
        #expect(fleet.tick(now: 49 + EdgeFleet.endLimit) == [])
        #expect(
            fleet.tick(now: 50 + EdgeFleet.endLimit) == [.kill(slot: 0), .kill(slot: 1)])
        #expect(fleet.deadline == nil)
    }

    @Test func `a second stop tells edges to end, and kills those that do not`() {
        var fleet = serving()
        _ = fleet.exited(slot: 1, now: 10 * second)
        _ = fleet.stop(now: 10 * second, deadline: 60 * second)
        #expect(fleet.stopNow(now: 11 * second) == [.stopNow(slot: 0), .stopNow(slot: 1)])
        #expect(fleet.tick(now: 12 * second) == [.kill(slot: 0), .kill(slot: 1)])
    }

    @Test(arguments: 1...60)
    func `whatever the edges do no slot has two and a serving generation is whole again`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        var fleet = EdgeFleet(slots: 12)
        var alive: [Int: Int] = [:]
        var doomed: Set<Int> = []
        var dirty: Set<Int> = []
        var told: Set<Int> = []
        var (takenOver, settled) = (0, 0)
        var serving = 0
        var newest = 1
        var now: UInt64 = 0
        func perform(_ actions: [EdgeFleet.Action]) {
            for action in actions {
                switch action {
                case .launch(let generation, _, let slot):
                    #expect(alive[slot] == nil, "slot \(slot) has two edges")
                    #expect(!dirty.contains(slot), "slot \(slot) was not recovered")
                    alive[slot] = generation
                case .recover(let slot): dirty.remove(slot)
                case .kill(let slot), .drain(let slot), .stop(let slot), .stopNow(let slot):
                    #expect(alive[slot] != nil)
                    doomed.insert(slot)
                case .accept(let slot): told.insert(slot)
                case .settled: settled += 1
                case .prepared(let generation):
                    #expect(generation > serving)
                    serving = generation
                    takenOver += 1
                    perform(fleet.takeOver(by: generation, now: now, deadline: now + 5 * second))
                case .failed(let generation): #expect(generation != serving)
                case .ended(let generation): #expect(!alive.values.contains(generation))
                case .tooMany: break
                }
            }
        }
        func exit(_ slot: Int) {
            alive[slot] = nil
            told.remove(slot)
            doomed.remove(slot)
            dirty.insert(slot)
            perform(fleet.exited(slot: slot, now: now))
        }
        perform(fleet.begin(generation: 1, count: 2, now: 0))
        for _ in 0..<500 {
            now += UInt64.random(in: 0..<second, using: &random)
            perform(fleet.tick(now: now))
            let slots = alive.keys.sorted()
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<8:
                if let slot = slots.randomElement(using: &random) {
                    perform(fleet.ready(slot: slot, now: now))
                    if told.contains(slot) { perform(fleet.accepting(slot: slot)) }
                    if doomed.contains(slot) { perform(fleet.stopped(slot: slot)) }
                }
            case 8..<10: if let slot = slots.randomElement(using: &random) { exit(slot) }
            case 10:
                guard newest == serving else { break }
                newest += 1
                perform(
                    fleet.begin(
                        generation: newest, count: Int.random(in: 1...3, using: &random), now: now))
            default: if let slot = doomed.sorted().randomElement(using: &random) { exit(slot) }
            }
            if newest > serving, !fleet.livingGenerations.contains(newest) { newest = serving }
        }
        for _ in 0..<100 {
            now += 40 * second
            for slot in doomed.sorted() { exit(slot) }
            perform(fleet.tick(now: now))
            for slot in alive.keys.sorted() {
                perform(fleet.ready(slot: slot, now: now))
                perform(fleet.accepting(slot: slot))
            }
        }
        #expect(settled <= takenOver && settled > 0)
        #expect(fleet.livingGenerations.count == 1)
        #expect(fleet.edges.values.allSatisfy { $0.phase == .accepting })
        perform(fleet.stop(now: now, deadline: now))
        perform(fleet.tick(now: now))
        for slot in alive.keys.sorted() { exit(slot) }
        #expect(fleet.isEmpty && alive.isEmpty)
    }
}
