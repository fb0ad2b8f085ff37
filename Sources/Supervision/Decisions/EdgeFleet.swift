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
    /// How often an edge of a new generation may end before it accepts, until the generation is
    /// given up.
    private static let startFailuresMax = 3

    package enum Phase: Equatable, Sendable { case starting, accepting, draining, stopping }

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
    }

    package enum Action: Equatable, Sendable {
        case launch(generation: Int, index: Int, slot: Int)
        /// Accept no more, end with the last connection.
        case drain(slot: Int)
        /// Finish what is in hand, then end.
        case stop(slot: Int)
        /// Cut what is in hand, say so in the log, and end.
        case stopNow(slot: Int)
        case kill(slot: Int)
        /// What a dead edge left in shared memory is put right.
        case recover(slot: Int)
        /// Every edge of the generation accepts, for the first time.
        case accepting(generation: Int)
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
        var accepted: Set<Int> = []
        var isAccepting = false
        var isLeaving = false
    }

    private let slotCount: Int
    private var generations: [Generation] = []
    package private(set) var edges: [Int: Edge] = [:]
    private var isStopping = false

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

    /// An edge accepts.
    package mutating func ready(slot: Int, now: UInt64) -> [Action] {
        guard var edge = edges[slot], edge.phase == .starting else { return [] }
        edge.phase = .accepting
        edge.deadline = nil
        edges[slot] = edge
        guard let position = generations.firstIndex(where: { $0.number == edge.generation }) else {
            return []
        }
        generations[position].accepted.insert(edge.index)
        guard !generations[position].isAccepting,
            generations[position].accepted.count == generations[position].count
        else { return [] }
        generations[position].isAccepting = true
        return [.accepting(generation: edge.generation)]
    }

    /// Every generation but `generation` accepts no more and ends by itself, at latest at
    /// `deadline`.
    package mutating func takeOver(by generation: Int, deadline: UInt64) -> [Action] {
        var actions: [Action] = []
        for position in generations.indices
        where generations[position].number < generation && !generations[position].isLeaving {
            generations[position].isLeaving = true
            let leaving = edges.values.filter { $0.generation == generations[position].number }
            for edge in leaving.sorted(by: { $0.slot < $1.slot }) {
                actions += leave(edge.slot, deadline)
            }
        }
        return actions + forgetEnded()
    }

    /// Takes a generation back that is not wanted any more; those before it go on.
    package mutating func withdraw(generation: Int, now: UInt64) -> [Action] {
        end(generation, now: now) + forgetEnded()
    }

    /// All edges finish what they have, at latest at `deadline`; nothing is started any more.
    package mutating func stop(deadline: UInt64) -> [Action] {
        isStopping = true
        var actions: [Action] = []
        for position in generations.indices { generations[position].isLeaving = true }
        for slot in edges.keys.sorted() {
            guard var edge = edges[slot] else { continue }
            edge.phase = .stopping
            edge.deadline = min(edge.deadline ?? deadline, deadline)
            edges[slot] = edge
            actions.append(.stop(slot: slot))
        }
        return actions + forgetEnded()
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
            if !generations[position].isAccepting, failures >= Self.startFailuresMax {
                actions.append(.failed(generation: edge.generation))
                actions += end(edge.generation, now: now)
            } else {
                generations[position].restarts[edge.index] += 1
                generations[position].launchAt[edge.index] = now + wait
            }
        }
        return actions + launchDue(now: now) + forgetEnded()
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
        return actions + launchDue(now: now)
    }

    /// When `tick` has something to do next; nil: not before another event.
    package var deadline: UInt64? {
        let launches = generations.filter { !$0.isLeaving && !isStopping }
            .flatMap { $0.launchAt.compactMap { $0 } }
        let isFull = freeSlot == nil
        return (edges.values.compactMap(\.deadline) + (isFull ? [] : launches)).min()
    }

    // MARK: steps

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
        guard edge.phase == .accepting else { return [.kill(slot: slot)] }
        edge.phase = .draining
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
        return edges.values.filter { $0.generation == number }.map(\.slot).sorted()
            .flatMap { endNow($0, now: now) }
    }

    /// Ends an edge at once, but gives it the time to say what became of its requests. One that has
    /// not begun has none, and one that was told already is stuck.
    private mutating func endNow(_ slot: Int, now: UInt64) -> [Action] {
        guard var edge = edges[slot] else { return [] }
        let isLost = edge.isEnding || edge.phase == .starting
        edge.deadline = isLost ? nil : now + Self.endLimit
        edge.isEnding = true
        if !isLost { edge.phase = .stopping }
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
