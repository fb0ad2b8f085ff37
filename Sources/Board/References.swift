/// One life of an edge: its slot in the shared tables, and which process in that slot.
///
/// A lease, a trial and a table of requests bear it, so that what a dead edge held can be told from
/// what its successor in the same slot holds.
@frozen
public struct EdgeIdentity: Equatable, Sendable {
    /// 0…63.
    public let slot: Int
    /// Counts the lives of the slot, from 1.
    public let generation: UInt32

    @inlinable
    public init(slot: Int, generation: UInt32) {
        precondition(slot >= 0 && slot < edgeSlotsMax && generation > 0)
        self.slot = slot
        self.generation = generation
    }

    /// What a place, or a trial, that this edge holds contains; never 0.
    @inlinable
    public var mark: UInt64 { UInt64(generation) << 8 | UInt64(slot + 1) }

    /// The slot's bit in masks of edges.
    @inlinable
    public var bit: UInt64 { 1 << UInt64(slot) }
}

/// Edge slots there can be: one bit each in a 64-bit mask. Four generations of sixteen edges.
public let edgeSlotsMax = 64

/// One incarnation of an endpoint: its slot in the table and which of the slot's lives.
@frozen
public struct EndpointReference: Hashable, Sendable {
    public let index: UInt32
    public let generation: UInt32

    @inlinable
    public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// The right to have one request in work at an endpoint, to be given back exactly once.
@frozen
public struct Lease: Equatable, Sendable {
    public let endpoint: EndpointReference
    /// The place's number, 0…63, or `cellPlace` where the endpoint only counts.
    public let place: UInt16
    /// The service that the endpoint belongs to.
    public let service: UInt16
    /// True if this request tries an endpoint out that was paused.
    public var isTrial: Bool

    /// The `place` of a lease in an endpoint without places.
    public static let cellPlace: UInt16 = .max

    @inlinable
    public init(endpoint: EndpointReference, place: UInt16, service: UInt16, isTrial: Bool = false)
    {
        self.endpoint = endpoint
        self.place = place
        self.service = service
        self.isTrial = isTrial
    }
}
