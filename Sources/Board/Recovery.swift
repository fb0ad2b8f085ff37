internal import Memory

/// What a dead edge left behind, put right.
public struct Recovery: Equatable, Sendable {
    /// What it had in flight, for `Signals` to raise what is missing.
    public var requests: [RequestInFlight]
    /// Places that are free again.
    public var placesFreed: Int
    /// Places whose worker may still be at work on what the edge sent; see `reclaimOrphans`.
    public var placesOrphaned: Int
    /// Living edges whose eventfd is to be written, as a mask.
    public var wakes: UInt64
}

// MARK: edges

extension Table {
    func edgeWord(_ slot: Int, _ field: Int) -> SharedWord {
        precondition(slot >= 0 && slot < layout.edgeSlots)
        return region.word(at: layout.edgesAt + slot * EdgeField.recordSize + field)
    }

    /// Gives a free slot to an edge that is about to be started.
    ///
    /// - Parameters:
    ///   - number: which of the configuration's edges it is.
    ///   - configuration: the generation of the configuration it serves.
    ///   - wanted: the slot it is given; nil: the first that is free.
    public func openEdge(
        number: Int, configuration: UInt64, slot wanted: Int? = nil
    ) throws(BoardError) -> EdgeIdentity {
        let slots = wanted.map { $0..<$0 + 1 } ?? 0..<layout.edgeSlots
        guard let slot = slots.first(where: { edge(in: $0) == nil }) else {
            throw .full("edges")
        }
        let generation = edgeWord(slot, EdgeField.lastGeneration).loadRelaxed() + 1
        edgeWord(slot, EdgeField.lastGeneration).storeRelaxed(generation)
        edgeWord(slot, EdgeField.configuration).storeRelaxed(configuration)
        edgeWord(slot, EdgeField.process).storeRelaxed(UInt64(number) << 32)
        edgeWord(slot, EdgeField.living).storeReleasing(generation)
        liveEdgesWord.formUnion(1 << UInt64(slot))
        return EdgeIdentity(slot: slot, generation: UInt32(generation))
    }

    /// The edge that lives in a slot, if one does.
    public func edge(in slot: Int) -> EdgeIdentity? {
        let generation = edgeWord(slot, EdgeField.living).loadAcquiring()
        return generation == 0
            ? nil : EdgeIdentity(slot: slot, generation: UInt32(truncatingIfNeeded: generation))
    }
}

// MARK: the death of an edge

extension Table {
    /// Puts right what a dead edge left, and frees its slot. The process is to be gone for good:
    /// waited for.
    ///
    /// Places at programs and upstreams are free at once, since the connection died with the edge;
    /// those at our own workers become orphans until the worker is seen to be idle. Safe beside
    /// living edges at any moment. In the end every waiting edge is woken, since the dead one may
    /// have been about to do so.
    ///
    /// - Parameter ringHead: the head of the dead edge's signal ring.
    public func recover(_ edge: EdgeIdentity, ringHead: UInt64) -> Recovery {
        precondition(self.edge(in: edge.slot) == edge)
        var result = Recovery(
            requests: requestsInFlight(edgeSlot: edge.slot, ringHead: ringHead),
            placesFreed: 0, placesOrphaned: 0, wakes: 0)
        withdrawWaiters(of: edge)
        for index in 0..<endpointHighWater { recover(index, edge, &result) }
        clearRequests(edgeSlot: edge.slot)
        clearAddresses(edgeSlot: edge.slot)
        edgeWord(edge.slot, EdgeField.living).storeSequential(0)
        liveEdgesWord.subtractBits(edge.bit)
        result.wakes = wakeAll()
        return result
    }

    private func withdrawWaiters(of edge: EdgeIdentity) {
        for index in 0..<layout.services {
            let words = waiters(service: index, edgeSlot: edge.slot)
            if words.oldest.loadRelaxed() != 0 { words.oldest.storeSequential(0) }
            if words.count.loadRelaxed() != 0 { words.count.storeSequential(0) }
            if words.baton.loadRelaxed() != 0 { words.baton.storeSequential(0) }
            let service = self.service(index)
            if service.waitingEdges & edge.bit != 0 {
                service.waitingEdgesWord.subtractBits(edge.bit)
            }
        }
    }

    private func recover(_ index: Int, _ edge: EdgeIdentity, _ result: inout Recovery) {
        let slot = endpoint(index)
        let isOurs = slot.status.kind.contains(.ours)
        for place in 0..<placesMax {
            let word = placeWord(index, place)
            guard word.loadRelaxed() == edge.mark else { continue }
            word.storeSequential(isOurs ? edge.mark | orphanBit : 0)
            if isOurs { result.placesOrphaned += 1 } else { result.placesFreed += 1 }
        }
        let inFlight = region.word(at: cell(edge.slot, index) + CellField.inFlight)
        if inFlight.loadRelaxed() != 0 { inFlight.storeSequential(0) }
        if slot.trial.loadRelaxed() == edge.mark {
            _ = slot.trial.compareExchange(expected: edge.mark, desired: 0)
        }
    }

    /// Frees the orphaned places whose worker is idle, and wakes who waits for them.
    ///
    /// To be called from `orphanGraceNanoseconds` after `recover` on, and again while orphans are
    /// left.
    ///
    /// - Parameter isBusy: the worker's busy byte for a place.
    /// - Returns: orphans that are left, and the edges whose eventfd is to be written, as a mask.
    public func reclaimOrphans(
        isBusy: (EndpointReference, Int) -> Bool
    ) -> (left: Int, wakes: UInt64) {
        var left = 0
        var wakes: UInt64 = 0
        for index in 0..<endpointHighWater {
            let slot = endpoint(index)
            var freed = false
            for place in 0..<placesMax {
                let word = placeWord(index, place)
                guard word.loadRelaxed() & orphanBit != 0 else { continue }
                if isBusy(slot.reference, place) {
                    left += 1
                } else {
                    word.storeSequential(0)
                    freed = true
                }
            }
            if freed { wakes |= wakeOldest(slot.service) }
        }
        return (left, wakes)
    }

    /// How long after an edge's death its orphans are left alone: a request it had sent may still
    /// lie in the worker's socket, and the worker sets its busy byte only when it reads it.
    public static let orphanGraceNanoseconds: UInt64 = 20_000_000
}
