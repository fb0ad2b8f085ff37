/// Bytes in order over any number of blocks: what waits to be sent, or what was received and waits.
///
/// A chain owns its blocks; the pool is passed to each call, so that a chain is 16 bytes in a
/// connection.
public struct BlockChain: Sendable {
    @usableFromInline var head = BlockID.none
    @usableFromInline var tail = BlockID.none
    /// Unread bytes in the whole chain.
    @usableFromInline private(set) var total: UInt64 = 0

    @inlinable public init() {}

    @inlinable public var count: Int { Int(total) }
    @inlinable public var isEmpty: Bool { total == 0 }
    /// The block that holds the first unread byte, or `.none`.
    @inlinable public var first: BlockID { head }

    /// A block with no more bytes than this is copied into the last one's room, where they fit: one
    /// block goes to the kernel then, which is cheaper than to gather two.
    @inlinable static var copiedBytesMax: Int { 2048 }
    /// The same in a chain that has grown to two blocks and more: half a large block.
    @inlinable static var packedBytesMax: Int { BlockSize.large.bytes / 2 }

    /// Bytes that fit behind the last one without another block.
    @inlinable
    public func room(in pool: BlockPool) -> Int { tail.isNone ? 0 : pool.room(in: tail) }

    /// Takes a block over and puts its bytes behind the last one.
    ///
    /// A block that holds little is copied and given back, so that small pieces that wait, one
    /// received in each block, do not use up the pool: of the large blocks of a chain all but the
    /// first two and the last are at least half full.
    @inlinable
    public mutating func append(_ block: BlockID, in pool: BlockPool) {
        let count = pool.count(of: block)
        guard count > 0 else { return pool.give(block) }
        let most = head == tail ? Self.copiedBytesMax : Self.packedBytesMax
        if count <= most, count <= room(in: pool) {
            write(pool.bytes(of: block), to: tail, in: pool)
            return pool.give(block)
        }
        pool.setNext(after: block, to: .none)
        if tail.isNone { head = block } else { pool.setNext(after: tail, to: block) }
        tail = block
        total += UInt64(count)
    }

    /// Copies bytes behind the last one.
    ///
    /// - Returns: false, with nothing written, when the pool's budget is used up.
    public mutating func append(_ bytes: Span<UInt8>, in pool: BlockPool) -> Bool {
        var rest = bytes
        var added = BlockChain()
        if rest.count <= room(in: pool) {
            if rest.count > 0 { write(rest, to: tail, in: pool) }
            return true
        }
        while rest.count > 0 {
            // Small blocks are for what is short; a chain that grows is not.
            let isShort = rest.count <= BlockSize.small.bytes && count < BlockSize.small.bytes
            let block = isShort ? pool.take(.small) : pool.takeForBytes()
            guard !block.isNone else {
                added.giveAll(to: pool)
                return false
            }
            let fits = min(pool.room(in: block), rest.count)
            var writer = pool.writer(into: block)
            writer.write(rest.extracting(first: fits))
            pool.commit(fits, to: block)
            added.append(block, in: pool)
            rest = rest.extracting(droppingFirst: fits)
        }
        append(contentsOf: &added, in: pool)
        return true
    }

    /// Moves all of another chain's blocks behind this one's.
    @inlinable
    public mutating func append(contentsOf other: inout BlockChain, in pool: BlockPool) {
        guard !other.head.isNone else { return }
        if tail.isNone { head = other.head } else { pool.setNext(after: tail, to: other.head) }
        tail = other.tail
        total += other.total
        other = BlockChain()
    }

    /// Drops the first `count` bytes and gives emptied blocks back.
    @inlinable
    public mutating func consume(_ count: Int, in pool: BlockPool) {
        precondition(count >= 0 && count <= self.count)
        var rest = count
        total -= UInt64(count)
        while rest > 0 {
            let held = pool.count(of: head)
            if rest < held {
                pool.consume(rest, of: head)
                return
            }
            rest -= held
            removeFirst(in: pool)
        }
    }

    /// Takes the first block out of the chain with its bytes; `.none` when there is none.
    @inlinable
    public mutating func popFirst(in pool: BlockPool) -> BlockID {
        let block = head
        guard !block.isNone else { return .none }
        total -= UInt64(pool.count(of: block))
        head = pool.next(after: block)
        if head.isNone { tail = .none }
        return block
    }

    /// Gives every block back.
    @inlinable
    public mutating func giveAll(to pool: BlockPool) {
        while !head.isNone { removeFirst(in: pool) }
        total = 0
    }

    /// The block behind `block`, or `.none`; for walking a chain without changing it.
    @inlinable
    public func block(after block: BlockID, in pool: BlockPool) -> BlockID {
        pool.next(after: block)
    }

    @inlinable
    mutating func removeFirst(in pool: BlockPool) {
        let next = pool.next(after: head)
        pool.give(head)
        head = next
        if head.isNone { tail = .none }
    }

    @usableFromInline
    mutating func write(
        _ bytes: Span<UInt8>, to block: BlockID, in pool: BlockPool
    ) {
        var writer = pool.writer(into: block)
        writer.write(bytes)
        pool.commit(bytes.count, to: block)
        total += UInt64(bytes.count)
    }
}
