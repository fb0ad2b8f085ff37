import Board

/// Decides which of a service's endpoints a request goes to. One file an algorithm, and one line in
/// the list below.
///
/// An algorithm names a position; the pool takes a place there, or asks again when there was none.
protocol BalancingAlgorithm {
    /// The position to try, or nil when all of them are to be looked through.
    ///
    /// - Parameter attempt: 0, then how many positions were named for this request and had no room.
    static func position(
        among members: borrowing PoolMembers, state: inout BalancingState, query: ChoiceQuery,
        attempt: Int
    ) -> Int?

    /// Positions that are named before all are looked through.
    static var attemptsMax: Int { get }
}

/// What algorithms keep from one choice to the next; each edge has its own for each service.
struct BalancingState: Sendable {
    var random: RandomSource
    /// The position chosen last.
    var last = 0
    /// Where the endpoints lie on the circle; for consistent hashing alone.
    var points = HashPoints()
}

/// A request that wants an endpoint.
struct ChoiceQuery {
    let now: UInt64
    let keyHash: UInt64
    let tried: TriedEndpoints
}

/// The list of algorithms.
extension ServiceOptions.Balance {
    @inline(__always)
    func position(
        among members: borrowing PoolMembers, state: inout BalancingState, query: ChoiceQuery,
        attempt: Int
    ) -> Int? {
        func ask<Algorithm: BalancingAlgorithm>(_ algorithm: Algorithm.Type) -> Int? {
            guard attempt < algorithm.attemptsMax else { return nil }
            return algorithm.position(
                among: members, state: &state, query: query, attempt: attempt)
        }
        return switch self {
        case .roundRobin: ask(RoundRobin.self)
        case .leastConnections: ask(LeastConnections.self)
        case .randomTwo: ask(RandomTwo.self)
        case .leastTime: ask(LeastTime.self)
        case .consistentHash: ask(ConsistentHash.self)
        }
    }
}

/// Endpoints up to which an algorithm that wants the best looks at all of them; above, at a sample
/// of `samplesMax`, so that a choice among thousands costs what one among a few does.
let wholeLookMax = 16
/// Endpoints of a sample. The best of sixteen is, with 1,000 endpoints, among the best 6 % on
/// average.
let samplesMax = 16

extension PoolMembers {
    /// The position with the least cost among all, or among a sample when there are many; nil if
    /// none has room.
    ///
    /// Ties go to the position after the one chosen last, so that equal endpoints share the load.
    @inline(__always)
    func cheapest(
        state: inout BalancingState, query: ChoiceQuery,
        cost: (borrowing PoolMembers, Int) -> UInt64
    ) -> Int? {
        var best: Int?
        var bestCost = UInt64.max
        let isWhole = count <= wholeLookMax
        for step in 0..<(isWhole ? count : samplesMax) {
            var position = isWhole ? state.last &+ 1 &+ step : randomPosition(&state.random)
            if position >= count { position %= count }
            guard isAvailable(position, query) else { continue }
            let load = load(position)
            if let capacity = capacity(position), load >= capacity { continue }
            let own = cost(self, position)
            if own < bestCost || best == nil {
                best = position
                bestCost = own
            }
        }
        if let best { state.last = best }
        return best
    }
}
