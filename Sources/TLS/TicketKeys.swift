import COpenSSL

/// A key that session tickets are sealed with (RFC 5077 section 4): 80 bytes as ten words, as they
/// lie in shared memory.
///
/// Words 0 and 1 are the name that stands in the ticket, 2 to 5 the HMAC-SHA-256 key, 6 to 9 the
/// AES-256 key.
public struct TicketKey: Sendable {
    public static let byteCount = 80
    public var words: InlineArray<10, UInt64>

    public init(words: InlineArray<10, UInt64>) {
        self.words = words
    }

    init(bytes: Span<UInt8>, at start: Int) {
        words = InlineArray(repeating: 0)
        for position in 0..<TicketKey.byteCount {
            let shift = UInt64(8 * (position % 8))
            words[position / 8] |= UInt64(bytes[start + position]) << shift
        }
    }

    /// A fresh key from OpenSSL's generator; nil when the machine has no randomness to give.
    public static func random() -> TicketKey? {
        var words = InlineArray<10, UInt64>(repeating: 0)
        let status = unsafe withUnsafeMutableBytes(of: &words) { bytes in
            unsafe RAND_priv_bytes(
                bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(bytes.count))
        }
        return status == 1 ? TicketKey(words: words) : nil
    }

    func hasName(_ first: UInt64, _ second: UInt64) -> Bool {
        words[0] == first && words[1] == second
    }
}

/// The three keys that are in use at one moment.
///
/// New tickets are sealed with `current`. All three open tickets: `previous` until its tickets are
/// over, `next` because another edge may have seen the rotation a moment earlier. A ticket that was
/// not sealed with `current` is renewed.
public struct TicketKeys: Sendable {
    public var previous: TicketKey
    public var current: TicketKey
    public var next: TicketKey

    public init(previous: TicketKey, current: TicketKey, next: TicketKey) {
        self.previous = previous
        self.current = current
        self.next = next
    }

    /// - Parameter bytes: 240, as they lie in the shared `keys` file: next, current, previous, each
    ///   a name of 16, an HMAC key of 32 and an AES-256 key of 32.
    public init(bytes: Span<UInt8>) {
        precondition(bytes.count == 3 * TicketKey.byteCount)
        next = TicketKey(bytes: bytes, at: 0)
        current = TicketKey(bytes: bytes, at: TicketKey.byteCount)
        previous = TicketKey(bytes: bytes, at: 2 * TicketKey.byteCount)
    }
}
