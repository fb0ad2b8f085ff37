import Board
import Memory

/// The ready endpoints of a service as an edge last read them, in the order of their slots: the
/// same in every edge.
struct PoolMembers: ~Copyable {
    private struct Member {
        /// What the endpoint's status has to be for the member to be valid.
        var status: EndpointStatus
        var index: UInt32
        var weight: UInt32
        /// Its places are taken for so long, whatever the table says: it took no connection.
        var fullUntil: UInt64 = 0
    }

    private let place = Immobile()
    private let table: Table
    let service: ServiceSlot
    private var members: [Member] = []
    /// Positions by turns; empty when all weights are equal.
    private var schedule: [UInt32] = []
    /// The latest of the members' `fullUntil`.
    private var fullUntil: UInt64 = 0
    private var version: UInt64 = 0
    private var wasRead = false

    init(table: Table, service: Int) {
        self.table = table
        self.service = table.service(service)
    }

    var count: Int { members.count }

    /// Turns until each position had one.
    var turns: Int { schedule.isEmpty ? members.count : schedule.count }

    /// Reads the endpoints anew if they changed, and says whether they did.
    mutating func refresh() -> Bool {
        let current = service.version
        if current == version && wasRead { return false }
        // The version first: what changes from here on changes it again.
        version = current
        wasRead = true
        members.removeAll(keepingCapacity: true)
        for index in 0..<table.endpointHighWater {
            let slot = table.endpoint(index)
            let status = slot.status
            guard status.isReady, slot.service == service.index, slot.weight > 0 else { continue }
            members.append(Member(status: status, index: UInt32(index), weight: slot.weight))
        }
        schedule = WeightSchedule.positions(members.map { Int($0.weight) })
        return true
    }

    /// Each member's lasting identity, and its weight in lowest terms.
    var identities: [(identity: UInt64, weight: Int)] {
        let divisor = WeightSchedule.divisor(members.map { Int($0.weight) })
        return members.map {
            (table.endpoint(Int($0.index)).identity, Int($0.weight) / divisor)
        }
    }

    /// The position whose turn it is.
    @inline(__always)
    func position(ofTurn turn: UInt64) -> Int {
        schedule.isEmpty
            ? Int(truncatingIfNeeded: turn % UInt64(members.count))
            : Int(schedule[Int(truncatingIfNeeded: turn % UInt64(schedule.count))])
    }

    /// A position by chance, by weight.
    func randomPosition(_ random: inout RandomSource) -> Int {
        schedule.isEmpty
            ? random.next(below: members.count) : Int(schedule[random.next(below: schedule.count)])
    }

    @inline(__always)
    func index(_ position: Int) -> Int { Int(members[position].index) }

    @inline(__always)
    func status(_ position: Int) -> EndpointStatus { members[position].status }

    func weight(_ position: Int) -> Int { Int(members[position].weight) }

    func slot(_ position: Int) -> EndpointSlot { table.endpoint(index(position)) }

    /// Requests in flight there over all edges.
    func load(_ position: Int) -> Int {
        table.inFlight(index(position), capacity: status(position).capacity)
    }

    /// Requests it can have in flight; nil is without limit.
    func capacity(_ position: Int) -> Int? {
        let capacity = status(position).capacity
        return capacity == 0 ? nil : capacity
    }

    func latency(_ position: Int) -> UInt64 {
        table.endpoint(index(position)).latency.loadRelaxed()
    }

    @inline(__always)
    func reference(_ position: Int) -> EndpointReference {
        EndpointReference(
            index: members[position].index, generation: members[position].status.generation)
    }

    /// Takes an endpoint as full until a moment.
    mutating func noteFull(_ index: Int, until: UInt64) {
        fullUntil = max(fullUntil, until)
        for position in members.indices where Int(members[position].index) == index {
            members[position].fullUntil = until
        }
    }

    @inline(__always)
    func isFull(_ position: Int, now: UInt64) -> Bool { members[position].fullUntil > now }

    /// Whether the endpoint in a slot of the table is taken as full.
    func isFull(index: Int, now: UInt64) -> Bool {
        guard fullUntil > now else { return false }
        return members.contains { Int($0.index) == index && $0.fullUntil > now }
    }

    /// Not tried by this request, not taken as full, and not paused; one whose pause is over counts
    /// as available.
    @inline(__always)
    func isAvailable(_ position: Int, _ query: ChoiceQuery) -> Bool {
        guard !query.tried.contains(reference(position)), !isFull(position, now: query.now) else {
            return false
        }
        let until = table.endpoint(index(position)).pausedUntil.loadRelaxed()
        return until == 0 || until <= query.now
    }
}

/// Turns by weight.
enum WeightSchedule {
    /// Turns in a round at most; weights that need more are rounded, never to nothing.
    private static let turnsMax = 1 << 14

    /// Positions in the order of their turns, each one's spread evenly over the round; empty for
    /// equal weights.
    static func positions(_ weights: [Int]) -> [UInt32] {
        guard let first = weights.first, weights.contains(where: { $0 != first }) else { return [] }
        let divisor = divisor(weights)
        let total = weights.reduce(0, +) / divisor
        var turns: [(at: Double, position: UInt32)] = []
        for (position, weight) in weights.enumerated() {
            var count = weight / divisor
            if total > turnsMax { count = max(1, count * turnsMax / total) }
            for number in 0..<count {
                turns.append(((Double(number) + 0.5) / Double(count), UInt32(position)))
            }
        }
        turns.sort { ($0.at, $0.position) < ($1.at, $1.position) }
        return turns.map(\.position)
    }

    /// The greatest common divisor of weights above 0; 1 for none.
    static func divisor(_ weights: [Int]) -> Int {
        var divisor = 0
        for weight in weights {
            var (one, other) = (divisor, weight)
            while other != 0 { (one, other) = (other, one % other) }
            divisor = one
        }
        return max(divisor, 1)
    }
}
