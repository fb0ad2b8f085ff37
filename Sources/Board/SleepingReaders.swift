public import Memory

/// The file `readers`: which readers of the rings sleep and want their eventfd written. Readers
/// write it, so it is a file of its own beside the rings, which they only read.
///
/// A reader says it sleeps, looks at the rings once more, and waits with a time limit; a writer
/// publishes, and looks at the flags once a loop turn. After an edge's death the master wakes all
/// readers, since the edge may have taken a flag.
@frozen
public struct SleepingReaders: Sendable {
    @usableFromInline let region: SharedRegion

    /// Readers there can be, a bit each.
    public static let readersMax = 64
    @usableFromInline static let maskAt = 128
    private static let size = 192

    /// Makes the file; its descriptor becomes the caller's.
    public static func create() throws(SharedMemoryError) -> (
        readers: SleepingReaders, descriptor: Int32
    ) {
        let (region, descriptor) = try SharedRegion.create(name: "proxy-readers", size: size)
        BoardHeader.write(into: region, kind: .readers, capacities: [], constants: [size])
        return (SleepingReaders(region: region), descriptor)
    }

    /// Opens the file that the master made.
    public init(_ region: SharedRegion) throws(BoardError) {
        _ = try BoardHeader.capacities(of: region, kind: .readers, count: 0)
        try BoardHeader.check(
            region, kind: .readers, capacities: [], constants: [Self.size], size: Self.size)
        self.region = region
    }

    private init(region: SharedRegion) { self.region = region }

    /// Says that a reader is about to sleep; it then looks at its rings once more.
    public func fallAsleep(_ reader: Int) { mask.formUnion(bit(reader)) }

    /// Says that a reader is awake.
    public func wakeUp(_ reader: Int) { mask.subtractBits(bit(reader)) }

    /// The readers that sleep, which the caller now wakes; each is returned once.
    ///
    /// To be called after publishing, at most once a loop turn: costs a fence and a load when all
    /// are awake.
    public func takeSleeping() -> UInt64 {
        SharedFence.sequential()
        guard mask.loadRelaxed() != 0 else { return 0 }
        return mask.exchange(0)
    }

    private var mask: SharedWord { region.word(at: Self.maskAt) }

    private func bit(_ reader: Int) -> UInt64 {
        precondition(reader >= 0 && reader < Self.readersMax)
        return 1 << UInt64(reader)
    }
}
