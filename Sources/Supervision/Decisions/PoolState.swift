/// One incarnation of a worker: its slot in the pool, from 1, and a number that no other life in
/// the pool has.
package struct WorkerKey: Hashable, Sendable, CustomStringConvertible {
    package var slot: Int
    package var incarnation: Int

    package init(slot: Int, incarnation: Int) {
        self.slot = slot
        self.incarnation = incarnation
    }

    package var description: String { "\(slot).\(incarnation)" }
}

/// What one pool of workers is to do: start, replace, roll and end them.
///
/// A pure value: it takes events and the time (nanoseconds, monotonic) and gives actions for the
/// master to perform in order. Invariants: a slot has at most one worker that takes requests and at
/// most one that is to succeed it; a worker that drains is ended by its time limit; in a roll a
/// worker drains only when its successor is ready, one slot after the other.
package struct PoolState: Sendable {
    /// What edges may do with a worker; the words of the endpoint table.
    package enum Visibility: String, Sendable { case starting, ready, draining, down, failed, gone }

    package enum Action: Equatable, Sendable {
        case launch(WorkerKey)
        case publish(WorkerKey, Visibility)
        /// Finish what is in hand, then end.
        case drain(WorkerKey)
        case kill(WorkerKey)
        /// For the first time: a worker is ready, or every one has failed.
        case settled(isReady: Bool)
        /// Lives of a slot that follow one another quickly: how many, for how long, and the wait
        /// before the next.
        case crashLoop(WorkerKey, lives: Int, lasting: UInt64, wait: UInt64)
        case rolled
        /// A successor did not become ready; those not replaced yet stay.
        case rollFailed(WorkerKey)
        /// Nobody is left of a pool that was told to end.
        case ended
    }

    /// Why a worker's end was our own doing; nil: it was its own.
    package enum Cause: Equatable, Sendable { case timeout, replaced, stop, start }

    private enum Phase: Equatable { case starting, ready, draining, killed }

    private struct Worker {
        var key: WorkerKey
        var phase = Phase.starting
        var startedAt: UInt64
        var deadline: UInt64?
        var cause: Cause?
    }

    private struct Slot {
        var current: Worker?
        var successor: Worker?
        var leaving: [Worker] = []
        var policy = RestartPolicy.worker
        var loop = CrashLoop()
        var launchAt: UInt64?
        var restarts = 0
        /// Shown while nobody is there: the last life.
        var shown: WorkerKey?
    }

    /// How long the first worker that is ready waits for the others, so that load is even from the
    /// first request on. Nanoseconds; forked workers need some 20 ms of it.
    package static let companyWait: UInt64 = 500_000_000
    /// Lives in a row that never were ready after which a slot counts as failed, so that nobody
    /// waits for it. It is tried on, with back-off.
    package static let failuresMax = 3

    private var slots: [Slot]
    private var nextIncarnation = 1
    private let startLimit: UInt64
    private let drainLimit: UInt64
    private var toRoll: [Int] = []
    private var isRolling = false
    /// The worker that the roll waits for.
    private var awaited: WorkerKey?
    private var isEnding = false
    private var hasEnded = false
    private var hasSettled = false
    /// When the pool is settled although some workers are still starting.
    private var settleAt: UInt64?
    private var hasBegun = false

    /// - Parameters:
    ///   - startLimit: nanoseconds until a worker has to be ready.
    ///   - drainLimit: nanoseconds a worker has for what it has in hand.
    package init(
        workers: Int, startLimit: UInt64, drainLimit: UInt64
    ) {
        precondition(workers > 0)
        slots = Array(repeating: Slot(), count: workers)
        self.startLimit = startLimit
        self.drainLimit = drainLimit
    }

    /// Restarts of a slot, 1 being the first.
    package func restarts(slot: Int) -> Int { slots[slot - 1].restarts }

    /// Workers that take requests.
    package var readyCount: Int { slots.count { $0.current?.phase == .ready } }

    /// A roll is under way.
    package var isRollUnderWay: Bool { isRolling }

    /// Why a worker is about to end or has just ended, if that was our doing.
    package func cause(_ key: WorkerKey) -> Cause? { worker(key)?.cause }

    /// Whether a worker takes requests.
    package func isReady(_ key: WorkerKey) -> Bool { worker(key)?.phase == .ready }

    /// When a worker was started; nil once it has ended.
    package func startedAt(_ key: WorkerKey) -> UInt64? { worker(key)?.startedAt }

    // MARK: events

    /// Starts every worker.
    package mutating func begin(now: UInt64) -> [Action] {
        precondition(!hasBegun)
        hasBegun = true
        return slots.indices.flatMap { launch($0, now: now) }
    }

    /// A worker says that it can take requests.
    package mutating func ready(_ key: WorkerKey, now: UInt64) -> [Action] {
        guard !isEnding, slots.indices.contains(key.slot - 1) else { return [] }
        let position = key.slot - 1
        if slots[position].current?.key == key, slots[position].current?.phase == .starting {
            slots[position].current?.phase = .ready
            slots[position].current?.deadline = nil
            return [.publish(key, .ready)] + settle(now: now) + continueRoll(now: now)
        }
        guard slots[position].successor?.key == key else { return [] }
        var actions: [Action] = [.publish(key, .ready)]
        if let old = slots[position].current { actions += leave(old, cause: .replaced, now: now) }
        if let shown = slots[position].shown { actions.append(.publish(shown, .gone)) }
        slots[position].shown = nil
        slots[position].launchAt = nil
        slots[position].current = slots[position].successor
        slots[position].current?.phase = .ready
        slots[position].current?.deadline = nil
        slots[position].successor = nil
        return actions + settle(now: now) + continueRoll(now: now)
    }

    /// A worker's process has ended, or could not be started.
    ///
    /// - Parameter hasServed: it had been given a request, which is then the likelier cause.
    package mutating func exited(
        _ key: WorkerKey, hasServed: Bool = false, now: UInt64
    ) -> [Action] {
        guard slots.indices.contains(key.slot - 1) else { return [] }
        let position = key.slot - 1
        if let index = slots[position].leaving.firstIndex(where: { $0.key == key }) {
            slots[position].leaving.remove(at: index)
            return [.publish(key, .gone)] + end()
        }
        if slots[position].successor?.key == key {
            slots[position].successor = nil
            return [.publish(key, .gone)] + abandonRoll(key) + end()
        }
        guard let worker = slots[position].current, worker.key == key else { return [] }
        slots[position].current = nil
        guard !isEnding else { return [.publish(key, .gone)] + end() }
        var actions = scheduleRestart(position, after: worker, hasServed: hasServed, now: now)
        if awaited == key { actions += abandonRoll(key) }
        actions += settle(now: now) + launchDue(now: now)
        return actions
    }

    /// A worker has to go because a request took too long or it does not answer.
    package mutating func killed(_ key: WorkerKey, cause: Cause) -> [Action] {
        let position = key.slot - 1
        guard slots.indices.contains(position) else { return [] }
        if slots[position].current?.key == key {
            guard slots[position].current?.phase != .killed else { return [] }
            slots[position].current?.phase = .killed
            slots[position].current?.cause = cause
            slots[position].current?.deadline = nil
            return [.publish(key, .down), .kill(key)]
        }
        guard let index = slots[position].leaving.firstIndex(where: { $0.key == key }),
            slots[position].leaving[index].phase != .killed
        else { return [] }
        slots[position].leaving[index].phase = .killed
        slots[position].leaving[index].deadline = nil
        return [.kill(key)]
    }

    /// Replaces every worker, one slot after the other, each when its successor is ready.
    package mutating func roll(now: UInt64) -> [Action] {
        guard !isEnding else { return [] }
        var actions: [Action] = []
        // Successors of a roll under way are of the code that is to be replaced.
        for position in slots.indices {
            if let successor = slots[position].successor {
                slots[position].successor = nil
                actions += leave(successor, cause: .replaced, now: now)
            }
        }
        toRoll = Array(slots.indices)
        isRolling = true
        return actions + continueRoll(now: now)
    }

    /// Ends the pool: nothing is started any more, everyone finishes what is in hand.
    package mutating func drain(now: UInt64, cause: Cause) -> [Action] {
        guard !isEnding else { return [] }
        isEnding = true
        settleAt = nil
        toRoll = []
        isRolling = false
        awaited = nil
        var actions: [Action] = []
        for position in slots.indices {
            slots[position].launchAt = nil
            if let shown = slots[position].shown { actions.append(.publish(shown, .gone)) }
            slots[position].shown = nil
            for worker in [slots[position].current, slots[position].successor] {
                if let worker { actions += leave(worker, cause: cause, now: now) }
            }
            slots[position].current = nil
            slots[position].successor = nil
        }
        return actions + end()
    }

    /// Ends everyone now.
    package mutating func killAll() -> [Action] {
        var actions = drain(now: 0, cause: .stop)
        for position in slots.indices {
            for index in slots[position].leaving.indices
            where slots[position].leaving[index].phase != .killed {
                slots[position].leaving[index].phase = .killed
                slots[position].leaving[index].deadline = nil
                actions.append(.kill(slots[position].leaving[index].key))
            }
        }
        return actions
    }

    /// Does what is due.
    package mutating func tick(now: UInt64) -> [Action] {
        var actions: [Action] = []
        for position in slots.indices {
            if let worker = slots[position].current, let deadline = worker.deadline, deadline <= now
            {
                actions += killed(worker.key, cause: .start)
            }
            if let worker = slots[position].successor, let deadline = worker.deadline,
                deadline <= now
            {
                slots[position].successor?.deadline = nil
                slots[position].successor?.cause = .start
                actions.append(.kill(worker.key))
            }
            for worker in slots[position].leaving {
                if let deadline = worker.deadline, deadline <= now {
                    actions += killed(worker.key, cause: worker.cause ?? .stop)
                }
            }
        }
        if let due = settleAt, due <= now { actions += settle(now: now) }
        return actions + launchDue(now: now)
    }

    /// When `tick` has something to do next; nil: not before another event.
    package var deadline: UInt64? {
        ([settleAt]
            + slots.flatMap { slot in
                [slot.launchAt, slot.current?.deadline, slot.successor?.deadline]
                    + slot.leaving.map(\.deadline)
            }).compactMap { $0 }.min()
    }

    // MARK: steps

    private func worker(_ key: WorkerKey) -> Worker? {
        guard slots.indices.contains(key.slot - 1) else { return nil }
        let slot = slots[key.slot - 1]
        return ([slot.current, slot.successor].compactMap { $0 } + slot.leaving)
            .first { $0.key == key }
    }

    /// Decides when a slot is started again, and what is shown until then.
    private mutating func scheduleRestart(
        _ position: Int, after worker: Worker, hasServed: Bool, now: UInt64
    ) -> [Action] {
        // A life that never became ready was no stable one, however long it took.
        let wasReady = worker.phase == .ready || worker.cause == .timeout
        let lifetime = wasReady ? now - worker.startedAt : 0
        let wait =
            wasReady && hasServed
            ? slots[position].policy.waitAfter(workingLife: lifetime)
            : slots[position].policy.waitAfter(lifetime: lifetime)
        slots[position].launchAt = now + wait
        slots[position].restarts += 1
        slots[position].shown = worker.key
        // A life that we ended for its request's time was no crash.
        let isLoud = slots[position].loop.ended(
            startedAt: worker.startedAt, wasReady: wasReady,
            isStable: worker.cause == .timeout || slots[position].policy.isStable(lifetime))
        let loop = slots[position].loop
        let hasFailed = loop.falseStarts >= Self.failuresMax
        let shown = Action.publish(worker.key, hasFailed ? .failed : .down)
        guard isLoud else { return [shown] }
        return [
            shown,
            .crashLoop(
                worker.key, lives: loop.lives, lasting: now - loop.since, wait: wait),
        ]
    }

    private mutating func launch(_ position: Int, now: UInt64) -> [Action] {
        let key = WorkerKey(slot: position + 1, incarnation: nextIncarnation)
        nextIncarnation += 1
        slots[position].launchAt = nil
        // The new one is shown before the old one is not: an edge that saw neither would think that
        // there is nobody to wait for.
        var actions: [Action] = [.publish(key, .starting)]
        if let shown = slots[position].shown { actions.append(.publish(shown, .gone)) }
        slots[position].shown = nil
        slots[position].current = Worker(key: key, startedAt: now, deadline: now + startLimit)
        return actions + [.launch(key)]
    }

    private mutating func launchDue(now: UInt64) -> [Action] {
        guard !isEnding else { return [] }
        return slots.indices.flatMap { position -> [Action] in
            guard let due = slots[position].launchAt, due <= now else { return [] }
            return launch(position, now: now)
        }
    }

    private mutating func leave(_ worker: Worker, cause: Cause, now: UInt64) -> [Action] {
        var worker = worker
        worker.cause = worker.cause ?? cause
        guard worker.phase == .ready else {
            // Nobody waits for a worker that never took a request.
            let wasKilled = worker.phase == .killed
            worker.phase = .killed
            worker.deadline = nil
            slots[worker.key.slot - 1].leaving.append(worker)
            return wasKilled ? [] : [.publish(worker.key, .draining), .kill(worker.key)]
        }
        worker.phase = .draining
        worker.deadline = now + drainLimit
        slots[worker.key.slot - 1].leaving.append(worker)
        return [.publish(worker.key, .draining), .drain(worker.key)]
    }

    /// Settled is a pool with every worker ready or failed once, or some time after its first one
    /// is ready.
    private mutating func settle(now: UInt64) -> [Action] {
        guard !hasSettled, !isEnding else { return [] }
        let isReady = readyCount > 0
        if isReady {
            let due = settleAt ?? now + Self.companyWait
            settleAt = due
            let isComplete = slots.allSatisfy {
                $0.current?.phase == .ready || $0.loop.falseStarts > 0
            }
            guard isComplete || due <= now else { return [] }
        } else {
            guard slots.allSatisfy({ $0.loop.falseStarts >= Self.failuresMax }) else {
                return []
            }
        }
        hasSettled = true
        settleAt = nil
        return [.settled(isReady: isReady)]
    }

    private mutating func continueRoll(now: UInt64) -> [Action] {
        guard isRolling, slots.allSatisfy({ $0.successor == nil }) else { return [] }
        if let awaited, worker(awaited)?.phase == .starting { return [] }
        guard let position = toRoll.first else {
            isRolling = false
            awaited = nil
            return [.rolled]
        }
        toRoll.removeFirst()
        slots[position].policy = .worker
        slots[position].loop = CrashLoop()
        guard slots[position].current != nil else {
            let actions = launch(position, now: now)
            awaited = slots[position].current?.key
            return actions
        }
        let key = WorkerKey(slot: position + 1, incarnation: nextIncarnation)
        nextIncarnation += 1
        slots[position].successor = Worker(key: key, startedAt: now, deadline: now + startLimit)
        awaited = key
        return [.publish(key, .starting), .launch(key)]
    }

    private mutating func abandonRoll(_ key: WorkerKey) -> [Action] {
        isRolling = false
        toRoll = []
        awaited = nil
        return [.rollFailed(key)]
    }

    private mutating func end() -> [Action] {
        guard isEnding, !hasEnded, slots.allSatisfy({ $0.leaving.isEmpty }) else { return [] }
        hasEnded = true
        return [.ended]
    }
}
