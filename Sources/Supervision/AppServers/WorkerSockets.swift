internal import Board
internal import Linux

/// The sockets that the master makes for workers: one for each incarnation, for the edges' user
/// alone.
extension Pool {
    /// Longest prefix of a service's name in a socket's file name, so that the path fits into 107
    /// bytes.
    private static let nameBytesMax = 40

    /// A path for an incarnation's socket: `runtime/workers/web-1.3.sock`. No other socket has or had
    /// it, for two pools of a service may live side by side.
    private func socketPath(_ key: WorkerKey) -> String {
        let safe = String(
            name.unicodeScalars.map { scalar -> Character in
                let isPlain =
                    scalar.isASCII
                    && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
                return isPlain || scalar == "-" || scalar == "_" ? Character(scalar) : "_"
            }.prefix(Self.nameBytesMax))
        return "\(site.socketFolder)/\(safe)-\(key.slot).\(site.takeLife()).sock"
    }

    /// Binds an incarnation's socket: mode 0600, owned by the edges' user.
    func bindSocket(_ key: WorkerKey, kind: EndpointKind) throws(SystemError) -> WorkerAddress {
        let path = socketPath(key)
        // Each edge of two generations may have one connection more in the queue than the worker
        // takes.
        let backlog = plan.capacity + 2 * site.edges
        let socket = try ListeningSocket(
            unix: path, mode: 0o600, owner: site.edgeAccount, backlog: backlog)
        return WorkerAddress(
            endpoint: .unix(path: Array(path.utf8)), kind: kind,
            listener: OpenFile(owning: try socket.descriptor.duplicate()), path: path)
    }
}
