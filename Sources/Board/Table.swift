public import Memory

/// The file `table`: services, endpoints, places, waiters, and of each edge the requests in flight
/// and the connections of each client address.
///
/// The master makes it and is the only one who adds and removes services, endpoints and edges;
/// edges take places, count, and publish who waits. Copies are the same table.
/// `Board.docc/Board.md` says what makes each step safe against `kill -9`.
@frozen
public struct Table: Sendable {
    @usableFromInline let region: SharedRegion
    public let layout: TableLayout

    /// Makes the file; its descriptor becomes the caller's.
    ///
    /// - Parameter secret: a random number, for the hash of client addresses.
    public static func create(
        _ layout: TableLayout, secret: UInt64 = 0
    ) throws(SharedMemoryError) -> (table: Table, descriptor: Int32) {
        let (region, descriptor) = try SharedRegion.create(name: "proxy-table", size: layout.size)
        BoardHeader.write(
            into: region, kind: .table, capacities: layout.capacities,
            constants: TableLayout.constants)
        let table = Table(region: region, layout: layout)
        table.addressSecret.storeRelaxed(secret)
        return (table, descriptor)
    }

    /// Opens a table that the master made, after checking that it is laid out as this program
    /// expects.
    public init(_ region: SharedRegion) throws(BoardError) {
        let found = try BoardHeader.capacities(of: region, kind: .table, count: 4)
        guard TableLayout.isPossible(found) else { throw .foreign }
        layout = TableLayout(
            services: found[0], endpoints: found[1], edgeSlots: found[2],
            requestsPerEdge: found[3])
        try BoardHeader.check(
            region, kind: .table, capacities: found, constants: TableLayout.constants,
            size: layout.size)
        self.region = region
    }

    init(region: SharedRegion, layout: TableLayout) {
        self.region = region
        self.layout = layout
    }

    /// Bit n is set while edge slot n lives: whose cells count.
    @inlinable
    var liveEdgesWord: SharedWord { region.word(at: TableField.liveEdges) }

    /// The slots of living edges, as a mask.
    @inlinable
    public var liveEdges: UInt64 { liveEdgesWord.loadSequential() }

    /// No endpoint slot from here on has ever been used.
    public var endpointHighWater: Int {
        Int(region.word(at: TableField.endpointHighWater).loadAcquiring())
    }

    /// The service at an index below `layout.services`.
    @inlinable
    public func service(_ index: Int) -> ServiceSlot {
        precondition(index >= 0 && index < layout.services)
        return ServiceSlot(
            region: region, base: layout.servicesAt &+ index &* ServiceField.recordSize,
            index: index)
    }

    /// The endpoint slot at an index below `layout.endpoints`.
    @inlinable
    public func endpoint(_ index: Int) -> EndpointSlot {
        precondition(index >= 0 && index < layout.endpoints)
        return EndpointSlot(
            region: region, base: layout.endpointsAt &+ index &* EndpointField.recordSize,
            index: index)
    }

    @inlinable
    func placeWord(_ endpoint: Int, _ place: Int) -> SharedWord {
        region.word(at: layout.placesAt &+ (endpoint &* placesMax &+ place) &* 8)
    }

    @inlinable
    func cell(_ edgeSlot: Int, _ endpoint: Int) -> Int {
        let lines = (layout.endpoints &* CellField.recordSize &+ 63) & ~63
        return layout.cellsAt &+ edgeSlot &* lines &+ endpoint &* CellField.recordSize
    }

    /// What the edge in a slot publishes about its waiters of a service.
    @inlinable
    public func waiters(service: Int, edgeSlot: Int) -> WaiterWords {
        precondition(
            service >= 0 && service < layout.services && edgeSlot >= 0
                && edgeSlot < layout.edgeSlots)
        return WaiterWords(
            region: region,
            base: layout.waitersAt
                &+ (service &* layout.edgeSlots &+ edgeSlot) &* WaiterField.recordSize)
    }
}
