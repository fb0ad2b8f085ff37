public import Memory

/// What one edge publishes about its waiters of one service. Only that edge writes, but for the
/// baton.
@frozen
public struct WaiterWords: Sendable {
    @usableFromInline let region: SharedRegion
    @usableFromInline let base: Int

    @inlinable
    init(region: SharedRegion, base: Int) {
        self.region = region
        self.base = base
    }

    /// When the oldest of them began to wait (nanoseconds of the monotonic clock); 0 says not yet.
    @inlinable
    var oldest: SharedWord { region.word(at: base &+ WaiterField.oldest) }

    /// How many wait.
    @inlinable
    var count: SharedWord { region.word(at: base &+ WaiterField.count) }

    /// 0, or the endpoint that has room for this edge's oldest waiter, plus 1; set by whoever freed
    /// it.
    @inlinable
    var baton: SharedWord { region.word(at: base &+ WaiterField.baton) }
}

/// The queue of a service over all edges: the mask of waiting edges in the service, and a line of
/// words for each edge.
///
/// No wake-up is lost, because each side writes first and looks afterwards, in sequential order:
/// who frees a place stores 0 and then reads the mask; who comes to wait publishes itself and then
/// tries once more for a place.
extension Table {
    /// The baton that names no endpoint: look everywhere.
    public static let anyEndpoint: UInt64 = .max

    /// Requests of the service that wait, over all edges.
    public func waiting(_ service: Int) -> Int {
        var rest = self.service(service).waitingEdges
        var sum: UInt64 = 0
        while rest != 0 {
            let slot = rest.trailingZeroBitCount
            rest &= rest &- 1
            guard slot < layout.edgeSlots else { break }
            sum &+= waiters(service: service, edgeSlot: slot).count.loadSequential()
        }
        return Int(truncatingIfNeeded: sum)
    }

    /// Counts one more waiter of this edge, unless more than `queueLimit` would wait over all
    /// edges.
    ///
    /// The limit is never exceeded. When several edges come for the last room at the same moment,
    /// all of them may be refused: each counts itself first and steps back if the sum is too much.
    ///
    /// - Parameters:
    ///   - count: this edge's waiters of the service, the new one included.
    ///   - oldest: when the oldest of them began to wait.
    public func enterQueue(
        service index: Int, edge: EdgeIdentity, count: Int, oldest: UInt64
    ) -> Bool {
        let service = self.service(index)
        let words = waiters(service: index, edgeSlot: edge.slot)
        words.count.storeSequential(UInt64(count))
        if service.waitingEdges & edge.bit == 0 { service.waitingEdgesWord.formUnion(edge.bit) }
        guard waiting(index) <= service.queueLimit else {
            leaveQueue(service: index, edge: edge, count: count - 1, oldest: count > 1 ? oldest : 0)
            return false
        }
        words.oldest.storeSequential(oldest)
        return true
    }

    /// Publishes that one waiter of this edge has left, served or not.
    ///
    /// The caller then looks whether room is left for others, as after a release.
    public func leaveQueue(
        service index: Int, edge: EdgeIdentity, count: Int, oldest: UInt64
    ) {
        let words = waiters(service: index, edgeSlot: edge.slot)
        words.oldest.storeSequential(oldest)
        words.count.storeSequential(UInt64(count))
        if count == 0 { service(index).waitingEdgesWord.subtractBits(edge.bit) }
    }

    /// The edge slot whose oldest waiter has waited longest, and since when.
    ///
    /// - Parameter after: only edges whose oldest waiter is younger than that of this slot; ties go
    ///   by slot number.
    public func oldestWaiting(
        _ index: Int, after: (slot: Int, since: UInt64)? = nil
    ) -> (slot: Int, since: UInt64)? {
        var rest = service(index).waitingEdges
        var best: (slot: Int, since: UInt64)?
        while rest != 0 {
            let slot = rest.trailingZeroBitCount
            rest &= rest &- 1
            guard slot < layout.edgeSlots else { break }
            let since = waiters(service: index, edgeSlot: slot).oldest.loadSequential()
            if since == 0 { continue }
            if let after, (since, slot) <= (after.since, after.slot) { continue }
            if let best, (best.since, best.slot) <= (since, slot) { continue }
            best = (slot, since)
        }
        return best
    }

    /// Tells an edge that an endpoint has room for its oldest waiter; its eventfd is to be written
    /// afterwards.
    ///
    /// Of two batons that meet, none is lost: the edge then looks everywhere.
    public func passBaton(service: Int, to slot: Int, endpoint: UInt64) {
        let word = waiters(service: service, edgeSlot: slot).baton
        let baton = endpoint == Self.anyEndpoint ? endpoint : endpoint &+ 1
        // The same endpoint twice is two places there, so equal batons are no exception.
        if word.exchange(baton) != 0 { word.storeSequential(Self.anyEndpoint) }
    }

    /// Takes the baton, if one was passed: nil, `anyEndpoint`, or an endpoint's index.
    public func takeBaton(service: Int, edge: EdgeIdentity) -> UInt64? {
        let word = waiters(service: service, edgeSlot: edge.slot).baton
        guard word.loadSequential() != 0 else { return nil }
        let baton = word.exchange(0)
        return baton == 0 ? nil : baton == Self.anyEndpoint ? baton : baton &- 1
    }

    /// Passes the baton to the edge with the oldest waiter of a service that got room: a worker
    /// became ready.
    ///
    /// - Returns: the edge slots whose eventfd is to be written, as a mask.
    public func wakeOldest(_ service: Int) -> UInt64 {
        guard let oldest = oldestWaiting(service) else { return 0 }
        passBaton(service: service, to: oldest.slot, endpoint: Self.anyEndpoint)
        return 1 << UInt64(oldest.slot)
    }

    /// Passes a baton to every edge that waits for anything, as after the death of one that may
    /// have held it.
    ///
    /// - Returns: the edge slots whose eventfd is to be written, as a mask.
    public func wakeAll() -> UInt64 {
        var woken: UInt64 = 0
        for index in 0..<layout.services where service(index).isUsed {
            var rest = service(index).waitingEdges
            woken |= rest
            while rest != 0 {
                let slot = rest.trailingZeroBitCount
                rest &= rest &- 1
                guard slot < layout.edgeSlots else { break }
                passBaton(service: index, to: slot, endpoint: Self.anyEndpoint)
            }
        }
        return woken
    }
}
