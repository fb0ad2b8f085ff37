import Linux
import Routing

/// How much of everything one edge has room for, from its share of `limits.connections`.
struct EdgeCapacities {
    /// Client connections, and requests being served.
    var clients: Int
    /// Connections to endpoints: one for each request, and idle ones.
    var upstreams: Int
    /// No descriptor's number reaches this.
    var descriptors: Int
    /// Blocks of 4 KiB and of 64 KiB.
    var smallBlocks: Int
    var largeBlocks: Int

    /// Descriptors of an edge that are no connections: listeners, logs, shared memory, event
    /// counters.
    private static let ownDescriptors = 512
    /// Blocks that every edge has room for, however few connections it takes.
    private static let blocksLeast = 256
    /// 64 KiB blocks an edge takes at most: 1 GiB.
    private static let largeBlocksMost = 16_384

    init(_ front: FrontOptions) {
        self.init(connections: front.connectionsPerEdge)
    }

    init(connections: Int) {
        clients = connections
        upstreams = connections + EdgeLimits.idleUpstreamsMax
        descriptors = clients + upstreams + 2 * clients + Self.ownDescriptors
        // A busy exchange holds about three small blocks, some more while large ones are scarce; an
        // idle connection none.
        smallBlocks = Self.blocksLeast + 8 * clients
        largeBlocks = min(Self.blocksLeast + 2 * clients, Self.largeBlocksMost)
    }
}
