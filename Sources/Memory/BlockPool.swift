/// The two sizes a block comes in.
public enum BlockSize: UInt32, Sendable {
    /// 4 KiB: most heads, and small bodies.
    case small
    /// 64 KiB: long heads, and bodies on their way.
    case large

    /// Bytes a block of this size holds.
    @inlinable public var bytes: Int { self == .small ? 4096 : 65536 }
}

/// Names a block of a `BlockPool`; `.none` names no block.
public struct BlockID: Equatable, Sendable {
    /// The block's position, large blocks behind the small ones.
    @usableFromInline let raw: UInt32

    @inlinable init(raw: UInt32) { self.raw = raw }

    /// No block.
    public static let none = BlockID(raw: .max)

    @inlinable public var isNone: Bool { raw == .max }
}

/// Where a block's bytes are, and the block that follows it in a chain or on the free list.
@usableFromInline
struct BlockHeader {
    @usableFromInline var start: UInt32
    @usableFromInline var end: UInt32
    @usableFromInline var next: UInt32

    @inlinable
    init(start: UInt32, end: UInt32, next: UInt32) {
        self.start = start
        self.end = end
        self.next = next
    }
}

/// The fixed-size buffers of one edge, with a budget.
///
/// Memory is reserved at once and becomes resident only when a block is first used; the free lists
/// are last-in first-out, so that a busy edge keeps to the few blocks that are in the cache. A
/// connection without unread or unsent bytes holds none.
///
/// A pool lives as long as its process, and its copies are the same pool: bytes of one block can be
/// read while another is taken. Whoever holds a block's bytes must not give that block back
/// meanwhile; bounds are checked always.
@safe
public struct BlockPool {
    @usableFromInline
    struct State {
        @usableFromInline var free: (small: UInt32, large: UInt32)
        @usableFromInline var fresh: (small: UInt32, large: UInt32)
        @usableFromInline var taken: (small: Int, large: Int)
    }

    @usableFromInline let memory: UnsafeMutablePointer<UInt8>
    @usableFromInline let headers: UnsafeMutablePointer<BlockHeader>
    @usableFromInline let state: UnsafeMutablePointer<State>
    /// How many 4 KiB blocks there are.
    public let smallCount: Int
    /// How many 64 KiB blocks there are.
    public let largeCount: Int

    /// - Parameters:
    ///   - smallCount: the budget of 4 KiB blocks.
    ///   - largeCount: the budget of 64 KiB blocks.
    public init(smallCount: Int, largeCount: Int) {
        precondition(smallCount > 0 && largeCount > 0)
        precondition(smallCount < 1 << 24 && largeCount < 1 << 20)
        self.smallCount = smallCount
        self.largeCount = largeCount
        let bytes = smallCount * BlockSize.small.bytes + largeCount * BlockSize.large.bytes
        unsafe memory = .allocate(capacity: bytes)
        unsafe headers = .allocate(capacity: smallCount + largeCount)
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(
            to: State(free: (.max, .max), fresh: (0, UInt32(smallCount)), taken: (0, 0)))
    }

    /// Large blocks that are taken now.
    public var takenLarge: Int { unsafe state.pointee.taken.large }

    /// Blocks that are taken now, of both sizes.
    public var taken: Int { unsafe state.pointee.taken.small + state.pointee.taken.large }

    /// Whether fewer than a quarter of the large blocks are left: those are for what has to be in
    /// one piece, and bytes on their way go in small ones.
    @inlinable public var isScarce: Bool {
        unsafe largeCount - state.pointee.taken.large < largeCount / 4
    }

    /// An empty block for bytes that may go in any number of pieces, or `.none`.
    @inlinable
    public func takeForBytes() -> BlockID {
        guard isScarce else { return takeLarge() }
        let block = takeSmall()
        return block.isNone ? takeLarge() : block
    }

    /// An empty block, or `.none` when the budget is used up.
    @inlinable
    public func take(_ size: BlockSize) -> BlockID {
        size == .small ? takeSmall() : takeLarge()
    }

    @inlinable
    func takeSmall() -> BlockID {
        let index: UInt32
        if unsafe state.pointee.free.small != .max {
            index = unsafe state.pointee.free.small
            unsafe state.pointee.free.small = headers[Int(index)].next
        } else {
            index = unsafe state.pointee.fresh.small
            guard Int(index) < smallCount else { return .none }
            unsafe state.pointee.fresh.small += 1
        }
        unsafe state.pointee.taken.small += 1
        unsafe headers[Int(index)] = BlockHeader(start: 0, end: 0, next: .max)
        return BlockID(raw: index)
    }

    @inlinable
    func takeLarge() -> BlockID {
        let index: UInt32
        if unsafe state.pointee.free.large != .max {
            index = unsafe state.pointee.free.large
            unsafe state.pointee.free.large = headers[Int(index)].next
        } else {
            index = unsafe state.pointee.fresh.large
            guard Int(index) < smallCount + largeCount else { return .none }
            unsafe state.pointee.fresh.large += 1
        }
        unsafe state.pointee.taken.large += 1
        unsafe headers[Int(index)] = BlockHeader(start: 0, end: 0, next: .max)
        return BlockID(raw: index)
    }

    /// Gives a block back; its name must not be used again.
    @inlinable
    public func give(_ block: BlockID) {
        let index = checked(block)
        if index < smallCount {
            unsafe headers[index].next = state.pointee.free.small
            unsafe state.pointee.free.small = block.raw
            unsafe state.pointee.taken.small -= 1
        } else {
            unsafe headers[index].next = state.pointee.free.large
            unsafe state.pointee.free.large = block.raw
            unsafe state.pointee.taken.large -= 1
        }
    }

    @inlinable
    public func size(of block: BlockID) -> BlockSize {
        checked(block) < smallCount ? .small : .large
    }

    /// Bytes written to the block and not consumed yet.
    @inlinable
    @inline(__always)
    public func count(of block: BlockID) -> Int {
        let header = unsafe headers[checked(block)]
        return Int(header.end - header.start)
    }

    /// Bytes that can still be written behind the last one.
    @inlinable
    @inline(__always)
    public func room(in block: BlockID) -> Int {
        let index = checked(block)
        return unsafe size(of: block).bytes - Int(headers[index].end)
    }

    /// The bytes written and not consumed yet.
    @inlinable
    @_lifetime(immortal)
    @inline(__always)
    public func bytes(of block: BlockID) -> Span<UInt8> {
        let index = checked(block)
        let header = unsafe headers[index]
        let span = unsafe Span(
            _unsafeStart: base(of: index) + Int(header.start), count: Int(header.end - header.start)
        )
        return unsafe _overrideLifetime(span, borrowing: ())
    }

    /// A writer for the room behind the last byte; `commit` what it wrote.
    @inlinable
    @inline(__always)
    public func writer(into block: BlockID) -> ByteWriter {
        unsafe ByteWriter(unsafeInto: unsafeRoom(in: block))
    }

    /// The room behind the last byte, for a system call to fill; `commit` what it wrote.
    @unsafe
    @inlinable
    public func unsafeRoom(in block: BlockID) -> UnsafeMutableBufferPointer<UInt8> {
        let index = checked(block)
        let end = unsafe Int(headers[index].end)
        let size = index < smallCount ? BlockSize.small.bytes : BlockSize.large.bytes
        return unsafe UnsafeMutableBufferPointer(start: base(of: index) + end, count: size - end)
    }

    /// The unread bytes, for a system call to read.
    @unsafe
    @inlinable
    public func unsafeBytes(of block: BlockID) -> UnsafeMutableBufferPointer<UInt8> {
        let index = checked(block)
        let header = unsafe headers[index]
        return unsafe UnsafeMutableBufferPointer(
            start: base(of: index) + Int(header.start), count: Int(header.end - header.start))
    }

    /// Adds `count` bytes that were written behind the last one.
    @inlinable
    @inline(__always)
    public func commit(_ count: Int, to block: BlockID) {
        let index = checked(block)
        precondition(count >= 0 && count <= room(in: block))
        unsafe headers[index].end += UInt32(count)
    }

    /// Moves the unread bytes to the block's beginning, or into a large block when they begin there
    /// already.
    ///
    /// - Returns: the block that holds the bytes from now on; `.none`, with nothing changed, when
    ///   it is a large block that is full already, or the budget is used up.
    public func widen(_ block: BlockID) -> BlockID {
        let index = checked(block)
        let header = unsafe headers[index]
        let count = Int(header.end - header.start)
        if header.start > 0 {
            unsafe base(of: index).update(from: base(of: index) + Int(header.start), count: count)
            unsafe headers[index].start = 0
            unsafe headers[index].end = UInt32(count)
            return block
        }
        guard size(of: block) == .small else { return .none }
        let larger = takeLarge()
        guard !larger.isNone else { return .none }
        unsafe base(of: Int(larger.raw)).update(from: base(of: index), count: count)
        unsafe headers[Int(larger.raw)].end = UInt32(count)
        give(block)
        return larger
    }

    /// Marks the first `count` unread bytes as read; an emptied block starts again at its
    /// beginning.
    @inlinable
    public func consume(_ count: Int, of block: BlockID) {
        let index = checked(block)
        let header = unsafe headers[index]
        precondition(count >= 0 && count <= Int(header.end - header.start))
        let start = header.start + UInt32(count)
        if start == header.end {
            unsafe headers[index].start = 0
            unsafe headers[index].end = 0
        } else {
            unsafe headers[index].start = start
        }
    }

    /// The block behind this one in its chain.
    @inlinable
    func next(after block: BlockID) -> BlockID { unsafe BlockID(raw: headers[checked(block)].next) }

    @inlinable
    func setNext(after block: BlockID, to next: BlockID) {
        unsafe headers[checked(block)].next = next.raw
    }

    @inlinable
    @inline(__always)
    func checked(_ block: BlockID) -> Int {
        let index = Int(block.raw)
        precondition(index < smallCount + largeCount)
        return index
    }

    @unsafe
    @inlinable
    @inline(__always)
    func base(of index: Int) -> UnsafeMutablePointer<UInt8> {
        if index < smallCount { return unsafe memory + index * BlockSize.small.bytes }
        return unsafe memory + smallCount * BlockSize.small.bytes
            + (index - smallCount) * BlockSize.large.bytes
    }
}
