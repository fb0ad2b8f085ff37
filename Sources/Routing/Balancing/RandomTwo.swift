import Board

/// Takes two endpoints by chance, by weight, and of them the one with fewer requests in flight.
///
/// As good as least-connections in the large, at the cost of two, however many there are
/// (Mitzenmacher, 2001).
enum RandomTwo: BalancingAlgorithm {
    static let attemptsMax = 8

    @inline(__always)
    static func position(
        among members: borrowing PoolMembers, state: inout BalancingState, query: ChoiceQuery,
        attempt: Int
    ) -> Int? {
        let first = members.randomPosition(&state.random)
        var second = members.randomPosition(&state.random)
        if second == first { second = (second + 1) % members.count }
        let firstIsAvailable = members.isAvailable(first, query)
        guard members.isAvailable(second, query) else { return first }
        guard firstIsAvailable else { return second }
        return members.load(first) * members.weight(second)
            <= members.load(second) * members.weight(first) ? first : second
    }
}
