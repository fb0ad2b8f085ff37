/// Where some bytes lie within a buffer that is named elsewhere: an offset and a length, in bytes.
///
/// Parsed heads keep these instead of slices, so that nothing points into a buffer that moves.
public struct ByteRange: BitwiseCopyable, Equatable, Sendable {
    public var start: UInt32
    public var count: UInt32

    @inlinable
    public init(start: Int, count: Int) {
        self.start = UInt32(start)
        self.count = UInt32(count)
    }

    /// No bytes at all.
    public static let empty = ByteRange(start: 0, count: 0)

    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var end: Int { Int(start) + Int(count) }
    @inlinable public var indices: Range<Int> { Int(start)..<end }
}
