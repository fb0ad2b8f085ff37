public import Configuration
public import HTTP
import Memory

/// Turns what `hash:` names into the number that `consistent-hash` works on.
///
/// A request without the header or cookie is spread by its client's address.
public struct KeyHash: Sendable {
    private enum Source: Sendable {
        case nothing, client, path
        case field([UInt8])
        case cookie([UInt8])
    }

    private let source: Source

    /// - Parameter key: nil for services that do not hash.
    public init(_ key: HashKey?) {
        source =
            switch key {
            case nil: .nothing
            case .client?: .client
            case .path?: .path
            case .header(let name)?: .field(Array(name.lowercased().utf8))
            case .cookie(let name)?: .cookie(Array(name.utf8))
            }
    }

    /// The hash of a request's key.
    ///
    /// - Parameter bytes: the span `head` was parsed from.
    public func hash(
        _ head: borrowing RequestHead, in bytes: Span<UInt8>, client: IPAddress
    ) -> UInt64 {
        switch source {
        case .nothing: return 0
        case .client: return hash(client)
        case .path: return hash(bytes, head.path)
        case .field(let name):
            for index in 0..<head.fields.count
            where isName(name, bytes, head.fields[index].name, ignoresCase: true) {
                return hash(bytes, head.fields[index].value)
            }
            return hash(client)
        case .cookie(let name):
            for index in 0..<head.fields.count where head.fields[index].code == .cookie {
                if let value = cookie(name, bytes, head.fields[index].value) {
                    return hash(bytes, value)
                }
            }
            return hash(client)
        }
    }

    private func hash(_ client: IPAddress) -> UInt64 { mixed(mixed(client.high) ^ client.low) }

    private func hash(_ bytes: Span<UInt8>, _ range: ByteRange) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in range.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01b3 }
        return mixed(hash)
    }

    /// Where a cookie's value lies in a `Cookie` field: `a=1; b=2` (RFC 6265, section 4.2.1).
    private func cookie(
        _ name: [UInt8], _ bytes: Span<UInt8>, _ field: ByteRange
    ) -> ByteRange? {
        var start = Int(field.start)
        while start < field.end {
            while start < field.end, bytes[start] == 0x20 || bytes[start] == 0x3b { start += 1 }
            var end = start
            while end < field.end, bytes[end] != 0x3b { end += 1 }
            var equals = start
            while equals < end, bytes[equals] != 0x3d { equals += 1 }
            let own = ByteRange(start: start, count: equals - start)
            if equals < end, isName(name, bytes, own, ignoresCase: false) {
                return ByteRange(start: equals + 1, count: end - equals - 1)
            }
            start = end
        }
        return nil
    }

    private func isName(
        _ name: [UInt8], _ bytes: Span<UInt8>, _ range: ByteRange, ignoresCase: Bool
    ) -> Bool {
        guard name.count == Int(range.count) else { return false }
        for offset in name.indices {
            var byte = bytes[Int(range.start) + offset]
            if ignoresCase && byte >= 0x41 && byte <= 0x5a { byte |= 0x20 }
            if name[offset] != byte { return false }
        }
        return true
    }
}
