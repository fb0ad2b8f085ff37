import Board

/// Sends each request to the endpoint with the fewest requests in flight for its weight, over all
/// edges.
///
/// Exact up to `wholeLookMax` endpoints; above, the best of a random sample, by weight.
enum LeastConnections: BalancingAlgorithm {
    /// Each further attempt means that another edge was faster.
    static let attemptsMax = 4

    @inline(__always)
    static func position(
        among members: borrowing PoolMembers, state: inout BalancingState, query: ChoiceQuery,
        attempt: Int
    ) -> Int? {
        members.cheapest(state: &state, query: query) { members, position in
            UInt64(members.load(position)) << 20 / UInt64(members.weight(position))
        }
    }
}
