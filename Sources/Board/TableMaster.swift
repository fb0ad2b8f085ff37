internal import Memory

/// What the master says about a new endpoint.
public struct EndpointPlan: Sendable {
    public var service: Int
    public var kind: EndpointKind
    /// Requests in work at once, 1…65,535; 0 is without limit.
    public var capacity: Int
    public var weight: UInt32
    /// The worker's number from 1, or the upstream's position from 0.
    public var number: Int
    public var address: EndpointAddress
    public var restarts: UInt64
    /// Requests that earlier incarnations of the same worker had.
    public var requestsBefore: UInt64

    public init(
        service: Int, kind: EndpointKind, capacity: Int, weight: UInt32 = 1, number: Int,
        address: EndpointAddress, restarts: UInt64 = 0, requestsBefore: UInt64 = 0
    ) {
        self.service = service
        self.kind = kind
        self.capacity = capacity
        self.weight = weight
        self.number = number
        self.address = address
        self.restarts = restarts
        self.requestsBefore = requestsBefore
    }
}

// MARK: services

/// What only the master does: it alone adds and removes.
extension Table {
    /// Adds a service. Its name has at most 64 bytes.
    ///
    /// - Returns: the service's index.
    public func addService(name: String, queueLimit: Int) throws(BoardError) -> Int {
        let bytes = Array(name.utf8)
        guard bytes.count <= serviceNameMax else { throw .tooLong("service name") }
        guard let index = (0..<layout.services).first(where: { !service($0).isUsed }) else {
            throw .full("services")
        }
        let slot = service(index)
        let life = slot.word(ServiceField.lastConfiguration)
        // While the slot is free this word keeps its last generation.
        let generation = life.loadRelaxed() & 0xffff_ffff &+ 1
        region.write(bytes.span, at: slot.base + ServiceField.name)
        slot.word(ServiceField.nameCount).storeRelaxed(UInt64(bytes.count))
        slot.word(ServiceField.cursor).storeRelaxed(0)
        slot.waitingEdgesWord.storeRelaxed(0)
        slot.setQueueLimit(queueLimit)
        slot.bumpVersion()
        life.storeRelaxed(.max)
        slot.word(ServiceField.life).storeReleasing(generation)
        return index
    }

    /// Says that no configuration after `lastConfiguration` knows the service; its endpoints are
    /// retired by the caller.
    public func retireService(_ index: Int, lastConfiguration: UInt64) {
        let slot = service(index)
        slot.word(ServiceField.lastConfiguration).storeRelaxed(lastConfiguration)
        slot.word(ServiceField.life).formUnion(ServiceSlot.retiredBit)
    }

    /// Frees the slots of retired services that no living edge knows and that have no endpoint
    /// left.
    public func reclaimServices() -> [Int] {
        var freed: [Int] = []
        let oldest = oldestLivingConfiguration
        for index in 0..<layout.services {
            let slot = service(index)
            guard slot.isUsed, slot.isRetired, slot.waitingEdges == 0,
                slot.word(ServiceField.lastConfiguration).loadRelaxed() < oldest,
                !(0..<endpointHighWater).contains(where: {
                    endpoint($0).status.state != .free && endpoint($0).service == index
                })
            else { continue }
            slot.word(ServiceField.lastConfiguration).storeRelaxed(UInt64(slot.generation))
            slot.word(ServiceField.life).storeReleasing(0)
            freed.append(index)
        }
        return freed
    }

    private var oldestLivingConfiguration: UInt64 {
        (0..<layout.edgeSlots).filter { edge(in: $0) != nil }
            .map { edgeWord($0, EdgeField.configuration).loadRelaxed() }.min() ?? .max
    }
}

// MARK: endpoints

extension Table {
    /// Adds an endpoint in the state `starting`.
    public func addEndpoint(_ plan: EndpointPlan) throws(BoardError) -> EndpointReference {
        let highWater = endpointHighWater
        let reused = (0..<highWater).first { endpoint($0).status.state == .free }
        guard let index = reused ?? (highWater < layout.endpoints ? highWater : nil) else {
            throw .full("endpoints")
        }
        let slot = endpoint(index)
        try slot.store(plan.address)
        slot.word(EndpointField.membership).storeRelaxed(
            UInt64(plan.service) | UInt64(plan.weight) << 32)
        slot.word(EndpointField.identity).storeRelaxed(plan.identity)
        slot.word(EndpointField.process).storeRelaxed(UInt64(plan.number) << 32)
        slot.word(EndpointField.restarts).storeRelaxed(plan.restarts)
        slot.word(EndpointField.requestsBefore).storeRelaxed(plan.requestsBefore)
        for field in [
            EndpointField.pausedUntil, EndpointField.trial, EndpointField.latency,
            EndpointField.failures, EndpointField.busyNanoseconds, EndpointField.residentBytes,
        ] { slot.word(field).storeRelaxed(0) }
        if index == highWater {
            region.word(at: TableField.endpointHighWater).storeReleasing(UInt64(highWater + 1))
        }
        let generation = slot.status.generation &+ 1
        slot.statusWord.storeSequential(
            EndpointStatus(
                generation: generation, capacity: plan.capacity, kind: plan.kind, state: .starting
            ).rawValue)
        return EndpointReference(index: UInt32(index), generation: generation)
    }

    /// Changes an endpoint's state, unless the reference is out of date.
    ///
    /// - Returns: the edges whose eventfd is to be written, as a mask: those that waited for an
    ///   endpoint to be ready.
    public func setState(_ state: EndpointState, of reference: EndpointReference) -> UInt64 {
        precondition(state != .free && state != .retired)
        guard change(reference, to: state) else { return 0 }
        return state == .ready ? wakeOldest(endpoint(Int(reference.index)).service) : 0
    }

    private func change(_ reference: EndpointReference, to state: EndpointState) -> Bool {
        let slot = endpoint(Int(reference.index))
        while true {
            let status = slot.status
            guard status.generation == reference.generation, status.state != .free,
                status.state != .retired
            else { return false }
            let next = status.with(state)
            // Against an edge that marks the endpoint down at this moment.
            if slot.statusWord.compareExchange(expected: status.rawValue, desired: next.rawValue) {
                service(slot.service).bumpVersion()
                return true
            }
        }
    }

    /// Says which process serves an endpoint.
    public func setProcess(_ pid: Int32, of reference: EndpointReference) {
        let slot = endpoint(Int(reference.index))
        guard slot.reference == reference else { return }
        slot.word(EndpointField.process).storeRelaxed(
            UInt64(slot.number) << 32 | UInt64(UInt32(bitPattern: pid)))
    }

    /// Removes an endpoint: nobody takes a place any more, and `reclaimEndpoints` frees the slot
    /// once nobody holds one.
    public func retire(_ reference: EndpointReference) {
        _ = change(reference, to: .retired)
    }

    /// Frees the slots of retired endpoints at which no living edge holds a place.
    ///
    /// A place that a dead edge left behind holds nothing up: the worker of a retired endpoint has
    /// ended.
    public func reclaimEndpoints() -> [EndpointReference] {
        var freed: [EndpointReference] = []
        for index in 0..<endpointHighWater {
            let slot = endpoint(index)
            guard slot.statusWord.loadSequential() & 0xff == EndpointState.retired.rawValue,
                cellSum(index) == 0,
                !(0..<placesMax).contains(where: {
                    let place = placeWord(index, $0).loadSequential()
                    return place != 0 && place & orphanBit == 0
                })
            else { continue }
            for place in 0..<placesMax { clearOrphan(placeWord(index, place)) }
            for edge in 0..<layout.edgeSlots {
                region.word(at: cell(edge, index) + CellField.requests).storeRelaxed(0)
            }
            freed.append(slot.reference)
            slot.statusWord.storeSequential(
                EndpointStatus(
                    generation: slot.status.generation, capacity: 0, kind: [], state: .free
                ).rawValue)
        }
        return freed
    }
}

extension Table {
    /// Frees a place that a dead edge left behind. A living edge that read the status before may take
    /// the place at this moment; it gives it back itself.
    func clearOrphan(_ word: SharedWord) {
        let mark = word.loadRelaxed()
        if mark & orphanBit != 0 { _ = word.compareExchange(expected: mark, desired: 0) }
    }
}

extension EndpointPlan {
    /// The same for each incarnation of a worker, and for an upstream wherever it stands in the
    /// list.
    var identity: UInt64 {
        let (bytes, seed): ([UInt8], UInt64) =
            switch address {
            case .unix: ([], UInt64(number))
            case .ipv4(let address, let port): (address, UInt64(port))
            case .ipv6(let address, let port, _): (address, UInt64(port))
            }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ seed
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }
}
