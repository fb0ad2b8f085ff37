/// The edges of all generations that live: which are to be started, told to drain, or killed.
///
/// A pure value: it takes events and the time (nanoseconds, monotonic) and gives actions for the
/// master to perform in order. Invariants: a slot belongs to at most one edge, and is recovered
/// before another edge gets it; only the newest generation is restarted; a generation that was to
/// replace another and fails is taken back whole.
package struct EdgeFleet: Sendable {
    /// Generations that may live at once; starting one more ends the oldest.
    package static let generationsMax = 4
    /// How long an edge may take until it accepts, in nanoseconds. It needs milliseconds; a loaded
    /// machine seconds.
    package static let startLimit: UInt64 = 30_000_000_000
    /// How long an edge may take to close what it has and to write its log, in nanoseconds.
    package static let endLimit: UInt64 = 1_000_000_000
    /// How often an edge of a new generation may end before it is prepared, until the generation is
    /// given up.
    private static let startFailuresMax = 3
    /// How long a change waits for the word of edges, in nanoseconds. They give it within a turn;
    /// one that hangs is not to hold a reload up for as long as its drain may take.
    package static let wordLimit: UInt64 = 10_000_000_000

    /// `prepared`: it could accept and waits to be told.
    package enum Phase: Equatable, Sendable {
        case starting, prepared, accepting, draining, stopping
    }

    package struct Edge: Equatable, Sendable {
        package var generation: Int
        package var index: Int
        package var slot: Int
        package var phase = Phase.starting
        package var startedAt: UInt64
        /// When it is told to end at once, and then killed, unless its phase has changed.
        package var deadline: UInt64?
        /// It was told to end at once.
        fileprivate var isEnding = false
        /// Times an edge of this generation and index was started again.
        package var restarts: Int
        /// It was told to accept, or to accept no more, and has not said yet that it does so.
        fileprivate var owesWord = false
    }

    package enum Action: Equatable, Sendable {
        case launch(generation: Int, index: Int, slot: Int)
        case accept(slot: Int)
        /// Accept no more, end with the last connection.
        case drain(slot: Int)
        /// Finish what is in hand, then end.
        case stop(slot: Int)
        /// Cut what is in hand, say so in the log, and end.
        case stopNow(slot: Int)
        case kill(slot: Int)
        /// What a dead edge left in shared memory is put right.
        case recover(slot: Int)
        /// Every edge of the generation could accept, for the first time.
        case prepared(generation: Int)
        /// A take-over or a stop is done: who is to accept does, and nobody else.
        case settled
        /// The generation could not be started; its edges are being ended.
        case failed(generation: Int)
        /// The last edge of a generation has ended.
        case ended(generation: Int)
        /// One generation too many: the oldest is ended before its connections are.
        case tooMany(generation: Int)
    }

    private struct Generation {
        var number: Int
        var count: Int
        var policies: [RestartPolicy]
        var restarts: [Int]
        /// When an index is due to be started; nil while it runs.
        var launchAt: [UInt64?]
        var prepared: Set<Int> = []
        /// It has taken over.
        var isServing = false
        var isLeaving = false
    }

    private let slotCount: Int
    private var generations: [Generation] = []
    package private(set) var edges: [Int: Edge] = [:]
    private var isStopping = false
    /// When a change counts as settled whatever edges say; nil while none is under way.
    private var settleAt: UInt64?

    /// - Parameter slots: edge slots in shared memory.
    package init(slots: Int) { slotCount = slots }

    /// Nobody lives and nobody is to come.
    package var isEmpty: Bool { edges.isEmpty && generations.allSatisfy(\.isLeaving) }

    /// The generations that live, oldest first.
    package var livingGenerations: [Int] { generations.map(\.number) }

    /// Restarts of an index in the newest generation that serves.
    package func restarts(generation: Int, index: Int) -> Int {
        generations.first { $0.number == generation }?.restarts[index] ?? 0
    }

    /// Starts a generation of `count` edges. Its predecessors go on until it is told to take over.
    package mutating func begin(generation: Int, count: Int, now: UInt64) -> [Action] {
        precondition(count > 0 && !isStopping)
        var actions: [Action] = []
        if generations.count >= Self.generationsMax, let oldest = generations.first {
            actions.append(.tooMany(generation: oldest.number))
            actions += end(oldest.number, now: now)
        }
        generations.append(
            Generation(
                number: generation, count: count,
                policies: Array(repeating: .edge, count: count),
                restarts: Array(repeating: 0, count: count),
                launchAt: Array(repeating: now, count: count)))
        return actions + launchDue(now: now)
    }

    /// An edge could accept.
    package mutating func ready(slot: Int, now: UInt64) -> [Action] {
        guard let edge = edges[slot], edge.phase == .starting else { return [] }
        edges[slot]?.phase = .prepared
        edges[slot]?.deadline = nil
        guard let position = generations.firstIndex(where: { $0.number == edge.generation }) else {
            return []
        }
        if generations[position].isServing { return accept(slot) }
        let isNews = generations[position].prepared.insert(edge.index).inserted
        guard isNews, generations[position].prepared.count == generations[position].count else {
            return []
        }
        return [.prepared(generation: edge.generation)]
    }

    /// An edge that was told to accept does.
    package mutating func accepting(slot: Int) -> [Action] {
        guard edges[slot]?.phase == .accepting else { return [] }
        edges[slot]?.owesWord = false
        return settle()
    }

    /// An edge that was told to drain or to stop accepts no more.
    package mutating func stopped(slot: Int) -> [Action] {
        guard let phase = edges[slot]?.phase, phase == .draining || phase == .stopping else {
            return []
        }
        edges[slot]?.owesWord = false
        return settle()
    }

    /// A prepared generation accepts; every older one accepts no more and ends by itself, at latest
    /// at `deadline`.
    package mutating func takeOver(
        by generation: Int, now: UInt64, deadline: UInt64
    ) -> [Action] {
        settleAt = now + Self.wordLimit
        var actions: [Action] = []
        for position in generations.indices where generations[position].number == generation {
            generations[position].isServing = true
            for slot in slots(of: generation) where edges[slot]?.phase == .prepared {
                actions += accept(slot)
            }
        }
        for position in generations.indices
        where generations[position].number < generation && !generations[position].isLeaving {
            generations[position].isLeaving = true
            for slot in slots(of: generations[position].number) { actions += leave(slot, deadline) }
        }
        return actions + forgetEnded() + settle()
    }

    /// Takes a generation back that is not wanted any more; those before it go on.
    package mutating func withdraw(generation: Int, now: UInt64) -> [Action] {
        end(generation, now: now) + forgetEnded()
    }

    /// All edges finish what they have, at latest at `deadline`; nothing is started any more.
    package mutating func stop(now: UInt64, deadline: UInt64) -> [Action] {
        isStopping = true
        settleAt = now + Self.wordLimit
        var actions: [Action] = []
        for position in generations.indices { generations[position].isLeaving = true }
        for slot in edges.keys.sorted() {
            guard var edge = edges[slot] else { continue }
            // The others accept no connections, or have been told so.
            if edge.phase == .accepting { edge.owesWord = true }
            edge.phase = .stopping
            edge.deadline = min(edge.deadline ?? deadline, deadline)
            edges[slot] = edge
            actions.append(.stop(slot: slot))
        }
        return actions + forgetEnded() + settle()
    }

    /// All edges end now.
    package mutating func stopNow(now: UInt64) -> [Action] {
        isStopping = true
        for position in generations.indices { generations[position].isLeaving = true }
        return edges.keys.sorted().flatMap { endNow($0, now: now) } + forgetEnded()
    }

    /// An edge's process has ended, for whatever reason.
    package mutating func exited(slot: Int, now: UInt64) -> [Action] {
        guard let edge = edges.removeValue(forKey: slot) else { return [] }
        var actions: [Action] = [.recover(slot: slot)]
        if let position = generations.firstIndex(where: { $0.number == edge.generation }),
            !generations[position].isLeaving
        {
            let lifetime = edge.phase == .starting ? 0 : now - edge.startedAt
            let wait = generations[position].policies[edge.index].waitAfter(lifetime: lifetime)
            let failures = generations[position].policies[edge.index].failures
            if !generations[position].isServing, failures >= Self.startFailuresMax {
                actions.append(.failed(generation: edge.generation))
                actions += end(edge.generation, now: now)
            } else {
                generations[position].restarts[edge.index] += 1
                generations[position].launchAt[edge.index] = now + wait
            }
        }
        return actions + launchDue(now: now) + forgetEnded() + settle()
    }

    /// An edge could not even be started: as if it had ended at once.
    package mutating func launchFailed(slot: Int, now: UInt64) -> [Action] {
        exited(slot: slot, now: now)
    }

    /// Does what is due.
    package mutating func tick(now: UInt64) -> [Action] {
        var actions: [Action] = []
        for slot in edges.keys.sorted() {
            guard let deadline = edges[slot]?.deadline, deadline <= now else { continue }
            actions += endNow(slot, now: now)
        }
        if let due = settleAt, due <= now {
            settleAt = nil
            actions.append(.settled)
        }
        return actions + launchDue(now: now)
    }

    /// When `tick` has something to do next; nil: not before another event.
    package var deadline: UInt64? {
        let launches = generations.filter { !$0.isLeaving && !isStopping }
            .flatMap { $0.launchAt.compactMap { $0 } }
        let isFull = freeSlot == nil
        return
            (edges.values.compactMap(\.deadline) + (isFull ? [] : launches)
            + [settleAt].compactMap { $0 }).min()
    }

    // MARK: steps

    private func slots(of generation: Int) -> [Int] {
        edges.values.filter { $0.generation == generation }.map(\.slot).sorted()
    }

    private mutating func accept(_ slot: Int) -> [Action] {
        edges[slot]?.phase = .accepting
        edges[slot]?.owesWord = true
        return [.accept(slot: slot)]
    }

    /// Whether a change that was under way is done now.
    private mutating func settle() -> [Action] {
        guard settleAt != nil, !edges.values.contains(where: \.owesWord) else { return [] }
        for generation in generations where generation.isServing && !generation.isLeaving {
            let accepting = slots(of: generation.number).count { edges[$0]?.phase == .accepting }
            guard accepting == generation.count else { return [] }
        }
        settleAt = nil
        return [.settled]
    }

    private var freeSlot: Int? { (0..<slotCount).first { edges[$0] == nil } }

    private mutating func launchDue(now: UInt64) -> [Action] {
        var actions: [Action] = []
        guard !isStopping else { return [] }
        for position in generations.indices where !generations[position].isLeaving {
            for index in 0..<generations[position].count {
                guard let due = generations[position].launchAt[index], due <= now,
                    let slot = freeSlot
                else { continue }
                generations[position].launchAt[index] = nil
                let number = generations[position].number
                edges[slot] = Edge(
                    generation: number, index: index, slot: slot, startedAt: now,
                    deadline: now + Self.startLimit,
                    restarts: generations[position].restarts[index])
                actions.append(.launch(generation: number, index: index, slot: slot))
            }
        }
        return actions
    }

    /// Lets one edge of a generation that was replaced go.
    private mutating func leave(_ slot: Int, _ deadline: UInt64) -> [Action] {
        guard var edge = edges[slot] else { return [] }
        guard edge.phase == .accepting else {
            edge.phase = .stopping
            edge.deadline = nil
            edges[slot] = edge
            return [.kill(slot: slot)]
        }
        edge.phase = .draining
        edge.owesWord = true
        edge.deadline = deadline
        edges[slot] = edge
        return [.drain(slot: slot)]
    }

    /// Ends a generation at once.
    private mutating func end(_ number: Int, now: UInt64) -> [Action] {
        guard let position = generations.firstIndex(where: { $0.number == number }) else {
            return []
        }
        generations[position].isLeaving = true
        return slots(of: number).flatMap { endNow($0, now: now) }
    }

    /// Ends an edge at once, but gives it the time to say what became of its requests. One that has
    /// not begun has none, and one that was told already is stuck.
    private mutating func endNow(_ slot: Int, now: UInt64) -> [Action] {
        guard var edge = edges[slot] else { return [] }
        let isLost = edge.isEnding || edge.phase == .starting || edge.phase == .prepared
        edge.deadline = isLost ? nil : now + Self.endLimit
        edge.isEnding = true
        edge.phase = .stopping
        edges[slot] = edge
        return [isLost ? .kill(slot: slot) : .stopNow(slot: slot)]
    }

    private mutating func forgetEnded() -> [Action] {
        var actions: [Action] = []
        generations.removeAll { generation in
            let isEnded =
                generation.isLeaving
                && !edges.values.contains { $0.generation == generation.number }
            if isEnded { actions.append(.ended(generation: generation.number)) }
            return isEnded
        }
        return actions
    }
}
