public import Memory

/// Which of the three TLS ticket keys: tickets are made with `current`; those made with `previous`
/// or `next` are taken too.
public enum TicketKeyAge: Int, CaseIterable, Sendable {
    /// Current after the next rotation; known early, so that no edge meets a ticket it cannot read.
    case next = 0
    case current = 1
    case previous = 2
}

/// The file `keys`: three TLS ticket keys, which the master rotates and edges read.
///
/// There are two sets of keys. A rotation writes the one that nobody reads and then changes one
/// word, so that a reader never sees a torn key and never waits, even when the writer is killed in
/// between.
@frozen
public struct TicketKeys: Sendable {
    private let region: SharedRegion

    /// Bytes of one key: a name of 16, an HMAC key of 32, an AES-256 key of 32.
    public static let keySize = 80
    private static let setSize = wholeLines(3 * keySize)
    private static let sequenceAt = BoardHeader.size
    private static let rotatedAt = BoardHeader.size + 8
    private static let setsAt = BoardHeader.size + 64
    private static let size = setsAt + 2 * setSize
    private static let constants = [keySize, setSize, setsAt]

    /// Makes the file with three keys, given one after the other in the order next, current,
    /// previous.
    public static func create(
        keys: Span<UInt8>, now: UInt64
    ) throws(SharedMemoryError) -> (keys: TicketKeys, descriptor: Int32) {
        precondition(keys.count == 3 * keySize)
        let (region, descriptor) = try SharedRegion.create(name: "proxy-keys", size: size)
        region.write(keys, at: setsAt)
        region.word(at: rotatedAt).storeRelaxed(now)
        BoardHeader.write(into: region, kind: .keys, capacities: [], constants: constants)
        return (TicketKeys(region: region), descriptor)
    }

    /// Opens the file that the master made; a read-only mapping is enough to read.
    public init(_ region: SharedRegion) throws(BoardError) {
        _ = try BoardHeader.capacities(of: region, kind: .keys, count: 0)
        try BoardHeader.check(
            region, kind: .keys, capacities: [], constants: Self.constants, size: Self.size)
        self.region = region
    }

    private init(region: SharedRegion) { self.region = region }

    /// Changes with each rotation, so that a reader who kept a copy knows when to read again.
    public var sequence: UInt64 { region.word(at: Self.sequenceAt).loadAcquiring() }

    /// When the keys were last rotated (Unix time in nanoseconds, as the master gave it).
    public var rotated: UInt64 { region.word(at: Self.rotatedAt).loadAcquiring() }

    /// Makes the next key current and the current one previous, and takes a new next one. Only the
    /// master does this.
    public func rotate(next: Span<UInt8>, now: UInt64) {
        precondition(next.count == Self.keySize)
        let sequence = region.word(at: Self.sequenceAt)
        let number = sequence.loadRelaxed()
        let old = setOffset(number)
        let new = setOffset(number &+ 1)
        // What follows must not be seen before the last rotation's sequence.
        SharedFence.sequential()
        region.write(next, at: new)
        region.write(region.bytes(at: old, count: 2 * Self.keySize), at: new + Self.keySize)
        region.word(at: Self.rotatedAt).storeRelaxed(now)
        sequence.storeReleasing(number &+ 1)
    }

    /// Copies the three keys, in the order next, current, previous, all of one moment.
    ///
    /// - Parameter target: 240 bytes.
    /// - Returns: the sequence they belong to.
    public func copyKeys(into target: inout MutableSpan<UInt8>) -> UInt64 {
        precondition(target.count >= 3 * Self.keySize)
        let sequence = region.word(at: Self.sequenceAt)
        while true {
            let before = sequence.loadAcquiring()
            region.copyBytes(at: setOffset(before), count: 3 * Self.keySize, into: &target)
            SharedFence.acquire()
            // The set is written again only in the rotation after the next.
            if sequence.loadRelaxed() == before { return before }
        }
    }

    private func setOffset(_ number: UInt64) -> Int {
        Self.setsAt + Int(number & 1) * Self.setSize
    }
}
