import Board
import Memory

/// The idle connections of each endpoint, the one used last first: it is the least likely to be
/// closed by now.
///
/// A list is doubly linked through the connections themselves, so that one whose peer closes it
/// leaves at once.
struct IdleConnections: ~Copyable {
    private let heads: FixedArray<Int32>
    private let counts: FixedArray<Int32>

    /// - Parameter endpoints: rows of the endpoint table.
    init(endpoints: Int) {
        heads = FixedArray(repeating: -1, count: endpoints)
        counts = FixedArray(zeroed: endpoints)
    }

    /// Idle connections of an endpoint.
    func count(_ endpoint: Int) -> Int { Int(counts[endpoint]) }

    func insert(_ upstream: Int, in upstreams: SlotTable<UpstreamConnection>) {
        let endpoint = Int(upstreams[upstream].endpoint.index)
        let head = heads[endpoint]
        upstreams[upstream].previousIdle = -1
        upstreams[upstream].nextIdle = head
        if head >= 0 { upstreams[Int(head)].previousIdle = Int32(upstream) }
        heads[endpoint] = Int32(upstream)
        counts[endpoint] += 1
    }

    func remove(_ upstream: Int, in upstreams: SlotTable<UpstreamConnection>) {
        let endpoint = Int(upstreams[upstream].endpoint.index)
        let previous = upstreams[upstream].previousIdle
        let next = upstreams[upstream].nextIdle
        if previous >= 0 {
            upstreams[Int(previous)].nextIdle = next
        } else {
            precondition(heads[endpoint] == Int32(upstream))
            heads[endpoint] = next
        }
        if next >= 0 { upstreams[Int(next)].previousIdle = previous }
        counts[endpoint] -= 1
    }

    /// The connection used last, taken out of the list; nil when there is none of this incarnation.
    func first(
        of endpoint: EndpointReference, in upstreams: SlotTable<UpstreamConnection>
    ) -> Int? {
        let head = heads[Int(endpoint.index)]
        guard head >= 0, upstreams[Int(head)].endpoint == endpoint else { return nil }
        return Int(head)
    }

    /// Any idle connection of this row, whichever incarnation it belongs to.
    func any(of endpoint: Int) -> Int? { heads[endpoint] >= 0 ? Int(heads[endpoint]) : nil }
}
