public import Memory

/// The file `rings`: a broadcast ring of signal records per edge slot, and one for the master.
///
/// A record has a fixed size and a sequence word; `Signals` defines what is in it. Writers never
/// wait and overwrite the oldest.
@frozen
public struct SignalRings: Sendable {
    @usableFromInline let region: SharedRegion
    /// Rings of edges; the master's comes after them.
    public let edgeSlots: Int
    /// Records in each ring, a power of two.
    public let records: Int

    /// Bytes of a record, its two header words included.
    public static let recordSize = 2048
    /// Bytes of a record that belong to the caller.
    public static let payloadMax = recordSize - recordHeaderSize
    @usableFromInline static let recordHeaderSize = 16
    @usableFromInline static let listenedAt = 128
    private static let ringsAt = 192
    @usableFromInline static let ringHeaderSize = 64
    private static let constants = [recordSize, recordHeaderSize, ringsAt, ringHeaderSize]

    private static func size(_ edgeSlots: Int, _ records: Int) -> Int {
        ringsAt + (edgeSlots + 1) * (ringHeaderSize + records * recordSize)
    }

    /// Makes the file; its descriptor becomes the caller's. Memory is used as records are written.
    ///
    /// - Parameter records: a power of two, at most 65,536.
    public static func create(
        edgeSlots: Int, records: Int
    ) throws(SharedMemoryError) -> (rings: SignalRings, descriptor: Int32) {
        precondition(isPossible(edgeSlots, records))
        let (region, descriptor) = try SharedRegion.create(
            name: "proxy-rings", size: size(edgeSlots, records))
        BoardHeader.write(
            into: region, kind: .rings, capacities: [edgeSlots, records], constants: constants)
        return (SignalRings(region, edgeSlots: edgeSlots, records: records), descriptor)
    }

    /// Opens the file that the master made; readers map it read-only.
    public init(_ region: SharedRegion) throws(BoardError) {
        let found = try BoardHeader.capacities(of: region, kind: .rings, count: 2)
        guard Self.isPossible(found[0], found[1]) else { throw .foreign }
        try BoardHeader.check(
            region, kind: .rings, capacities: found, constants: Self.constants,
            size: Self.size(found[0], found[1]))
        self.init(region, edgeSlots: found[0], records: found[1])
    }

    private init(_ region: SharedRegion, edgeSlots: Int, records: Int) {
        self.region = region
        self.edgeSlots = edgeSlots
        self.records = records
    }

    private static func isPossible(_ edgeSlots: Int, _ records: Int) -> Bool {
        1...edgeSlotsMax ~= edgeSlots && 1...65_536 ~= records && records & (records - 1) == 0
    }

    /// The number of the master's own ring.
    public var masterRing: Int { edgeSlots }

    /// Rings in all.
    public var count: Int { edgeSlots + 1 }

    /// The events that somebody listens to, a bit each; nothing else is written. Set by the master.
    @inlinable
    public var listened: UInt64 { region.word(at: Self.listenedAt).loadRelaxed() }

    /// Says which events somebody listens to.
    public func setListened(_ events: UInt64) {
        region.word(at: Self.listenedAt).storeReleasing(events)
    }

    /// Positions below this one of a ring are published.
    public func head(of ring: Int) -> UInt64 { region.word(at: base(ring)).loadAcquiring() }

    /// The one writer of a ring: its edge, or the master once that edge is dead.
    public func writer(of ring: Int) -> RingWriter {
        RingWriter(
            region: region, base: base(ring), mask: UInt64(records - 1), next: head(of: ring))
    }

    /// A reader of a ring that begins with what is published from now on.
    public func reader(of ring: Int) -> RingReader {
        RingReader(
            region: region, base: base(ring), mask: UInt64(records - 1), cursor: head(of: ring))
    }

    private func base(_ ring: Int) -> Int {
        precondition(ring >= 0 && ring < count)
        return Self.ringsAt + ring * (Self.ringHeaderSize + records * Self.recordSize)
    }
}

/// Writes records into one ring. There is one at a time.
///
/// `begin()`, then bytes through `payload(at:)`, then `publish`. Between the two the record's
/// sequence word is odd.
public struct RingWriter: ~Copyable {
    @usableFromInline let region: SharedRegion
    @usableFromInline let base: Int
    @usableFromInline let mask: UInt64
    /// The position the next record gets: what `begin()` is going to return.
    public private(set) var next: UInt64

    @usableFromInline
    init(region: SharedRegion, base: Int, mask: UInt64, next: UInt64) {
        self.region = region
        self.base = base
        self.mask = mask
        self.next = next
    }

    /// Begins the record at `next`: from here on no reader takes what lay there before.
    public func begin() -> UInt64 {
        region.word(at: record(next)).storeRelaxed(next &* 2 &+ 1)
        SharedFence.release()
        return next
    }

    /// The bytes of the record that was begun, `SignalRings.payloadMax` of them.
    public func payload(at position: UInt64) -> ByteWriter {
        precondition(position == next)
        return region.writer(
            at: record(position) &+ SignalRings.recordHeaderSize, count: SignalRings.payloadMax)
    }

    /// Ends the record and shows it to readers.
    ///
    /// - Parameter count: bytes written.
    public mutating func publish(_ position: UInt64, count: Int) {
        precondition(position == next && count >= 0 && count <= SignalRings.payloadMax)
        let start = record(position)
        region.word(at: start &+ 8).storeRelaxed(UInt64(count))
        region.word(at: start).storeReleasing(position &* 2 &+ 2)
        next = position &+ 1
        region.word(at: base).storeReleasing(next)
    }

    @inline(__always)
    private func record(_ position: UInt64) -> Int {
        base &+ SignalRings.ringHeaderSize
            &+ Int(truncatingIfNeeded: position & mask) &* SignalRings.recordSize
    }
}

/// What a reader found.
public enum RingReading: Equatable, Sendable {
    /// The bytes of the next record, at the target's start: how many, and its position.
    case record(count: Int, position: UInt64)
    /// Nothing new.
    case empty
    /// The writer came round: this many records are lost, and the reader stands at the head.
    case lapped(lost: UInt64)
}

/// Reads one ring from a cursor of its own; any number of readers do, and the writer knows none of
/// them.
public struct RingReader: Sendable {
    private let region: SharedRegion
    private let base: Int
    private let mask: UInt64
    /// The position read next.
    public private(set) var cursor: UInt64

    init(region: SharedRegion, base: Int, mask: UInt64, cursor: UInt64) {
        self.region = region
        self.base = base
        self.mask = mask
        self.cursor = cursor
    }

    /// True if `next` would find something.
    public var hasNews: Bool { region.word(at: base).loadSequential() != cursor }

    /// Copies the next record.
    ///
    /// - Parameter target: `SignalRings.payloadMax` bytes.
    public mutating func next(into target: inout MutableSpan<UInt8>) -> RingReading {
        let head = region.word(at: base).loadAcquiring()
        guard head != cursor else { return .empty }
        guard head &- cursor <= mask &+ 1 else { return lap(head) }
        let start =
            base + SignalRings.ringHeaderSize + Int(cursor & mask) * SignalRings.recordSize
        let sequence = region.word(at: start)
        let whole = cursor &* 2 &+ 2
        guard sequence.loadAcquiring() == whole else { return lap(head) }
        let count = region.word(at: start + 8).loadRelaxed()
        guard count <= SignalRings.payloadMax else { return lap(head) }
        region.copyBytes(
            at: start + SignalRings.recordHeaderSize, count: Int(count), into: &target)
        SharedFence.acquire()
        guard sequence.loadRelaxed() == whole else { return lap(head) }
        cursor &+= 1
        return .record(count: Int(count), position: cursor &- 1)
    }

    private mutating func lap(_ head: UInt64) -> RingReading {
        let lost = head &- cursor
        cursor = head
        return .lapped(lost: lost)
    }
}
