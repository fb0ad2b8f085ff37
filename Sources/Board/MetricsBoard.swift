public import Memory

/// The file `board`: one block of counters per edge slot.
///
/// A block has one writer, so that counting costs a load and a store and never contends, and it
/// stays when its edge dies: a total is the sum over all slots.
@frozen
public struct MetricsBoard: Sendable {
    @usableFromInline let region: SharedRegion
    /// Blocks, and services in each.
    public let edgeSlots: Int
    public let services: Int

    private static let edgeBytes = wholeLines(EdgeMetric.allCases.count * 8)
    private static let listenerBytes = wholeLines(listenersMax * 8)
    private static let serviceBytes = wholeLines(ServiceMetric.allCases.count * 8)
    private static var constants: [Int] {
        [EdgeMetric.allCases.count, listenersMax, ServiceMetric.allCases.count]
    }

    private static func blockBytes(_ services: Int) -> Int {
        edgeBytes + listenerBytes + services * serviceBytes
    }

    /// Makes the file; its descriptor becomes the caller's.
    public static func create(
        edgeSlots: Int, services: Int
    ) throws(SharedMemoryError) -> (board: MetricsBoard, descriptor: Int32) {
        precondition(1...edgeSlotsMax ~= edgeSlots && 1...65_535 ~= services)
        let size = BoardHeader.size + edgeSlots * blockBytes(services)
        let (region, descriptor) = try SharedRegion.create(name: "proxy-board", size: size)
        BoardHeader.write(
            into: region, kind: .metrics, capacities: [edgeSlots, services], constants: constants)
        return (MetricsBoard(region, edgeSlots: edgeSlots, services: services), descriptor)
    }

    /// Opens a board that the master made.
    public init(_ region: SharedRegion) throws(BoardError) {
        let found = try BoardHeader.capacities(of: region, kind: .metrics, count: 2)
        guard 1...edgeSlotsMax ~= found[0], 1...65_535 ~= found[1] else { throw .foreign }
        try BoardHeader.check(
            region, kind: .metrics, capacities: found, constants: Self.constants,
            size: BoardHeader.size + found[0] * Self.blockBytes(found[1]))
        self.init(region, edgeSlots: found[0], services: found[1])
    }

    private init(_ region: SharedRegion, edgeSlots: Int, services: Int) {
        self.region = region
        self.edgeSlots = edgeSlots
        self.services = services
    }

    /// The counters of the edge in a slot.
    public func block(_ slot: Int) -> MetricsBlock {
        precondition(slot >= 0 && slot < edgeSlots)
        let base = BoardHeader.size + slot * Self.blockBytes(services)
        let listeners = base + Self.edgeBytes
        return MetricsBlock(
            region: region, base: base, listeners: listeners,
            servicesAt: listeners + Self.listenerBytes, serviceBytes: Self.serviceBytes,
            services: services)
    }

    /// The sum of a counter over all edges.
    public func total(_ metric: EdgeMetric) -> UInt64 {
        (0..<edgeSlots).reduce(0) { $0 &+ block($1)[metric] }
    }

    /// The sum of a service's counter over all edges.
    public func total(_ metric: ServiceMetric, service: Int) -> UInt64 {
        (0..<edgeSlots).reduce(0) { $0 &+ block($1)[metric, service: service] }
    }

    /// Open connections of a listener over all edges.
    public func connections(listener: Int) -> UInt64 {
        (0..<edgeSlots).reduce(0) { $0 &+ block($1).connections(listener: listener) }
    }

    /// Sets the levels of a dead edge to 0; its counts stay.
    public func clearGauges(edgeSlot: Int) {
        let block = block(edgeSlot)
        for metric in EdgeMetric.allCases where metric.isGauge {
            block.word(metric).storeRelaxed(0)
        }
        for listener in 0..<listenersMax { block.word(listener: listener).storeRelaxed(0) }
    }

    /// Sets a service's counters to 0, before another service gets its index.
    public func clear(service: Int) {
        for slot in 0..<edgeSlots {
            for metric in ServiceMetric.allCases {
                block(slot).word(metric, service).storeRelaxed(0)
            }
        }
    }
}

/// The counters of one edge. Only that edge changes them.
@frozen
public struct MetricsBlock: Sendable {
    @usableFromInline let region: SharedRegion
    @usableFromInline let base: Int
    @usableFromInline let listeners: Int
    @usableFromInline let servicesAt: Int
    @usableFromInline let serviceBytes: Int
    @usableFromInline let services: Int

    @inlinable
    func word(_ metric: EdgeMetric) -> SharedWord {
        region.word(at: base &+ metric.rawValue &* 8)
    }

    @inlinable
    func word(listener: Int) -> SharedWord {
        region.word(at: listeners &+ max(0, min(listener, listenersMax &- 1)) &* 8)
    }

    @inlinable
    func word(_ metric: ServiceMetric, _ service: Int) -> SharedWord {
        precondition(service >= 0 && service < services)
        return region.word(at: servicesAt &+ service &* serviceBytes &+ metric.rawValue &* 8)
    }

    /// A counter's value; readable by anyone.
    @inlinable
    public subscript(metric: EdgeMetric) -> UInt64 { word(metric).loadRelaxed() }

    /// A service's counter's value.
    @inlinable
    public subscript(metric: ServiceMetric, service service: Int) -> UInt64 {
        word(metric, service).loadRelaxed()
    }

    /// Open connections that a listener accepted.
    @inlinable
    public func connections(listener: Int) -> UInt64 { word(listener: listener).loadRelaxed() }

    /// Counts.
    @inlinable
    public func add(_ metric: EdgeMetric, _ amount: UInt64 = 1) {
        word(metric).addAsOnlyWriter(amount)
    }

    /// Lowers a level.
    @inlinable
    public func subtract(_ metric: EdgeMetric, _ amount: UInt64 = 1) {
        word(metric).addAsOnlyWriter(0 &- amount)
    }

    /// Counts for a service.
    @inlinable
    public func add(_ metric: ServiceMetric, service: Int, _ amount: UInt64 = 1) {
        word(metric, service).addAsOnlyWriter(amount)
    }

    /// Counts a connection that a listener accepted.
    @inlinable
    public func addConnection(listener: Int) { word(listener: listener).addAsOnlyWriter(1) }

    /// Counts a listener's connection off.
    @inlinable
    public func subtractConnection(listener: Int) {
        word(listener: listener).addAsOnlyWriter(0 &- 1)
    }
}
