/// Who listens on an address already, as far as this user may see it.
package struct PortOwner: Equatable, Sendable {
    package var pid: Int32
    package var name: String

    /// Finds the process that listens on `address` (or on every address of its port).
    ///
    /// Nil when nobody does, or its owner is not ours to see.
    package static func find(_ address: SocketAddress) -> PortOwner? {
        guard let port = address.port else { return nil }
        var inodes = Set<String>()
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            guard let text = try? FileSystem.readText(table) else { continue }
            inodes.formUnion(listeningInodes(in: text, port: port))
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

    /// Whether everyone who listens on the port of `address`, in its family, is one of `sockets`
    /// (descriptors of ours); false when nobody does.
    package static func isShared(_ address: SocketAddress, only sockets: [Int32]) -> Bool {
        let table = address.kind == .ipv6 ? "/proc/net/tcp6" : "/proc/net/tcp"
        guard let port = address.port, let text = try? FileSystem.readText(table) else {
            return false
        }
        let listening = listeningInodes(in: text, port: port)
        let ours = sockets.compactMap { try? FileSystem.target(ofLink: "/proc/self/fd/\($0)") }
        return !listening.isEmpty && listening.allSatisfy { ours.contains("socket:[\($0)]") }
    }

    /// The inodes of the sockets that listen on `port`, from the text of `/proc/net/tcp`.
    package static func listeningInodes(in table: String, port: UInt16) -> Set<String> {
        var inodes = Set<String>()
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ")
            // 0A is TCP_LISTEN; field 1 is the local address in hexadecimal, field 9 the inode.
            guard fields.count > 9, fields[3] == "0A",
                let colon = fields[1].lastIndex(of: ":"),
                UInt16(fields[1][fields[1].index(after: colon)...], radix: 16) == port
            else { continue }
            inodes.insert(String(fields[9]))
        }
        return inodes
    }
}
