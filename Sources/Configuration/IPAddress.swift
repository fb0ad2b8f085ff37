/// An IP address; IPv4 is kept in its IPv6-mapped form (RFC 4291, section 2.5.5.2).
public struct IPAddress: Hashable, Sendable {
    /// The 128 bits, first half and second half in host order.
    public let high: UInt64
    public let low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address, its first number in the highest byte.
    @inlinable
    public init(ipv4: UInt32) { self.init(high: 0, low: 0xffff_0000_0000 | UInt64(ipv4)) }

    @inlinable public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    @inlinable public var isLoopback: Bool {
        isIPv4 ? (low >> 24) & 0xff == 127 : high == 0 && low == 1
    }

    /// Reads `127.0.0.1`, `::1` or `fe80::1`, without brackets and without a zone.
    package init?(_ text: some StringProtocol) {
        if let address = IPAddress.ipv4(text[...]) {
            self.init(ipv4: address)
        } else if let groups = IPAddress.ipv6(String(text)) {
            let halves = [groups[..<4], groups[4...]].map {
                $0.reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
            }
            self.init(high: halves[0], low: halves[1])
        } else {
            return nil
        }
    }

    private static func ipv4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            // A leading zero is read as octal by some and as decimal by others: refused.
            guard isDigits(part), part.count <= 3, part.count == 1 || part.first != "0",
                let byte = UInt8(part)
            else { return nil }
            address = address << 8 | UInt32(byte)
        }
        return address
    }

    private static func ipv6(_ text: String) -> [UInt16]? {
        guard text.utf8.count <= 45 else { return nil }
        var head = text[...]
        var tail: Substring?
        if let gap = text.firstGap {
            head = text[..<gap]
            tail = text[text.index(gap, offsetBy: 2)...]
        }
        guard var groups = ipv6Groups(head, mayEndInIPv4: tail == nil) else { return nil }
        guard let tail else { return groups.count == 8 ? groups : nil }
        guard let rest = ipv6Groups(tail, mayEndInIPv4: true), groups.count + rest.count < 8
        else { return nil }
        groups += Array(repeating: 0, count: 8 - groups.count - rest.count) + rest
        return groups
    }

    private static func ipv6Groups(_ text: Substring, mayEndInIPv4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (place, part) in parts.enumerated() {
            if mayEndInIPv4, place == parts.count - 1, let address = ipv4(part) {
                groups += [UInt16(address >> 16), UInt16(truncatingIfNeeded: address)]
                continue
            }
            guard (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit),
                let group = UInt16(part, radix: 16)
            else { return nil }
            groups.append(group)
        }
        return groups.count <= 8 ? groups : nil
    }
}

extension IPAddress: CustomStringConvertible {
    /// `127.0.0.1`, or IPv6 as RFC 5952 writes it.
    public var description: String {
        if isIPv4 {
            return [24, 16, 8, 0].map { String((low >> UInt64($0)) & 0xff) }
                .joined(separator: ".")
        }
        let groups = (0..<8).map { place in
            UInt16(truncatingIfNeeded: (place < 4 ? high : low) >> UInt64(16 * (3 - place % 4)))
        }
        var longest = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(1, longest.count) { longest = start..<end }
            start = max(end, start + 1)
        }
        func text(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if longest.isEmpty { return text(groups[...]) }
        return text(groups[..<longest.lowerBound]) + "::" + text(groups[longest.upperBound...])
    }
}

/// A block of addresses: an address and how many of its leading bits count (RFC 4632).
public struct CIDR: Hashable, Sendable {
    /// The block's first address.
    public let address: IPAddress
    /// Bits of the 128 that count; an IPv4 block's are 96 more than written.
    public let prefix: Int

    public func contains(_ other: IPAddress) -> Bool {
        let (high, low) = CIDR.masks(prefix)
        return other.high & high == address.high && other.low & low == address.low
    }

    private static func masks(_ prefix: Int) -> (high: UInt64, low: UInt64) {
        (
            prefix >= 64 ? .max : ~(.max >> UInt64(prefix)),
            prefix >= 128 ? .max : prefix <= 64 ? 0 : ~(.max >> UInt64(prefix - 64))
        )
    }

    /// Reads `10.0.0.0/8`, `fd00::/8`, or one address. Bits beyond the prefix have to be zero.
    package init(_ text: String) throws(Complaint) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else {
            throw Complaint("takes addresses such as 10.0.0.0/8, not \(quoted(text))")
        }
        let most = address.isIPv4 ? 32 : 128
        var bits = most
        if parts.count == 2 {
            guard isDigits(parts[1]), let number = Int(parts[1]), number <= most else {
                throw Complaint("\(quoted(text)): after the slash goes a number from 0 to \(most)")
            }
            bits = number
        }
        prefix = address.isIPv4 ? bits + 96 : bits
        let (high, low) = CIDR.masks(prefix)
        self.address = IPAddress(high: address.high & high, low: address.low & low)
        if self.address != address {
            throw Complaint(
                "\(quoted(text)) has bits beyond /\(bits)",
                suggestion: "\(self.address)/\(bits)")
        }
    }
}

extension CIDR: CustomStringConvertible {
    public var description: String { "\(address)/\(address.isIPv4 ? prefix - 96 : prefix)" }
}

extension SettingType<CIDR> {
    /// A block of addresses, or one address.
    package static var cidr: Self {
        Self(
            name: "addresses such as 10.0.0.0/8", schema: "\"type\":\"string\"",
            parse: { (text) throws(Complaint) in try CIDR(text) }, text: { $0.description })
    }
}

extension String {
    /// Where the only `::` begins.
    fileprivate var firstGap: Index? {
        var place = startIndex
        var found: Index?
        while place < endIndex {
            let next = index(after: place)
            if self[place] == ":", next < endIndex, self[next] == ":" {
                if found != nil { return nil }
                found = place
                place = index(after: next)
            } else {
                place = next
            }
        }
        return found
    }
}
