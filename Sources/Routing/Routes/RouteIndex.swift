import Memory

/// Finds lists of routes by a name: an open-addressed hash table made once, over bytes it keeps
/// itself.
///
/// Two kinds of name go in: hosts, and path prefixes under a host. Looking up copies nothing.
struct RouteIndex: Sendable {
    private struct Entry {
        var hash: UInt64
        var name: ByteRange
        /// Where the list begins, and how many; unused entries have none.
        var start: UInt32
        var count: UInt32
    }

    private var entries: [Entry]
    private var bytes: [UInt8] = []
    private var lists: [UInt32] = []
    private let mask: Int

    /// - Parameter names: each with its group (a host's number) and its list, in any order; no name
    ///   twice in a group.
    init(_ names: [(group: UInt32, name: [UInt8], list: [UInt32])]) {
        var size = 4
        while size < names.count * 2 { size *= 2 }
        mask = size - 1
        entries = Array(
            repeating: Entry(hash: 0, name: .empty, start: 0, count: 0), count: size)
        for (group, name, list) in names {
            var hash = Self.seed(group)
            for byte in name { hash = Self.adding(byte, to: hash) }
            var slot = Int(truncatingIfNeeded: mixed(hash)) & mask
            while entries[slot].count > 0 { slot = (slot + 1) & mask }
            entries[slot] = Entry(
                hash: hash, name: ByteRange(start: bytes.count, count: name.count),
                start: UInt32(lists.count), count: UInt32(list.count))
            bytes += name
            lists += list
        }
    }

    /// Where a name's hash begins.
    @inline(__always)
    static func seed(_ group: UInt32) -> UInt64 { mixed(UInt64(group)) }

    /// The hash with one more byte (FNV-1a).
    @inline(__always)
    static func adding(_ byte: UInt8, to hash: UInt64) -> UInt64 {
        (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }

    /// The list of the name that stands in `text` from `start` on, as a range for `subscript`;
    /// empty if there is none.
    @inline(__always)
    func list(hash: UInt64, text: Span<UInt8>, from start: Int, count: Int) -> Range<Int> {
        var slot = Int(truncatingIfNeeded: mixed(hash)) & mask
        while entries[slot].count > 0 {
            let entry = entries[slot]
            if entry.hash == hash && isName(entry.name, text, start, count) {
                return Int(entry.start)..<Int(entry.start + entry.count)
            }
            slot = (slot + 1) & mask
        }
        return 0..<0
    }

    subscript(place: Int) -> Int { Int(lists[place]) }

    private func isName(
        _ name: ByteRange, _ text: Span<UInt8>, _ start: Int, _ count: Int
    ) -> Bool {
        guard Int(name.count) == count else { return false }
        for offset in 0..<count where bytes[Int(name.start) + offset] != text[start + offset] {
            return false
        }
        return true
    }
}
