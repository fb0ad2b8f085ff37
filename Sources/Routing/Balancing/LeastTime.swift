import Board

/// Sends each request where it should be answered soonest: the estimated latency, times the
/// requests there would be in flight, by weight.
///
/// The estimate is shared by all edges and fades when an endpoint gets no requests, so that one
/// that was slow is tried again. Exact up to `wholeLookMax` endpoints; above, the best of a random
/// sample.
enum LeastTime: BalancingAlgorithm {
    static let attemptsMax = 4

    @inline(__always)
    static func position(
        among members: borrowing PoolMembers, state: inout BalancingState, query: ChoiceQuery,
        attempt: Int
    ) -> Int? {
        members.cheapest(state: &state, query: query) { members, position in
            let estimate = LatencyEstimate(word: members.latency(position)).microseconds(
                at: query.now)
            // One of which nothing is known gets one request at a time until it has answered.
            if estimate == 0 {
                return members.load(position) == 0 ? 0 : UInt64(members.load(position) + 1) << 42
            }
            // At most 2^32 µs, times 2^16, times 2^10, over 2^0…2^10.
            return (estimate + 1) * UInt64(members.load(position) + 1) << 10
                / UInt64(members.weight(position))
        }
    }
}
