internal import Configuration
internal import Linux
internal import Routing

/// The listening sockets: made by the master, inherited by edges, and never closed while the proxy
/// serves.
final class ListenerSockets {
    /// One address of one listener, with a socket for each edge there has ever been.
    final class Bound {
        /// What the configuration asked for; port 0 asks for any.
        let requested: SocketAddress
        /// With the real port.
        fileprivate(set) var address: SocketAddress
        fileprivate(set) var sockets: [OpenFile] = []

        fileprivate init(_ requested: SocketAddress) {
            self.requested = requested
            address = requested
        }
    }

    /// A listener of the configuration with its addresses.
    struct Listener {
        var options: FrontOptions.Listener
        var bound: [Bound]

        /// With the real port, as the ready line and `status` show it.
        var url: String {
            var url = options.url
            if url.port == 0, let port = bound.first?.address.port {
                url = ListenURL(scheme: url.scheme, host: url.host, port: port)
            }
            return url.description
        }
    }

    private(set) var listeners: [Listener] = []

    /// Binds what a configuration wants and we do not have yet; `adopt` makes it count.
    ///
    /// Sockets that exist are kept. On failure nothing has changed. Code 69 names the owner of a
    /// taken port.
    func prepare(_ front: FrontOptions) throws(MasterFailure) -> [Listener] {
        var known: [Bound] = listeners.flatMap(\.bound)
        var prepared: [Listener] = []
        for options in front.listeners {
            var bound: [Bound] = []
            for requested in Self.addresses(of: options.url) {
                // A port that the kernel chose for 0 may be asked for by its number later.
                let index =
                    known.firstIndex { $0.requested == requested }
                    ?? known.firstIndex { $0.address == requested }
                if let index {
                    bound.append(known.remove(at: index))
                    continue
                }
                let fresh = Bound(requested)
                // Both families of one listener with port 0 share the port the first one got.
                let port = options.url.port == 0 ? bound.first?.address.port : nil
                guard try Self.bind(fresh, port: port, options, isOptional: !bound.isEmpty) else {
                    continue
                }
                bound.append(fresh)
            }
            for one in bound { try Self.complete(one, options, edges: front.edges) }
            prepared.append(Listener(options: options, bound: bound))
        }
        return prepared
    }

    /// Makes what `prepare` gave the listeners that serve; what is left over closes.
    func adopt(_ prepared: [Listener]) { listeners = prepared }

    private static func addresses(of url: ListenURL) -> [SocketAddress] {
        let texts =
            switch url.host {
            case .any: ["0.0.0.0", "::"]
            case .localhost: ["127.0.0.1", "::1"]
            case .address(let address): [address.description]
            }
        return texts.compactMap { SocketAddress(address: $0, port: url.port) }
    }

    /// Binds an address for the first time; false when its family is not there and need not be.
    private static func bind(
        _ bound: Bound, port: UInt16?, _ options: FrontOptions.Listener, isOptional: Bool
    ) throws(MasterFailure) -> Bool {
        var wanted = bound.requested
        if let port { wanted = SocketAddress(address: wanted.text, port: port) ?? wanted }
        do throws(SystemError) {
            // Sharing a port is allowed to every process of our user: ask first whether it is free.
            if wanted.port != 0 { try ListeningSocket.checkFree(wanted) }
            let socket = try ListeningSocket(tcp: wanted, backlog: options.backlog)
            bound.address = socket.address
            bound.sockets = [OpenFile(owning: try socket.descriptor.duplicate())]
            return true
        } catch {
            // No IPv6 on this machine.
            if isOptional, error.number == 97 || error.number == 99 { return false }
            throw failure(error, wanted)
        }
    }

    /// Makes the sockets that are missing for this many edges.
    private static func complete(
        _ bound: Bound, _ options: FrontOptions.Listener, edges: Int
    ) throws(MasterFailure) {
        let count = options.reusesPort ? edges : 1
        while bound.sockets.count < count {
            do throws(SystemError) {
                let socket = try ListeningSocket(tcp: bound.address, backlog: options.backlog)
                bound.sockets.append(OpenFile(owning: try socket.descriptor.duplicate()))
            } catch {
                throw failure(error, bound.address)
            }
        }
    }

    private static func failure(_ error: SystemError, _ address: SocketAddress) -> MasterFailure {
        if error.isTaken {
            let owner = PortOwner.find(address).map { " by \($0.name) (pid \($0.pid))" } ?? ""
            return MasterFailure(.taken, "\(address) is taken\(owner)")
        }
        if error.isPermission, let port = address.port, port < 1024 {
            return MasterFailure(
                .permission,
                "\(address): ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; "
                    + "a higher port needs neither")
        }
        return MasterFailure(error, while: "cannot listen on \(address)")
    }
}
