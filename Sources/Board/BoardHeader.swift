internal import Memory

/// Why a shared-memory file cannot be used, or takes nothing more.
public enum BoardError: Error, Equatable, Sendable {
    /// The file is none of this program's, or of another kind.
    case foreign
    /// The file was laid out by another build: its layout hash, and this program's.
    case layoutDiffers(found: UInt64, expected: UInt64)
    /// A table has no free slot: what of.
    case full(String)
    /// Text or an address is longer than its field: which one.
    case tooLong(String)
}

/// The five files of shared memory; each begins with a header that says which it is.
enum BoardKind: UInt64 {
    case table = 1
    case metrics = 2
    case keys = 3
    case rings = 4
    case readers = 5
    case busy = 6
}

/// The first 128 bytes of each shared-memory file: what it is, how it is laid out, and its
/// capacities.
///
/// The layout hash covers every constant and capacity that an offset is computed from, so that a
/// child of another build stops at once instead of reading nonsense.
enum BoardHeader {
    /// Bytes before a file's first own word.
    static let size = 128
    /// "proxy 26", so that a dump of the file can be told from others.
    private static let magic: UInt64 = 0x3632_2079_786f_7270
    private static let magicAt = 0
    private static let kindAt = 8
    private static let hashAt = 16
    private static let capacitiesAt = 24
    /// Capacities a header has room for.
    static let capacitiesMax = 8

    static func write(
        into region: SharedRegion, kind: BoardKind, capacities: [Int], constants: [Int]
    ) {
        precondition(capacities.count <= capacitiesMax)
        for (index, capacity) in capacities.enumerated() {
            region.word(at: capacitiesAt + 8 * index).storeRelaxed(UInt64(capacity))
        }
        region.word(at: kindAt).storeRelaxed(kind.rawValue)
        region.word(at: hashAt).storeRelaxed(hash(kind, capacities, constants))
        region.word(at: magicAt).storeReleasing(magic)
    }

    /// The capacities that the header names, which the layout is computed from again.
    static func capacities(
        of region: SharedRegion, kind: BoardKind, count: Int
    ) throws(BoardError) -> [Int] {
        guard region.size >= size, region.word(at: magicAt).loadAcquiring() == magic,
            region.word(at: kindAt).loadRelaxed() == kind.rawValue
        else { throw .foreign }
        var found: [Int] = []
        for index in 0..<count {
            let capacity = region.word(at: capacitiesAt + 8 * index).loadRelaxed()
            guard capacity <= capacityMax else { throw .foreign }
            found.append(Int(capacity))
        }
        return found
    }

    /// Compares the header's hash with that of the layout this program would make.
    static func check(
        _ region: SharedRegion, kind: BoardKind, capacities: [Int], constants: [Int], size: Int
    ) throws(BoardError) {
        let found = region.word(at: hashAt).loadRelaxed()
        let expected = hash(kind, capacities, constants)
        guard found == expected else { throw .layoutDiffers(found: found, expected: expected) }
        guard region.size >= size else { throw .foreign }
    }

    /// No capacity is larger than this, so that no product of two overflows.
    private static let capacityMax: UInt64 = 1 << 30

    /// FNV-1a over the numbers, a byte at a time.
    private static func hash(_ kind: BoardKind, _ capacities: [Int], _ constants: [Int]) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for number in [Int(kind.rawValue)] + capacities + constants {
            for shift in stride(from: 0, to: 64, by: 8) {
                hash ^= UInt64(truncatingIfNeeded: number >> shift) & 0xff
                hash = hash &* 0x100_0000_01b3
            }
        }
        return hash
    }
}

/// Rounds up to whole cache lines of 64 bytes.
func wholeLines(_ bytes: Int) -> Int { (bytes + 63) & ~63 }
