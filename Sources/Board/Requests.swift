internal import Memory

/// How far a request in flight is.
@frozen
public enum RequestPhase: UInt8, Sendable, CaseIterable {
    /// The slot holds no request.
    case free = 0
    /// `request_started` is being raised at the entry's position.
    case starting = 1
    case queued = 2
    case connecting = 3
    /// Given to an endpoint, until its end.
    case sending = 4
    /// `request_finished` is being raised at the entry's position.
    case finishing = 5
    /// `request_tearing_down` is being raised at the entry's position.
    case tearingDown = 6
}

/// Positions in a signal ring, counted from 0 and never reused.
public enum RingPosition {
    /// In a request's entry: nobody listens, so no record is written.
    public static let none: UInt64 = 1 << 56 - 1
}

/// A request that was in flight when its edge died, as its entry says.
public struct RequestInFlight: Equatable, Sendable {
    /// The entry's number in the edge's table.
    public let slot: Int
    public let idHigh: UInt64
    public let idLow: UInt64
    /// When it started, in nanoseconds of Unix time and of the monotonic clock.
    public let startedWall: UInt64
    public let startedAt: UInt64
    public let service: Int
    /// Whom it was last given to.
    public let endpoint: EndpointReference?
    public let connection: UInt64
    public let phase: RequestPhase
    /// True if `request_started` has been raised, or nobody listened.
    public let startedIsRaised: Bool
    /// The same of `request_finished`.
    public let finishedIsRaised: Bool
    /// The same of `request_tearing_down`.
    public let tearingDownIsRaised: Bool
}

/// The requests in flight of one edge: bounded, always kept, read by the master when the edge has
/// died.
///
/// Which entries are free is the edge's own memory: a successor begins with none, after the master
/// cleared them. A full ledger is a 503, never an untracked request.
public struct RequestLedger: ~Copyable {
    private let place = Immobile()
    private let table: Table
    private let base: Int
    /// Entries that were used and are free again.
    private let free: FixedArray<UInt32>
    private var freeCount = 0
    /// Entries that were ever used, from the first one on.
    private var usedCount = 0

    /// - Precondition: the master cleared what an edge before left in the slot, by `recover`.
    public init(_ table: Table, edge: EdgeIdentity) {
        self.table = table
        base = table.requestBase(edge.slot)
        free = FixedArray(zeroed: table.layout.requestsPerEdge)
    }

    /// Requests in flight now.
    public var count: Int { usedCount - freeCount }

    /// Enters a request, in the phase `starting`; nil if the ledger is full.
    ///
    /// - Parameter position: where `request_started` is going to be raised, or `RingPosition.none`.
    public mutating func start(
        idHigh: UInt64, idLow: UInt64, service: Int, connection: UInt64, startedWall: UInt64,
        startedAt: UInt64, position: UInt64
    ) -> Int? {
        guard let slot = takeFree() else { return nil }
        word(slot, RequestField.idHigh).storeRelaxed(idHigh)
        word(slot, RequestField.idLow).storeRelaxed(idLow)
        word(slot, RequestField.startedWall).storeRelaxed(startedWall)
        word(slot, RequestField.startedAt).storeRelaxed(startedAt)
        word(slot, RequestField.service).storeRelaxed(UInt64(service))
        word(slot, RequestField.endpoint).storeRelaxed(0)
        word(slot, RequestField.connection).storeRelaxed(connection)
        setPhase(.starting, of: slot, position: position)
        return slot
    }

    private mutating func takeFree() -> Int? {
        if freeCount > 0 {
            freeCount -= 1
            return Int(free[freeCount])
        }
        guard usedCount < free.count else { return nil }
        usedCount += 1
        return usedCount - 1
    }

    /// Says how far a request is.
    ///
    /// - Parameter position: for the phases that raise a signal, where; set *before* the record is
    ///   begun.
    public func setPhase(
        _ phase: RequestPhase, of slot: Int, position: UInt64 = RingPosition.none
    ) {
        precondition(phase != .free)
        word(slot, RequestField.phase).storeReleasing(position << 8 | UInt64(phase.rawValue))
    }

    /// Says whom a request was given to.
    public func setEndpoint(_ endpoint: EndpointReference, of slot: Int) {
        word(slot, RequestField.endpoint).storeRelaxed(
            UInt64(endpoint.index) << 32 | UInt64(endpoint.generation))
    }

    /// Takes a request off, after its last signal was raised.
    public mutating func clear(_ slot: Int) {
        let phase = word(slot, RequestField.phase)
        precondition(phase.loadRelaxed() & 0xff != UInt64(RequestPhase.free.rawValue))
        phase.storeReleasing(0)
        free[freeCount] = UInt32(slot)
        freeCount += 1
    }

    @inline(__always)
    private func word(_ slot: Int, _ field: Int) -> SharedWord {
        table.requestWord(base, slot, field)
    }
}

extension Table {
    func requestBase(_ edgeSlot: Int) -> Int {
        precondition(edgeSlot < layout.edgeSlots)
        return layout.requestsAt + edgeSlot * layout.requestsPerEdge * RequestField.recordSize
    }

    @inline(__always)
    func requestWord(_ base: Int, _ slot: Int, _ field: Int) -> SharedWord {
        precondition(slot >= 0 && slot < layout.requestsPerEdge)
        return region.word(at: base &+ slot &* RequestField.recordSize &+ field)
    }

    /// The requests in flight that an edge's entries name.
    ///
    /// - Parameter ringHead: the head of the edge's signal ring: positions below it were published.
    public func requestsInFlight(edgeSlot: Int, ringHead: UInt64) -> [RequestInFlight] {
        let base = requestBase(edgeSlot)
        var found: [RequestInFlight] = []
        for slot in 0..<layout.requestsPerEdge {
            let packed = requestWord(base, slot, RequestField.phase).loadAcquiring()
            guard let phase = RequestPhase(rawValue: UInt8(truncatingIfNeeded: packed)),
                phase != .free
            else { continue }
            let position = packed >> 8
            let isPublished = position == RingPosition.none || position < ringHead
            let endpoint = requestWord(base, slot, RequestField.endpoint).loadRelaxed()
            found.append(
                RequestInFlight(
                    slot: slot,
                    idHigh: requestWord(base, slot, RequestField.idHigh).loadRelaxed(),
                    idLow: requestWord(base, slot, RequestField.idLow).loadRelaxed(),
                    startedWall: requestWord(base, slot, RequestField.startedWall).loadRelaxed(),
                    startedAt: requestWord(base, slot, RequestField.startedAt).loadRelaxed(),
                    service: Int(requestWord(base, slot, RequestField.service).loadRelaxed()),
                    endpoint: endpoint == 0
                        ? nil
                        : EndpointReference(
                            index: UInt32(truncatingIfNeeded: endpoint >> 32),
                            generation: UInt32(truncatingIfNeeded: endpoint)),
                    connection: requestWord(base, slot, RequestField.connection).loadRelaxed(),
                    phase: phase,
                    startedIsRaised: phase != .starting || isPublished,
                    finishedIsRaised: phase == .tearingDown || phase == .finishing && isPublished,
                    tearingDownIsRaised: phase == .tearingDown && isPublished))
        }
        return found
    }

    /// Clears an edge's entries, after what they name has been raised.
    func clearRequests(edgeSlot: Int) {
        let base = requestBase(edgeSlot)
        for slot in 0..<layout.requestsPerEdge {
            let phase = requestWord(base, slot, RequestField.phase)
            if phase.loadRelaxed() != 0 { phase.storeReleasing(0) }
        }
    }
}
