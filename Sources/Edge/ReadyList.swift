import Memory

/// Connections to go on with, in the order in which they were put here: those that used up their
/// share of a turn, and those that have work without an event of their own.
///
/// Each connection is in it once at most (it has a flag for that), so that it never overflows.
struct ReadyList: ~Copyable {
    private let items: FixedArray<UInt64>
    private var head = 0
    private(set) var count = 0

    var isFull: Bool { count == items.count }

    /// - Parameter capacity: how many connections there can be.
    init(capacity: Int) { items = FixedArray(zeroed: capacity) }

    mutating func append(_ token: Token) {
        precondition(count < items.count)
        items[(head + count) % items.count] = token.bits
        count += 1
    }

    mutating func removeFirst() -> Token {
        precondition(count > 0)
        let bits = items[head]
        head = (head + 1) % items.count
        count -= 1
        return Token(bits: bits)
    }
}

/// What an event or an entry of the ready list is about: a kind, a slot, and the slot's generation,
/// so that what is meant for a closed connection is recognised.
struct Token: Equatable {
    enum Kind: UInt64 {
        case client, upstream, listener, control, wake
    }

    let bits: UInt64

    init(bits: UInt64) { self.bits = bits }

    init(_ kind: Kind, _ index: Int, generation: UInt32 = 0) {
        bits = kind.rawValue << 60 | UInt64(generation & 0x0fff_ffff) << 32 | UInt64(index)
    }

    /// As `kind == .upstream`, for where every event is looked at.
    var isUpstream: Bool { bits >> 60 == Kind.upstream.rawValue }
    var kind: Kind { Kind(rawValue: bits >> 60)! }
    var index: Int { Int(bits & 0xffff_ffff) }
    var generation: UInt32 { UInt32(bits >> 32 & 0x0fff_ffff) }
}
