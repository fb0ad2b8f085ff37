public import Memory

/// What an endpoint can do just now.
public enum EndpointState: UInt8, Sendable, CaseIterable {
    /// The slot belongs to nobody.
    case free = 0
    /// Started and not yet ready: gets no request.
    case starting = 1
    /// Takes requests.
    case ready = 2
    /// Finishes what it has and gets nothing more.
    case draining = 3
    /// Known to be gone, and to come back or be replaced.
    case down = 4
    /// Given up until something changes.
    case failed = 5
    /// Removed; the slot waits until nobody refers to it.
    case retired = 6
}

/// What kind of server an endpoint is.
@frozen
public struct EndpointKind: OptionSet, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A worker of ours (demo, Python): it keeps busy bytes and is told `proxy-peer`.
    public static let ours = EndpointKind(rawValue: 1)
    /// A program started by `command:`.
    public static let command = EndpointKind(rawValue: 2)
    /// A server that runs already, from `upstreams:`.
    public static let upstream = EndpointKind(rawValue: 4)
    /// Spoken to over TLS.
    public static let tls = EndpointKind(rawValue: 8)
}

/// State, kind, capacity and generation in one word, so that they are read and compared at once.
@frozen
public struct EndpointStatus: Equatable, Sendable {
    public let rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public init(generation: UInt32, capacity: Int, kind: EndpointKind, state: EndpointState) {
        precondition(capacity >= 0 && capacity <= capacityMax)
        rawValue =
            UInt64(generation) << 32 | UInt64(capacity) << 16 | UInt64(kind.rawValue) << 8
            | UInt64(state.rawValue)
    }

    @inlinable
    public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
    /// Requests in work at once, over all edges; 0 is without limit.
    @inlinable
    public var capacity: Int { Int(rawValue >> 16 & 0xffff) }
    @inlinable
    public var kind: EndpointKind {
        EndpointKind(rawValue: UInt8(truncatingIfNeeded: rawValue >> 8))
    }
    @inlinable
    public var isReady: Bool { rawValue & 0xff == 2 }
    public var state: EndpointState {
        EndpointState(rawValue: UInt8(truncatingIfNeeded: rawValue)) ?? .failed
    }

    /// The same but for the state.
    public func with(_ state: EndpointState) -> EndpointStatus {
        EndpointStatus(rawValue: rawValue & ~0xff | UInt64(state.rawValue))
    }
}

/// The largest capacity an endpoint can have; its field has 16 bits.
public let capacityMax = 65_535

/// Where an endpoint is reached. Unix paths have up to 107 bytes.
public enum EndpointAddress: Equatable, Sendable {
    case unix(path: [UInt8])
    /// 4 bytes in network order, and the port.
    case ipv4(address: [UInt8], port: UInt16)
    /// 16 bytes in network order, the port, and the scope of a link-local address.
    case ipv6(address: [UInt8], port: UInt16, scope: UInt32)
}

/// One endpoint in the table. Only the master changes it, but for the words that say otherwise.
@frozen
public struct EndpointSlot: Sendable {
    @usableFromInline let region: SharedRegion
    @usableFromInline let base: Int
    /// The slot's number.
    public let index: Int

    @inlinable
    init(region: SharedRegion, base: Int, index: Int) {
        self.region = region
        self.base = base
        self.index = index
    }

    @inlinable
    func word(_ field: Int) -> SharedWord { region.word(at: base &+ field) }

    /// State, kind, capacity and generation.
    @inlinable
    public var status: EndpointStatus {
        EndpointStatus(rawValue: word(EndpointField.status).loadAcquiring())
    }

    @inlinable
    var statusWord: SharedWord { word(EndpointField.status) }

    /// This incarnation, for references to compare.
    @inlinable
    public var reference: EndpointReference {
        EndpointReference(index: UInt32(truncatingIfNeeded: index), generation: status.generation)
    }

    /// The service it belongs to.
    @inlinable
    public var service: Int { Int(word(EndpointField.membership).loadRelaxed() & 0xffff_ffff) }

    /// Its share of requests among the service's endpoints, 0 to get none.
    @inlinable
    public var weight: UInt32 {
        UInt32(truncatingIfNeeded: word(EndpointField.membership).loadRelaxed() >> 32)
    }

    /// A number that stays the same from one incarnation to the next, for consistent hashing.
    @inlinable
    public var identity: UInt64 { word(EndpointField.identity).loadRelaxed() }

    /// Passive health: 0, or when the pause ends (nanoseconds of the monotonic clock). Changed by
    /// edges.
    @inlinable
    public var pausedUntil: SharedWord { word(EndpointField.pausedUntil) }

    /// Passive health: 0, or the mark of the edge whose request tries the endpoint out. Changed by
    /// edges.
    @inlinable
    public var trial: SharedWord { word(EndpointField.trial) }

    /// Passive health: failures and the window's begin, packed by `Routing`. Changed by edges.
    @inlinable
    public var failures: SharedWord { word(EndpointField.failures) }

    /// The latency estimate, packed by `Routing`. Changed by edges, where a lost update does no
    /// harm.
    @inlinable
    public var latency: SharedWord { word(EndpointField.latency) }

    /// The process, 0 when there is none.
    public var pid: Int32 {
        Int32(truncatingIfNeeded: word(EndpointField.process).loadRelaxed() & 0xffff_ffff)
    }

    /// The worker's number in its service from 1, or the upstream's position from 0.
    public var number: Int { Int(word(EndpointField.process).loadRelaxed() >> 32) }

    /// Times the worker was started again.
    public var restarts: UInt64 { word(EndpointField.restarts).loadRelaxed() }

    /// What the worker itself says it costs: time spent in the app, and resident memory.
    public var busyNanoseconds: SharedWord { word(EndpointField.busyNanoseconds) }
    public var residentBytes: SharedWord { word(EndpointField.residentBytes) }

    /// Where to connect; nil if the slot holds none.
    public var address: EndpointAddress? {
        let packed = word(EndpointField.addressKind).loadAcquiring()
        let count = Int(packed >> 16 & 0xff)
        guard count <= addressBytesMax else { return nil }
        let span = region.bytes(at: base + EndpointField.address, count: count)
        var bytes: [UInt8] = []
        for position in span.indices { bytes.append(span[position]) }
        let port = UInt16(truncatingIfNeeded: packed >> 24)
        switch (packed & 0xffff, count) {
        case (1, 1...): return .unix(path: bytes)
        case (2, 4): return .ipv4(address: bytes, port: port)
        case (3, 16):
            return .ipv6(
                address: bytes, port: port, scope: UInt32(truncatingIfNeeded: packed >> 40))
        default: return nil
        }
    }

    func store(_ address: EndpointAddress) throws(BoardError) {
        let (kind, bytes, port, scope): (UInt64, [UInt8], UInt16, UInt32) =
            switch address {
            case .unix(let path): (1, path, 0, 0)
            case .ipv4(let address, let port): (2, address, port, 0)
            case .ipv6(let address, let port, let scope): (3, address, port, scope & 0xff_ffff)
            }
        guard bytes.count <= addressBytesMax else { throw .tooLong("address") }
        region.write(bytes.span, at: base + EndpointField.address)
        word(EndpointField.addressKind).storeReleasing(
            kind | UInt64(bytes.count) << 16 | UInt64(port) << 24 | UInt64(scope) << 40)
    }
}
