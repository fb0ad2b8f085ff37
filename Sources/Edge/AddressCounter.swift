import Linux
import Memory

/// How many connections each client address has: `limits.connections_per_address`.
///
/// Open addressing with linear probing and backward-shift deletion (Knuth, volume 3, algorithm
/// 6.4R); twice as many cells as connections, so that it never fills. Addresses are mixed with a
/// secret, so that nobody can choose ones that collide.
struct AddressCounter: ~Copyable {
    struct Cell: BitwiseCopyable {
        var high: UInt64
        var low: UInt64
        var count: UInt32
    }

    private let cells: FixedArray<Cell>
    private let mask: Int
    private let secret: UInt64

    /// - Parameter connectionsMax: the most connections there can be at once.
    init(connectionsMax: Int, secret: UInt64) {
        var size = 16
        while size < 2 * connectionsMax { size *= 2 }
        cells = FixedArray(zeroed: size)
        mask = size - 1
        self.secret = secret
    }

    /// Counts a connection unless the address has `limit` of them.
    ///
    /// - Returns: false when it has, and nothing was counted.
    func add(_ address: InternetAddress, limit: Int) -> Bool {
        let position = place(of: address)
        guard Int(cells[position].count) < limit else { return false }
        cells[position].high = address.high
        cells[position].low = address.low
        cells[position].count += 1
        return true
    }

    /// Forgets a connection that was counted.
    func remove(_ address: InternetAddress) {
        var hole = place(of: address)
        precondition(cells[hole].count > 0)
        cells[hole].count -= 1
        guard cells[hole].count == 0 else { return }
        var next = (hole + 1) & mask
        while cells[next].count > 0 {
            let home = hash(cells[next].high, cells[next].low)
            if (next - home) & mask >= (next - hole) & mask {
                cells[hole] = cells[next]
                cells[next].count = 0
                hole = next
            }
            next = (next + 1) & mask
        }
    }

    func count(of address: InternetAddress) -> Int { Int(cells[place(of: address)].count) }

    /// The cell of an address, or the empty one where it would be put.
    private func place(of address: InternetAddress) -> Int {
        var position = hash(address.high, address.low)
        while cells[position].count > 0,
            cells[position].high != address.high || cells[position].low != address.low
        {
            position = (position + 1) & mask
        }
        return position
    }

    private func hash(_ high: UInt64, _ low: UInt64) -> Int {
        var mixed = (high ^ secret) &* 0x9e37_79b9_7f4a_7c15
        mixed ^= mixed >> 32
        mixed = (mixed ^ low) &* 0xd6e8_feb8_6659_fd93
        mixed ^= mixed >> 32
        mixed = mixed &* 0xd6e8_feb8_6659_fd93
        return Int(truncatingIfNeeded: mixed >> 32) & mask
    }
}
