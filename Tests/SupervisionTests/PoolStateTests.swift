import Testing

@testable import Supervision

private let second: UInt64 = 1_000_000_000

private func pool(_ workers: Int) -> PoolState {
    PoolState(workers: workers, startLimit: 30 * second, drainLimit: 20 * second)
}

private func key(_ slot: Int, _ incarnation: Int) -> WorkerKey {
    WorkerKey(slot: slot, incarnation: incarnation)
}

@Suite struct PoolStateTests {
    @Test func `a worker that is slow to start does not hold a pool up for long`() {
        var pool = pool(2)
        _ = pool.begin(now: 0)
        _ = pool.ready(key(2, 2), now: 1)
        #expect(pool.deadline == 1 + PoolState.companyWait)
        #expect(pool.tick(now: 1 + PoolState.companyWait) == [.settled(isReady: true)])
        #expect(pool.ready(key(1, 1), now: second) == [.publish(key(1, 1), .ready)])
    }

    @Test func `a pool starts all its workers and settles when all are ready`() {
        var pool = pool(2)
        #expect(
            pool.begin(now: 0) == [
                .publish(key(1, 1), .starting), .launch(key(1, 1)),
                .publish(key(2, 2), .starting), .launch(key(2, 2)),
            ])
        #expect(pool.ready(key(2, 2), now: 1) == [.publish(key(2, 2), .ready)])
        #expect(
            pool.ready(key(1, 1), now: 2) == [
                .publish(key(1, 1), .ready), .settled(isReady: true),
            ])
        #expect(pool.readyCount == 2)
        #expect(pool.deadline == nil)
    }

    @Test func `workers that are killed for their requests' time are no crash loop`()
        throws
    {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        var now: UInt64 = 1
        for life in 1...8 {
            _ = pool.ready(key(1, life), now: now)
            #expect(pool.killed(key(1, life), cause: .timeout).contains(.kill(key(1, life))))
            now += second
            let actions = pool.exited(key(1, life), hasServed: true, now: now)
            #expect(!actions.contains { if case .crashLoop = $0 { true } else { false } })
            guard !actions.contains(.launch(key(1, life + 1))) else { continue }
            now = try #require(pool.deadline)
            #expect(pool.tick(now: now).contains(.launch(key(1, life + 1))))
        }
    }

    @Test func `a worker that dies is replaced at once, and with back-off when it dies again`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        _ = pool.ready(key(1, 1), now: 1)
        #expect(
            pool.exited(key(1, 1), now: 2) == [
                .publish(key(1, 1), .down), .publish(key(1, 2), .starting),
                .publish(key(1, 1), .gone), .launch(key(1, 2)),
            ])
        _ = pool.ready(key(1, 2), now: 3)
        #expect(pool.exited(key(1, 2), now: 4) == [.publish(key(1, 2), .down)])
        #expect(pool.deadline == 4 + second / 10)
        #expect(pool.tick(now: 4) == [])
        let later = 4 + second / 10
        #expect(
            pool.tick(now: later) == [
                .publish(key(1, 3), .starting), .publish(key(1, 2), .gone), .launch(key(1, 3)),
            ])
        #expect(pool.restarts(slot: 1) == 2)
    }

    @Test func `a pool whose workers never start has failed and is tried on`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        #expect(!pool.exited(key(1, 1), now: 0).contains(.settled(isReady: false)))
        _ = pool.exited(key(1, 2), now: 0)
        _ = pool.tick(now: second)
        #expect(
            pool.exited(key(1, 3), now: second) == [
                .publish(key(1, 3), .failed),
                .crashLoop(key(1, 3), lives: 3, lasting: second, wait: second / 5),
                .settled(isReady: false),
            ])
        #expect(pool.deadline == second + second / 5)
        #expect(pool.tick(now: 2 * second).contains(.launch(key(1, 4))))
        #expect(pool.ready(key(1, 4), now: 3 * second) == [.publish(key(1, 4), .ready)])
    }

    @Test func `workers that requests end are back at once and waited for`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        for life in 1...20 {
            let start = UInt64(life) * second
            _ = pool.ready(key(1, life), now: start)
            let isOurs = life.isMultiple(of: 2)
            if isOurs { _ = pool.killed(key(1, life), cause: .timeout) }
            let actions = pool.exited(key(1, life), hasServed: true, now: start + second)
            #expect(actions.first == .publish(key(1, life), .down))
            #expect(actions.contains(.launch(key(1, life + 1))), "life \(life) cost a wait")
        }
    }

    @Test func `a worker that each request ends is started ten times a second at most`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        _ = pool.ready(key(1, 1), now: 1)
        let end = second / 50
        #expect(
            pool.exited(key(1, 1), hasServed: true, now: end) == [.publish(key(1, 1), .down)])
        #expect(pool.deadline == second / 10)
    }

    @Test func `a crash loop is said at the third end and then each time at twice as many`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        var said: [Int] = []
        for life in 1...30 {
            let start = UInt64(life) * second
            _ = pool.ready(key(1, life), now: start)
            let actions = pool.exited(key(1, life), hasServed: true, now: start + second)
            for case .crashLoop(_, let lives, let lasting, let wait) in actions {
                #expect(lasting == start + second && wait == 0)
                said.append(lives)
            }
        }
        #expect(said == [3, 6, 12, 24])
        _ = pool.ready(key(1, 31), now: 32 * second)
        let later = 90 * second
        let stable = pool.exited(key(1, 31), hasServed: true, now: later)
        #expect(!stable.contains { if case .crashLoop = $0 { true } else { false } })
    }

    @Test func `a slot that was ready is waited for however often it died idle`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        var now: UInt64 = 0
        for life in 1...8 {
            _ = pool.ready(key(1, life), now: now)
            #expect(pool.exited(key(1, life), now: now).first == .publish(key(1, life), .down))
            guard life > 1 else { continue }
            now = pool.deadline ?? now
            _ = pool.tick(now: now)
        }
        // 0, 0.1, 0.2, 0.4 … seconds: it died by itself, and costs no core.
        #expect(now == second / 10 * 127)
    }

    @Test func `a worker that takes too long to start is killed`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        #expect(pool.deadline == 30 * second)
        #expect(
            pool.tick(now: 30 * second) == [.publish(key(1, 1), .down), .kill(key(1, 1))])
        #expect(pool.cause(key(1, 1)) == .start)
        #expect(pool.tick(now: 31 * second) == [])
    }

    @Test func `a stuck worker is killed once and replaced`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        _ = pool.ready(key(1, 1), now: 1)
        #expect(
            pool.killed(key(1, 1), cause: .timeout) == [
                .publish(key(1, 1), .down), .kill(key(1, 1)),
            ])
        #expect(pool.killed(key(1, 1), cause: .timeout) == [])
        #expect(pool.cause(key(1, 1)) == .timeout)
        #expect(pool.exited(key(1, 1), now: 2).contains(.launch(key(1, 2))))
        #expect(pool.killed(key(1, 1), cause: .timeout) == [])
    }

    @Test func `a roll replaces one by one, each when its successor is ready`() {
        var pool = pool(2)
        _ = pool.begin(now: 0)
        _ = pool.ready(key(1, 1), now: 1)
        _ = pool.ready(key(2, 2), now: 1)
        #expect(pool.roll(now: 2) == [.publish(key(1, 3), .starting), .launch(key(1, 3))])
        #expect(
            pool.ready(key(1, 3), now: 3) == [
                .publish(key(1, 3), .ready), .publish(key(1, 1), .draining), .drain(key(1, 1)),
                .publish(key(2, 4), .starting), .launch(key(2, 4)),
            ])
        #expect(pool.exited(key(1, 1), now: 4) == [.publish(key(1, 1), .gone)])
        #expect(
            pool.ready(key(2, 4), now: 5) == [
                .publish(key(2, 4), .ready), .publish(key(2, 2), .draining), .drain(key(2, 2)),
                .rolled,
            ])
        #expect(pool.deadline == 5 + 20 * second)
        #expect(pool.tick(now: 30 * second) == [.kill(key(2, 2))])
        #expect(pool.exited(key(2, 2), now: 31 * second) == [.publish(key(2, 2), .gone)])
    }

    @Test func `a successor that fails ends the roll and the old ones stay`() {
        var pool = pool(2)
        _ = pool.begin(now: 0)
        _ = pool.ready(key(1, 1), now: 1)
        _ = pool.ready(key(2, 2), now: 1)
        _ = pool.roll(now: 2)
        #expect(
            pool.exited(key(1, 3), now: 3) == [.publish(key(1, 3), .gone), .rollFailed(key(1, 3))])
        #expect(pool.readyCount == 2)
        #expect(!pool.isRollUnderWay)
    }

    @Test func `a pool whose workers are all gone is rolled too, and says when that fails`() {
        var pool = pool(1)
        _ = pool.begin(now: 0)
        _ = pool.exited(key(1, 1), now: 0)
        _ = pool.exited(key(1, 2), now: 0)
        #expect(pool.roll(now: 1).contains(.launch(key(1, 3))))
        #expect(pool.exited(key(1, 3), now: 2).contains(.rollFailed(key(1, 3))))
        #expect(pool.roll(now: 3).isEmpty == false)
        #expect(pool.ready(key(1, 5), now: 4).contains(.rolled))
    }

    @Test func `a pool that drains ends when its last worker has`() {
        var pool = pool(2)
        _ = pool.begin(now: 0)
        _ = pool.ready(key(1, 1), now: 1)
        #expect(
            pool.drain(now: 2, cause: .stop) == [
                .publish(key(1, 1), .draining), .drain(key(1, 1)),
                .publish(key(2, 2), .draining), .kill(key(2, 2)),
            ])
        #expect(pool.exited(key(2, 2), now: 3) == [.publish(key(2, 2), .gone)])
        #expect(pool.exited(key(1, 1), now: 3) == [.publish(key(1, 1), .gone), .ended])
        #expect(pool.deadline == nil)
    }

    /// Runs a pool against children that do anything at any time, and checks what holds always.
    @Test(arguments: 1...60)
    func `whatever the children do the invariants hold`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let workers = Int.random(in: 1...4, using: &random)
        var pool = pool(workers)
        var world = PoolWorld(workers: workers)
        var now: UInt64 = 0
        world.perform(pool.begin(now: now))
        for _ in 0..<400 {
            now += UInt64.random(in: 0..<second, using: &random)
            world.perform(pool.tick(now: now))
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<4:
                if let key = world.starting.randomElement(using: &random) {
                    world.perform(pool.ready(key, now: now))
                }
            case 4..<6:
                if let key = world.alive.sorted(by: order).randomElement(using: &random) {
                    world.exit(key)
                    let hasServed = Bool.random(using: &random)
                    world.perform(pool.exited(key, hasServed: hasServed, now: now))
                }
            case 6: world.perform(pool.roll(now: now))
            case 7:
                if let key = world.alive.sorted(by: order).randomElement(using: &random) {
                    world.perform(pool.killed(key, cause: .timeout))
                }
            default:
                if let key = world.doomed.sorted(by: order).randomElement(using: &random) {
                    world.exit(key)
                    world.perform(pool.exited(key, now: now))
                }
            }
        }
        world.isEnding = true
        world.perform(pool.drain(now: now, cause: .stop))
        for _ in 0..<200 where !world.alive.isEmpty {
            now += second
            world.perform(pool.tick(now: now))
            for key in world.doomed.sorted(by: order) {
                world.exit(key)
                world.perform(pool.exited(key, now: now))
            }
        }
        #expect(world.alive.isEmpty)
        #expect(world.ended == 1)
        #expect(world.visible.isEmpty)
        #expect(pool.deadline == nil)
    }
}

private func order(_ one: WorkerKey, _ other: WorkerKey) -> Bool {
    one.incarnation < other.incarnation
}

/// What the master would have after performing a pool's actions; it complains when they make no
/// sense.
private struct PoolWorld {
    let workers: Int
    var alive: Set<WorkerKey> = []
    var doomed: Set<WorkerKey> = []
    var drained: Set<WorkerKey> = []
    var visible: [WorkerKey: PoolState.Visibility] = [:]
    var used: Set<Int> = []
    var ended = 0
    var isEnding = false

    init(workers: Int) { self.workers = workers }

    var starting: [WorkerKey] {
        alive.filter { visible[$0] == .starting && !doomed.contains($0) }.sorted(by: order)
    }

    mutating func exit(_ key: WorkerKey) {
        alive.remove(key)
        doomed.remove(key)
    }

    mutating func perform(_ actions: [PoolState.Action]) {
        for action in actions {
            switch action {
            case .launch(let key):
                #expect(used.insert(key.incarnation).inserted, "incarnation used twice")
                #expect(!isEnding)
                #expect(visible[key] == .starting, "launched before its endpoint is there")
                alive.insert(key)
                let inSlot = alive.filter {
                    $0.slot == key.slot && !doomed.contains($0) && !drained.contains($0)
                }
                #expect(inSlot.count <= 2, "more than a worker and its successor")
            case .publish(let key, .gone):
                visible[key] = nil
                #expect(
                    isEnding || visible.contains { $0.key.slot == key.slot },
                    "an edge sees nobody to wait for")
            case .publish(let key, let visibility): visible[key] = visibility
            case .drain(let key):
                #expect(drained.insert(key).inserted)
                #expect(alive.contains(key))
                #expect(
                    isEnding || visible.contains { $0.key.slot == key.slot && $0.value == .ready },
                    "drains without a successor")
            case .kill(let key):
                #expect(alive.contains(key))
                doomed.insert(key)
            case .ended: ended += 1
            case .settled, .rolled, .rollFailed, .crashLoop: break
            }
        }
        for slot in 1...workers {
            let ready = visible.filter { $0.key.slot == slot && $0.value == .ready }
            #expect(ready.count <= 1, "two ready workers in a slot")
        }
    }
}
