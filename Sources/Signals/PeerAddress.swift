public import Memory

/// The address a client connects from, as a small value.
public struct PeerAddress: Equatable, Hashable, Sendable {
    /// Which kind of address it is.
    public enum Family: UInt8, Sendable {
        /// No address: a Unix socket, or not known.
        case none = 0
        case ipv4 = 4
        case ipv6 = 6
    }

    public let family: Family
    /// The first eight bytes in network order; 0 for IPv4.
    public let high: UInt64
    /// The last eight bytes in network order; for IPv4 its four bytes, above which zeros stand.
    public let low: UInt64

    /// No address.
    public static let none = PeerAddress(family: .none, high: 0, low: 0)

    /// - Parameter ipv4: the four bytes, the first one uppermost.
    @inlinable
    public init(ipv4: UInt32) {
        self.init(family: .ipv4, high: 0, low: UInt64(ipv4))
    }

    /// The 16 bytes of an IPv6 address; one that maps IPv4 (`::ffff:0:0/96`) becomes IPv4.
    @inlinable
    public init(ipv6High high: UInt64, low: UInt64) {
        if high == 0, low >> 32 == 0xFFFF {
            self.init(family: .ipv4, high: 0, low: low & 0xFFFF_FFFF)
        } else {
            self.init(family: .ipv6, high: high, low: low)
        }
    }

    @inlinable
    init(family: Family, high: UInt64, low: UInt64) {
        self.family = family
        self.high = high
        self.low = low
    }

    /// Writes the address as text: `127.0.0.1`, or IPv6 by RFC 5952 without brackets; `-` for none.
    public func write(to writer: inout ByteWriter) {
        switch family {
        case .none: writer.write(0x2D)
        case .ipv4:
            writer.write(decimal: low >> 24 & 255)
            writer.write(0x2E)
            writer.write(decimal: low >> 16 & 255)
            writer.write(0x2E)
            writer.write(decimal: low >> 8 & 255)
            writer.write(0x2E)
            writer.write(decimal: low & 255)
        case .ipv6: writeIPv6(to: &writer)
        }
    }

    private func group(_ index: Int) -> UInt64 {
        (index < 4 ? high >> UInt64(48 - 16 * index) : low >> UInt64(112 - 16 * index)) & 0xFFFF
    }

    private func writeIPv6(to writer: inout ByteWriter) {
        let zeros = longestZeros
        var index = 0
        while index < 8 {
            if index == zeros.lowerBound, !zeros.isEmpty {
                writer.write("::")
                index = zeros.upperBound
                continue
            }
            if index > 0, index != zeros.upperBound || zeros.isEmpty { writer.write(0x3A) }
            writer.write(hexadecimal: group(index))
            index += 1
        }
    }

    /// The first of the longest runs of at least two zero groups (RFC 5952 section 4.2), or empty.
    private var longestZeros: Range<Int> {
        var best = 0..<0
        var start = 0
        for index in 0..<8 {
            if group(index) != 0 {
                start = index + 1
            } else if index + 1 - start > max(best.count, 1) {
                best = start..<(index + 1)
            }
        }
        return best
    }
}
