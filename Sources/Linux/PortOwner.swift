/// Who listens on an address already, as far as this user may see it.
package struct PortOwner: Equatable, Sendable {
    package var pid: Int32
    package var name: String

    /// Finds the process that listens on `address`, or on an address that includes it or is included
    /// in it.
    ///
    /// Nil when nobody does, or its owner is not ours to see.
    package static func find(_ address: SocketAddress) -> PortOwner? {
        var inodes = Set<String>()
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            guard let text = try? FileSystem.readText(table) else { continue }
            inodes.formUnion(listeningInodes(in: text, inTheWayOf: address))
        }
        guard !inodes.isEmpty, let names = try? FileSystem.names(in: "/proc") else { return nil }
        for pid in names.compactMap(Int32.init).sorted() {
            guard let files = try? FileSystem.names(in: "/proc/\(pid)/fd") else { continue }
            for file in files {
                guard let target = try? FileSystem.target(ofLink: "/proc/\(pid)/fd/\(file)"),
                    target.hasPrefix("socket:["),
                    inodes.contains(String(target.dropFirst(8).dropLast()))
                else { continue }
                let name = (try? FileSystem.readText("/proc/\(pid)/comm")) ?? "?"
                return PortOwner(pid: pid, name: String(name.prefix { $0 != "\n" }))
            }
        }
        return nil
    }

    /// The inodes of the sockets that listen where `address` would, from the text of `/proc/net/tcp`
    /// or `tcp6`: on its port, and on the same address, or one of the two on all addresses.
    package static func listeningInodes(
        in table: String, inTheWayOf address: SocketAddress
    ) -> Set<String> {
        guard let port = address.port else { return [] }
        let wanted = address.kernelTableText
        var inodes = Set<String>()
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ")
            // 0A is TCP_LISTEN; field 1 is the local address in hexadecimal, field 9 the inode.
            guard fields.count > 9, fields[3] == "0A",
                let colon = fields[1].lastIndex(of: ":"),
                UInt16(fields[1][fields[1].index(after: colon)...], radix: 16) == port
            else { continue }
            if includes(fields[1][..<colon], wanted) { inodes.insert(String(fields[9])) }
        }
        return inodes
    }

    /// Whether a socket at `local` is in the way of one at `wanted`. A socket for all IPv6 addresses
    /// may take IPv4 too; ours never do.
    private static func includes(_ local: Substring, _ wanted: String) -> Bool {
        if local == wanted { return true }
        if local.allSatisfy({ $0 == "0" }) { return local.count >= wanted.count }
        return wanted.allSatisfy { $0 == "0" } && local.count == wanted.count
    }
}
