internal import Memory

/// How many connections each client address has: `limits.connections_per_address`, which holds over
/// all edges.
///
/// Each edge has a table of its own in the file `table`, which it alone writes and all read: open
/// addressing with linear probing and backward-shift deletion (Knuth, volume 3, algorithm 6.4R). A
/// cell is one word, 40 bits of the address's hash and 24 of the count, 0 while it is free, so that
/// nobody ever sees a half of it. The hash is mixed with a secret of the master's, so that nobody
/// can choose addresses that collide; two that share the 40 bits (one chance in 5,000 with 20,000
/// addresses) share a limit.
///
/// To count, an edge adds its own first, looks at the sum, and steps back if it is too much: the
/// limit is not exceeded, and of two edges that come for the last connection both may be refused.
/// Who looks just while another edge moves a cell may overlook it, for that one look.
public struct AddressCounter: ~Copyable {
    private let table: Table
    private let edge: EdgeIdentity
    private let secret: UInt64
    /// Cells in use.
    private var used = 0

    /// - Precondition: the master cleared what an edge before left in the slot, by `recover`.
    public init(_ table: Table, edge: EdgeIdentity) {
        self.table = table
        self.edge = edge
        secret = table.addressSecret.loadRelaxed()
    }

    /// Counts a connection of an address, unless that would be more than `limit` over all edges.
    ///
    /// - Parameters: the 128 bits of the address.
    /// - Returns: false when it would, and nothing was counted.
    public mutating func add(high: UInt64, low: UInt64, limit: Int) -> Bool {
        let tag = tag(high, low)
        let place = table.addressPlace(of: tag, edgeSlot: edge.slot)
        let count = place.word.loadRelaxed() & AddressCell.countMask
        // Of a table that fills up every fourth cell stays free, so that a probe always ends soon.
        let isFull = count == 0 && used >= table.layout.addressCells / 4 * 3
        guard !isFull, count < limit else { return false }
        place.word.storeSequential(AddressCell.word(tag, count &+ 1))
        if count == 0 { used += 1 }
        guard table.connections(tag: tag) <= limit else {
            remove(tag)
            return false
        }
        return true
    }

    /// Forgets a connection that was counted.
    public mutating func remove(high: UInt64, low: UInt64) { remove(tag(high, low)) }

    /// Connections of an address over all edges.
    public func count(high: UInt64, low: UInt64) -> Int {
        table.connections(tag: tag(high, low))
    }

    private mutating func remove(_ tag: UInt64) {
        var hole = table.addressPlace(of: tag, edgeSlot: edge.slot)
        let count = hole.word.loadRelaxed() & AddressCell.countMask
        precondition(count > 0)
        guard count == 1 else {
            return hole.word.storeSequential(AddressCell.word(tag, count &- 1))
        }
        used -= 1
        let mask = table.layout.addressCells - 1
        var next = (hole.position + 1) & mask
        while true {
            let word = table.addressWord(edge.slot, next)
            let value = word.loadRelaxed()
            guard value != 0 else { break }
            let home = AddressCell.home(value >> AddressCell.countBits, mask)
            // Written to its new place before it goes from the old one: it is there twice, not
            // never, and a probe stops at the first.
            if (next - home) & mask >= (next - hole.position) & mask {
                hole.word.storeSequential(value)
                hole = (next, word)
            }
            next = (next + 1) & mask
        }
        hole.word.storeSequential(0)
    }

    /// 40 bits of an address's hash: two rounds of xor and multiply, as murmur3 ends.
    private func tag(_ high: UInt64, _ low: UInt64) -> UInt64 {
        var mixed = (high ^ secret) &* 0x9e37_79b9_7f4a_7c15
        mixed ^= mixed >> 32
        mixed = (mixed ^ low) &* 0xd6e8_feb8_6659_fd93
        mixed ^= mixed >> 32
        return (mixed &* 0xd6e8_feb8_6659_fd93) >> AddressCell.countBits
    }
}

/// A cell: the address's tag in the high 40 bits, its connections in the low 24.
private enum AddressCell {
    static let countBits: UInt64 = 24
    static let countMask: UInt64 = 1 << countBits - 1

    static func word(_ tag: UInt64, _ count: UInt64) -> UInt64 { tag << countBits | count }

    /// Where a probe for a tag begins.
    static func home(_ tag: UInt64, _ mask: Int) -> Int { Int(tag >> 8) & mask }
}

extension Table {
    var addressSecret: SharedWord { region.word(at: TableField.addressSecret) }

    func addressWord(_ edgeSlot: Int, _ position: Int) -> SharedWord {
        precondition(edgeSlot < layout.edgeSlots && position < layout.addressCells)
        return region.word(
            at: layout.addressesAt &+ (edgeSlot &* layout.addressCells &+ position) &* 8)
    }

    /// The cell of a tag in an edge's table, or the free one where it would be put.
    fileprivate func addressPlace(
        of tag: UInt64, edgeSlot: Int
    ) -> (position: Int, word: SharedWord) {
        let mask = layout.addressCells - 1
        var position = AddressCell.home(tag, mask)
        // A bound for who reads a table that changes meanwhile; a writer finds its own before.
        for _ in 0..<mask {
            let value = addressWord(edgeSlot, position).loadSequential()
            if value == 0 || value >> AddressCell.countBits == tag { break }
            position = (position + 1) & mask
        }
        return (position, addressWord(edgeSlot, position))
    }

    fileprivate func connections(tag: UInt64) -> Int {
        var rest = liveEdges
        var sum = 0
        while rest != 0 {
            let slot = rest.trailingZeroBitCount
            rest &= rest &- 1
            guard slot < layout.edgeSlots else { break }
            let value = addressPlace(of: tag, edgeSlot: slot).word.loadSequential()
            // It may be another's by now.
            guard value >> AddressCell.countBits == tag else { continue }
            sum += Int(value & AddressCell.countMask)
        }
        return sum
    }

    /// Clears the table of an edge that has died.
    func clearAddresses(edgeSlot: Int) {
        for position in 0..<layout.addressCells {
            let word = addressWord(edgeSlot, position)
            if word.loadRelaxed() != 0 { word.storeSequential(0) }
        }
    }
}
