public import Memory

/// What came of the attempt to take a place.
@frozen
public enum Taking: Equatable, Sendable {
    case taken(Lease)
    /// The endpoint has as many requests in work as it can do.
    case full
    /// The endpoint is not ready any more, or another incarnation lives in the slot.
    case gone
}

/// A place's word: 0 free, an edge's mark, or the mark of a dead edge with this bit, while the
/// worker still works on what that edge sent it.
let orphanBit: UInt64 = 1 << 63

extension Table {
    /// Takes a place at an endpoint for one request; never allocates, never waits.
    ///
    /// Up to 64 the place is a word that goes from 0 to the edge's mark by compare-and-exchange.
    /// Above that, and without limit, the edge counts in its own cell, looks at the sum, and steps
    /// back if it is too much; so the capacity is never exceeded, whatever other edges do at the
    /// same moment. Afterwards the status is read again: either this edge sees that the endpoint is
    /// being removed, or the master sees the place taken and does not reuse the slot.
    ///
    /// - Parameter expected: the status under which the caller chose the endpoint.
    @inlinable
    public func take(
        _ index: Int, expecting expected: EndpointStatus, service: UInt16, for edge: EdgeIdentity
    ) -> Taking {
        let endpoint = self.endpoint(index)
        guard expected.isReady, endpoint.status == expected else { return .gone }
        let capacity = expected.capacity
        let place: UInt16
        if capacity != 0 && capacity <= placesMax {
            guard let taken = takePlace(index, capacity: capacity, mark: edge.mark) else {
                return .full
            }
            place = UInt16(truncatingIfNeeded: taken)
        } else {
            guard takeCell(index, capacity: capacity, edge: edge) else { return .full }
            place = Lease.cellPlace
        }
        let lease = Lease(
            endpoint: EndpointReference(
                index: UInt32(truncatingIfNeeded: index), generation: expected.generation),
            place: place, service: service)
        guard endpoint.statusWord.loadSequential() == expected.rawValue else {
            release(lease, of: edge)
            return .gone
        }
        region.word(at: cell(edge.slot, index) &+ CellField.requests).addAsOnlyWriter(1)
        return .taken(lease)
    }

    @inlinable
    func takePlace(_ index: Int, capacity: Int, mark: UInt64) -> Int? {
        for place in 0..<capacity {
            let word = placeWord(index, place)
            if word.loadRelaxed() == 0 && word.compareExchange(expected: 0, desired: mark) {
                return place
            }
        }
        return nil
    }

    @inlinable
    func takeCell(_ index: Int, capacity: Int, edge: EdgeIdentity) -> Bool {
        let own = region.word(at: cell(edge.slot, index) &+ CellField.inFlight)
        // Two edges that step back at once both look again: the last to step back sees the room.
        for _ in 0..<stepsBackMax {
            own.storeSequential(own.loadRelaxed() &+ 1)
            if capacity == 0 || cellSum(index) <= capacity { return true }
            own.storeSequential(own.loadRelaxed() &- 1)
            if cellSum(index) >= capacity { return false }
        }
        return false
    }

    /// Times an edge looks again after it stepped back from a cell; each needs another edge in
    /// between.
    @usableFromInline static var stepsBackMax: Int { 64 }
    @inlinable
    var stepsBackMax: Int { Self.stepsBackMax }

    /// Gives a place back. The caller then looks at `waitingEdges`, and wakes who waits.
    ///
    /// - Precondition: the edge holds the lease; giving back twice is a bug.
    @inlinable
    public func release(_ lease: Lease, of edge: EdgeIdentity) {
        let index = Int(lease.endpoint.index)
        if lease.place == Lease.cellPlace {
            let own = region.word(at: cell(edge.slot, index) &+ CellField.inFlight)
            let count = own.loadRelaxed()
            precondition(count > 0)
            own.storeSequential(count &- 1)
        } else {
            let word = placeWord(index, Int(lease.place))
            precondition(word.loadRelaxed() == edge.mark)
            word.storeSequential(0)
        }
    }

    /// Requests in work at an endpoint over all edges. Exact when nothing moves.
    @inlinable
    public func inFlight(_ index: Int, capacity: Int) -> Int {
        guard capacity != 0 && capacity <= placesMax else { return cellSum(index) }
        var count = 0
        for place in 0..<capacity where placeWord(index, place).loadRelaxed() != 0 { count &+= 1 }
        return count
    }

    @inlinable
    func cellSum(_ index: Int) -> Int {
        var rest = liveEdges
        var sum: UInt64 = 0
        while rest != 0 {
            let slot = rest.trailingZeroBitCount
            rest &= rest &- 1
            sum &+= region.word(at: cell(slot, index) &+ CellField.inFlight).loadSequential()
        }
        return Int(truncatingIfNeeded: sum)
    }

    /// Requests an endpoint was given, over all edges and the incarnations before this one.
    public func requests(_ index: Int) -> UInt64 {
        var sum = endpoint(index).word(EndpointField.requestsBefore).loadRelaxed()
        for slot in 0..<layout.edgeSlots {
            sum &+= region.word(at: cell(slot, index) + CellField.requests).loadRelaxed()
        }
        return sum
    }

    /// Says that an endpoint is gone, before the master knows: its socket refused. Not ready any
    /// more from here on.
    ///
    /// - Returns: true if this call made the difference.
    @discardableResult
    public func markDown(_ reference: EndpointReference) -> Bool {
        let endpoint = self.endpoint(Int(reference.index))
        let status = endpoint.status
        guard status.isReady, status.generation == reference.generation,
            endpoint.statusWord.compareExchange(
                expected: status.rawValue, desired: status.with(.down).rawValue)
        else { return false }
        service(endpoint.service).bumpVersion()
        return true
    }
}
