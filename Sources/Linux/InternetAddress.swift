import CLinux

/// An IPv4 or IPv6 address and a port, as the kernel and the data path hold it.
///
/// The 128 bits are those of the IPv6 address in network order, most significant first; an IPv4
/// address is held as its IPv4-mapped form (RFC 4291 section 2.5.5.2), so that a client of a
/// dual-stack listener has one form only.
public struct InternetAddress: Equatable, Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64
    public var port: UInt16

    public init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    /// - Parameter ipv4: the four bytes as one number, `127.0.0.1` being `0x7f000001`.
    public init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: 0xffff_0000_0000 | UInt64(ipv4), port: port)
    }

    /// Reads an address without brackets; nil when it is none.
    public init?(text: String, port: UInt16) {
        var four = in_addr()
        if unsafe inet_pton(AF_INET, text, &four) == 1 {
            self.init(ipv4: UInt32(bigEndian: four.s_addr), port: port)
            return
        }
        var six = in6_addr()
        guard unsafe inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        self.init(six, port: port)
    }

    /// True for an IPv4 address, in its own or its mapped form.
    public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    public static let loopback = InternetAddress(ipv4: 0x7f00_0001, port: 0)

    init(_ address: in6_addr, port: UInt16) {
        let words = unsafe unsafeBitCast(address, to: (UInt64, UInt64).self)
        self.init(
            high: UInt64(bigEndian: words.0), low: UInt64(bigEndian: words.1), port: port)
    }

    /// What the kernel wrote; nil for a family that is not the Internet's.
    init?(_ storage: inout sockaddr_storage) {
        let address = unsafe withUnsafeBytes(of: &storage) { bytes -> InternetAddress? in
            switch Int32(unsafe bytes.loadUnaligned(as: sa_family_t.self)) {
            case AF_INET:
                let four = unsafe bytes.loadUnaligned(as: sockaddr_in.self)
                return InternetAddress(
                    ipv4: UInt32(bigEndian: four.sin_addr.s_addr),
                    port: UInt16(bigEndian: four.sin_port))
            case AF_INET6:
                let six = unsafe bytes.loadUnaligned(as: sockaddr_in6.self)
                return InternetAddress(six.sin6_addr, port: UInt16(bigEndian: six.sin6_port))
            default: return nil
            }
        }
        guard let address else { return nil }
        self = address
    }

    /// Calls `body` with the address in the kernel's form: IPv4 as IPv4.
    func withKernelForm<Result>(
        _ body: (UnsafeRawPointer, socklen_t) -> Result
    ) -> Result {
        if isIPv4 {
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            four.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
            return unsafe withUnsafePointer(to: &four) {
                unsafe body(UnsafeRawPointer($0), 16)
            }
        }
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        six.sin6_addr = unsafe unsafeBitCast((high.bigEndian, low.bigEndian), to: in6_addr.self)
        return unsafe withUnsafePointer(to: &six) {
            unsafe body(UnsafeRawPointer($0), 28)
        }
    }
}
