/// Bounds of the data path that no key configures; each with its reason.
enum EdgeLimits {
    /// Receives of one connection before the others have their turn: 256 KiB with 64 KiB blocks.
    static let receivesPerTurn = 4
    /// Pieces of one body before the others have their turn: a chunk of one byte costs as much as
    /// one of thousands.
    static let piecesPerTurn = 4096
    /// Connections accepted in a row before the others have their turn.
    static let acceptsPerTurn = 64
    /// Connections of a listener accepted at the begin of a drain: the longest queue of a kernel.
    static let acceptsAtDrain = 65_536
    /// Unsent bytes at which reading for that side stops; two large blocks keep both sides busy.
    static let unsentBytesMax = 131_072
    /// Bytes thrown away after the last answer, so that it is not lost to a reset.
    static let lingerBytesMax: UInt64 = 1 << 20
    /// Nanoseconds such throwing away lasts at most.
    static let lingerNanoseconds: UInt64 = 2_000_000_000
    /// Nanoseconds without accepting when descriptors have run out.
    static let exhaustedPauseNanoseconds: UInt64 = 100_000_000
    /// Idle connections kept beyond those in use, for the table of upstream connections.
    static let idleUpstreamsMax = 4096
    /// Seconds that a body may have earned by its size, at most: 34 years, so that no sum of times
    /// overflows.
    static let bodySecondsMax: UInt64 = 1 << 30
    /// Nanoseconds between two looks for free places while requests wait here: for endpoints whose
    /// pause is over, and should a wake-up have died with its sender.
    static let lookNanoseconds: UInt64 = 100_000_000
    /// Nanoseconds between two complaints that blocks are scarce.
    static let scarceReportNanoseconds: UInt64 = 60_000_000_000
    /// Nanoseconds a connection waits when the budget of blocks is used up.
    static let starvedPauseNanoseconds: UInt64 = 10_000_000
    /// Seconds between two questions whether a half-closed client is still there, and how many may
    /// stay without an answer: a lost packet is no death.
    static let probeSeconds: Int32 = 15
    static let probesMax: Int32 = 4
    /// Bytes that the proxy adds to a request's head and the texts kept beside it, at most for a
    /// small block.
    static let addedBytesMax = 512
    /// Bytes of an answer's head as it is sent: the longest that may come
    /// (`limits.upstream_header`), and as much again for what the proxy and `set_headers` add.
    static let longHeadBytesMax = 131_072
    /// Bytes of a chunk's framing: 16 digits at most, and two line ends.
    static let chunkFramingBytesMax = 20
    /// A large block with fewer unsent bytes than this is exchanged for a small one when its bytes
    /// have to wait.
    static let compactBytesMax = 3072
}
