public import Memory

/// One service in the table.
@frozen
public struct ServiceSlot: Sendable {
    @usableFromInline let region: SharedRegion
    @usableFromInline let base: Int
    /// The service's number, which endpoints and records name it by.
    public let index: Int

    @inlinable
    init(region: SharedRegion, base: Int, index: Int) {
        self.region = region
        self.base = base
        self.index = index
    }

    @inlinable
    func word(_ field: Int) -> SharedWord { region.word(at: base &+ field) }

    /// Set in the life word of a service that is to be removed.
    static let retiredBit: UInt64 = 1 << 63

    /// True while the slot belongs to a service, one that is being removed included.
    public var isUsed: Bool { generation != 0 }

    /// Which of the slot's lives this is; 0 while the slot is free.
    public var generation: UInt32 {
        UInt32(truncatingIfNeeded: word(ServiceField.life).loadAcquiring() & 0xffff_ffff)
    }

    /// True once the service is on its way out: only edges of older configurations still know it.
    public var isRetired: Bool {
        word(ServiceField.life).loadAcquiring() & Self.retiredBit != 0
    }

    /// Changes whenever the set of the service's ready endpoints changes; edges then read the set
    /// anew.
    @inlinable
    public var version: UInt64 { word(ServiceField.version).loadAcquiring() }

    /// Says that the set of ready endpoints changed.
    public func bumpVersion() {
        _ = word(ServiceField.version).addRelaxed(1)
    }

    /// Requests that may wait over all edges, `queue.length`.
    @inlinable
    public var queueLimit: Int { Int(word(ServiceField.queueLimit).loadRelaxed()) }

    /// Changes `queue.length`, as a reload does.
    public func setQueueLimit(_ limit: Int) {
        word(ServiceField.queueLimit).storeRelaxed(UInt64(limit))
    }

    /// Takes the next turn of the cursor that all edges share, so that their turns never coincide.
    @inlinable
    public func takeTurn() -> UInt64 { word(ServiceField.cursor).addRelaxed(1) }

    /// The edges that have waiters of this service, as a mask; the one load when nobody waits.
    @inlinable
    public var waitingEdges: UInt64 { word(ServiceField.waitingEdges).loadSequential() }

    @inlinable
    var waitingEdgesWord: SharedWord { word(ServiceField.waitingEdges) }

    /// The name's UTF-8 bytes.
    public var name: Span<UInt8> {
        @_lifetime(immortal)
        get {
            let count = min(Int(word(ServiceField.nameCount).loadAcquiring()), serviceNameMax)
            return region.bytes(at: base + ServiceField.name, count: count)
        }
    }
}
