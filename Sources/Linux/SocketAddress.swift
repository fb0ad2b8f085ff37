import CLinux

/// Where a socket listens or is connected to: an IPv4 or IPv6 address with a port, or a path.
package struct SocketAddress: Equatable, Sendable {
    package enum Kind: Equatable, Sendable { case ipv4, ipv6, unix }

    package let kind: Kind
    /// The kernel's form, `sockaddr_in`, `sockaddr_in6` or `sockaddr_un`.
    private let bytes: [UInt8]

    /// Longest path of a Unix socket in bytes, one less than the kernel's room for it.
    package static let unixPathBytesMax = 107

    /// A numeric address: `127.0.0.1`, `::1`, `fe80::1%eth0`; nil when it is none.
    package init?(address: String, port: UInt16) {
        var four = sockaddr_in()
        if unsafe inet_pton(AF_INET, address, &four.sin_addr) == 1 {
            four.sin_family = UInt16(AF_INET)
            four.sin_port = port.bigEndian
            kind = .ipv4
            bytes = unsafe withUnsafeBytes(of: &four) { unsafe Array($0) }
            return
        }
        var six = sockaddr_in6()
        let parts = address.split(separator: "%", maxSplits: 1)
        guard let first = parts.first,
            unsafe inet_pton(AF_INET6, String(first), &six.sin6_addr) == 1
        else { return nil }
        if parts.count == 2 {
            let scope = unsafe if_nametoindex(String(parts[1]))
            guard scope != 0 else { return nil }
            six.sin6_scope_id = scope
        }
        six.sin6_family = UInt16(AF_INET6)
        six.sin6_port = port.bigEndian
        kind = .ipv6
        bytes = unsafe withUnsafeBytes(of: &six) { unsafe Array($0) }
    }

    /// A Unix socket's path; a leading `@` stands for the abstract name space. Throws
    /// `ENAMETOOLONG` over 107 bytes.
    package static func unix(path: String) throws(SystemError) -> SocketAddress {
        var name = Array(path.utf8)
        guard !name.isEmpty, name.count <= unixPathBytesMax else {
            throw SystemError("bind", number: ENAMETOOLONG)
        }
        let isAbstract = name[0] == UInt8(ascii: "@")
        if isAbstract { name[0] = 0 } else { name.append(0) }
        var family = UInt16(AF_UNIX)
        let head = unsafe withUnsafeBytes(of: &family) { unsafe Array($0) }
        return SocketAddress(kind: .unix, bytes: head + name)
    }

    private init(kind: Kind, bytes: [UInt8]) {
        self.kind = kind
        self.bytes = bytes
    }

    /// The address a socket is bound to (with the port the kernel chose for 0).
    package init(ofSocket number: Int32) throws(SystemError) {
        var room = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe clinux_address_own(number, &room, &size)
        guard result == 0 else { throw SystemError("getsockname") }
        switch Int32(room.ss_family) {
        case AF_INET: kind = .ipv4
        case AF_INET6: kind = .ipv6
        case AF_UNIX: kind = .unix
        default: throw SystemError("getsockname", number: EAFNOSUPPORT)
        }
        bytes = unsafe withUnsafeBytes(of: &room) { unsafe Array($0.prefix(Int(size))) }
    }

    /// The port; nil for a Unix socket.
    package var port: UInt16? {
        kind == .unix ? nil : UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    }

    /// The address as text without port: `127.0.0.1`, `::1`, a path.
    package var text: String {
        switch kind {
        case .unix:
            return String(decoding: bytes.dropFirst(2).prefix { $0 != 0 }, as: UTF8.self)
        case .ipv4, .ipv6:
            var room = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            let offset = kind == .ipv4 ? 4 : 8
            let family = kind == .ipv4 ? AF_INET : AF_INET6
            let size = socklen_t(room.count)
            return unsafe bytes.withUnsafeBytes { raw in
                unsafe room.withUnsafeMutableBufferPointer { room in
                    unsafe inet_ntop(family, raw.baseAddress! + offset, room.baseAddress!, size)
                        .map { unsafe String(cString: $0) } ?? ""
                }
            }
        }
    }

    /// The address without its port as `/proc/net/tcp` and `tcp6` show it: words of 32 bits, each in
    /// this machine's byte order, in hexadecimal.
    var kernelTableText: String {
        let address = kind == .ipv4 ? bytes[4..<8] : bytes[8..<24]
        var text = ""
        for word in stride(from: address.startIndex, to: address.endIndex, by: 4) {
            for byte in address[word..<word + 4].reversed() {
                text += (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return text
    }

    /// Family for `socket`.
    var family: Int32 {
        switch kind {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// The address in the kernel's form, for the length of one call.
    @unsafe
    func withRaw<Result>(_ body: (UnsafeRawPointer, socklen_t) -> Result) -> Result {
        unsafe bytes.withUnsafeBytes { unsafe body($0.baseAddress!, socklen_t($0.count)) }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// As people write it: `127.0.0.1:80`, `[::1]:80`, `unix:/run/x.sock`.
    package var description: String {
        switch kind {
        case .ipv4: "\(text):\(port ?? 0)"
        case .ipv6: "[\(text)]:\(port ?? 0)"
        case .unix: "unix:\(text)"
        }
    }
}
