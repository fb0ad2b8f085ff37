/// A small source of chance (xorshift64*), enough to spread load and nothing more: no secret may
/// come from it.
struct RandomSource: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = mixed(seed) | 1 }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }

    /// A number from 0 to below `bound`, which is above 0.
    mutating func next(below bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}
