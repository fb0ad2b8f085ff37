/// Who listens on an address already, as far as this user may see it.
package struct PortOwner: Equatable, Sendable {
    package var pid: Int32
    package var name: String

    /// Finds the process that listens on `address`, or on an address that includes it or is included
    /// in it.
    ///
    /// Nil when nobody does, or its owner is not ours to see.
    package static func find(_ address: SocketAddress) -> PortOwner? {
        let inodes = listeningInodes(address)
        guard !inodes.isEmpty, let names = try? FileSystem.names(in: "/proc") else { return nil }
        for pid in names.compactMap(Int32.init).sorted() where holds("\(pid)", inodes) {
            let name = (try? FileSystem.readText("/proc/\(pid)/comm")) ?? "?"
            return PortOwner(pid: pid, name: String(name.prefix { $0 != "\n" }))
        }
        return nil
    }

    /// Whether this process listens on `address` itself.
    package static func isThisProcess(_ address: SocketAddress) -> Bool {
        holds("self", listeningInodes(address))
    }

    private static func listeningInodes(_ address: SocketAddress) -> Set<String> {
        ["/proc/net/tcp", "/proc/net/tcp6"].reduce(into: []) { inodes, table in
            guard let text = try? FileSystem.readText(table) else { return }
            inodes.formUnion(listeningInodes(in: text, inTheWayOf: address))
        }
    }

    /// Whether a process, named as in `/proc`, has one of these sockets open.
    private static func holds(_ process: String, _ inodes: Set<String>) -> Bool {
        let folder = "/proc/\(process)/fd"
        return (try? FileSystem.names(in: folder))?.contains { file in
            guard let target = try? FileSystem.target(ofLink: "\(folder)/\(file)") else {
                return false
            }
            return target.hasPrefix("socket:[")
                && inodes.contains(String(target.dropFirst(8).dropLast()))
        } ?? false
    }

    /// Whether everyone in its family who is in the way of `address` is one of `sockets`
    /// (descriptors of ours); false when nobody is.
    package static func isShared(_ address: SocketAddress, only sockets: [Int32]) -> Bool {
        let table = address.kind == .ipv6 ? "/proc/net/tcp6" : "/proc/net/tcp"
        guard let text = try? FileSystem.readText(table) else { return false }
        let listening = listeningInodes(in: text, inTheWayOf: address)
        let ours = sockets.compactMap { try? FileSystem.target(ofLink: "/proc/self/fd/\($0)") }
        return !listening.isEmpty && listening.allSatisfy { ours.contains("socket:[\($0)]") }
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
