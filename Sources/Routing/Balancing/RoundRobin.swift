import Board

/// Gives each endpoint its turn.
///
/// The cursor is shared by all edges, so that however requests spread over connections and edges,
/// endpoints that are never full differ by one request at most. One that has no room loses its
/// turn: the next turn is taken, not the next neighbour, which would then get two. With weights the
/// turns go round a schedule in which each endpoint's turns are spread evenly.
enum RoundRobin: BalancingAlgorithm {
    /// With half of the endpoints full, one choice in a million looks through all.
    static let attemptsMax = 20

    @inline(__always)
    static func position(
        among members: borrowing PoolMembers, state: inout BalancingState, query: ChoiceQuery,
        attempt: Int
    ) -> Int? {
        // More turns than there are endpoints would only say again that all are full.
        guard attempt < members.turns else { return nil }
        return members.position(ofTurn: members.service.takeTurn())
    }
}
