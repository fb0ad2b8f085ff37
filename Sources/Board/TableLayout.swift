/// Where everything lies in the file `table`, computed from named capacities.
///
/// Order: header · live edges · edges · services · endpoints · places · cells · waiters · requests
/// in flight · client addresses. What several processes change lies on cache lines of its own.
/// Pages that nobody touches cost nothing, so the capacities may be generous.
@frozen
public struct TableLayout: Equatable, Sendable {
    /// Services, `limits.services` for each generation that may live; at most 65,535, because a
    /// service's index has 16 bits.
    public let services: Int
    /// Endpoint slots: `limits.endpoints` for each generation that may live.
    public let endpoints: Int
    /// Edge slots, at most 64: four generations of each edge.
    public let edgeSlots: Int
    /// Requests in flight that one edge can have; a request more is a 503.
    public let requestsPerEdge: Int

    @usableFromInline let edgesAt: Int
    @usableFromInline let servicesAt: Int
    @usableFromInline let endpointsAt: Int
    @usableFromInline let placesAt: Int
    @usableFromInline let cellsAt: Int
    @usableFromInline let waitersAt: Int
    @usableFromInline let requestsAt: Int
    let addressesAt: Int
    /// Cells of an edge's table of client addresses, a power of two: twice its requests in flight,
    /// and so twice its connections.
    let addressCells: Int
    /// Bytes of the whole file.
    public let size: Int

    /// - Precondition: 1…64 edge slots, 1…65,535 services, 1…1,048,576 endpoints and requests an
    ///   edge.
    public init(services: Int, endpoints: Int, edgeSlots: Int, requestsPerEdge: Int) {
        precondition(Self.isPossible([services, endpoints, edgeSlots, requestsPerEdge]))
        self.services = services
        self.endpoints = endpoints
        self.edgeSlots = edgeSlots
        self.requestsPerEdge = requestsPerEdge
        edgesAt = TableField.headerSize
        servicesAt = edgesAt + edgeSlots * EdgeField.recordSize
        endpointsAt = servicesAt + services * ServiceField.recordSize
        placesAt = endpointsAt + endpoints * EndpointField.recordSize
        cellsAt = placesAt + endpoints * placesMax * 8
        waitersAt = cellsAt + edgeSlots * wholeLines(endpoints * CellField.recordSize)
        requestsAt = waitersAt + services * edgeSlots * WaiterField.recordSize
        addressesAt = requestsAt + edgeSlots * requestsPerEdge * RequestField.recordSize
        var cells = 16
        while cells < 2 * requestsPerEdge { cells *= 2 }
        addressCells = cells
        size = addressesAt + edgeSlots * addressCells * 8
    }

    static func isPossible(_ capacities: [Int]) -> Bool {
        capacities.count == 4 && capacities.allSatisfy { $0 > 0 }
            && capacities[0] < 1 << 16 && capacities[1] <= 1 << 20
            && capacities[2] <= edgeSlotsMax && capacities[3] <= 1 << 20
    }

    var capacities: [Int] { [services, endpoints, edgeSlots, requestsPerEdge] }

    /// Every constant that an offset is computed from.
    static var constants: [Int] {
        [
            TableField.headerSize, EdgeField.recordSize, ServiceField.recordSize,
            EndpointField.recordSize, placesMax, CellField.recordSize, WaiterField.recordSize,
            RequestField.recordSize, layoutVersion,
        ]
    }

    /// To be raised when a field changes its meaning and no size changes.
    private static let layoutVersion = 2
}

/// Places of an endpoint: one word each; above this capacity edges only count.
public let placesMax = 64
/// Bytes of a service's name.
public let serviceNameMax = 64
/// Bytes of a Unix socket's path (`sun_path` without the final zero).
public let addressBytesMax = 107

/// Words of the table's own header, after the common one.
@usableFromInline
enum TableField {
    @usableFromInline static let liveEdges = 128
    static let endpointHighWater = 192
    /// What the hash of client addresses is mixed with.
    static let addressSecret = 200
    static let headerSize = 256
}

/// An edge slot: one cache line.
@usableFromInline
enum EdgeField {
    /// 0 while the slot is free, else the generation of the edge that lives there.
    static let living = 0
    /// The last generation given out; never goes back.
    static let lastGeneration = 8
    static let configuration = 16
    /// Process number and edge number.
    static let process = 24
    static let recordSize = 64
}

/// A service: line 0 changes seldom, the cursor and the mask of waiting edges have a line each,
/// then the name.
@usableFromInline
enum ServiceField {
    /// 0 while free; else the generation, with the high bit set once it is retired.
    @usableFromInline static let life = 0
    @usableFromInline static let version = 8
    @usableFromInline static let queueLimit = 16
    static let lastConfiguration = 24
    static let nameCount = 32
    @usableFromInline static let cursor = 64
    @usableFromInline static let waitingEdges = 128
    static let name = 192
    @usableFromInline static let recordSize = 256
}

/// An endpoint: line 0 is read by each choice and changes seldom, line 1 changes with answers, then
/// the address.
@usableFromInline
enum EndpointField {
    @usableFromInline static let status = 0
    /// Service (low 32 bits) and weight.
    @usableFromInline static let membership = 8
    @usableFromInline static let pausedUntil = 16
    @usableFromInline static let trial = 24
    @usableFromInline static let identity = 32
    /// Process number (low 32 bits) and worker number or position among the upstreams.
    static let process = 40
    static let restarts = 48
    static let requestsBefore = 56
    @usableFromInline static let latency = 64
    @usableFromInline static let failures = 72
    static let busyNanoseconds = 80
    static let residentBytes = 88
    /// Kind (low 16 bits), length, port, scope.
    static let addressKind = 128
    static let address = 136
    @usableFromInline static let recordSize = 256
}

/// What one edge counts about one endpoint; an edge's cells lie together.
@usableFromInline
enum CellField {
    @usableFromInline static let inFlight = 0
    @usableFromInline static let requests = 8
    @usableFromInline static let recordSize = 16
}

/// What one edge publishes about its waiters of one service: one cache line.
@usableFromInline
enum WaiterField {
    @usableFromInline static let oldest = 0
    @usableFromInline static let count = 8
    @usableFromInline static let baton = 16
    @usableFromInline static let recordSize = 64
}

/// A request in flight: one cache line.
@usableFromInline
enum RequestField {
    @usableFromInline static let phase = 0
    @usableFromInline static let idHigh = 8
    @usableFromInline static let idLow = 16
    @usableFromInline static let startedWall = 24
    @usableFromInline static let startedAt = 32
    @usableFromInline static let service = 40
    @usableFromInline static let endpoint = 48
    @usableFromInline static let connection = 56
    @usableFromInline static let recordSize = 64
}
