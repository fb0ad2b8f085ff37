internal import Configuration
internal import Linux
internal import Routing

/// The listening sockets: made by the master, inherited by edges, and never closed while their
/// listener is configured.
///
/// Sockets of a new configuration are bound first and listen only when it counts, because a socket
/// that listens gets connections, and until then nobody would accept them. Those of a listener that
/// is gone turn clients away, until edges have taken what waits in their queues; then they close.
final class ListenerSockets {
    /// One address of one listener, with a socket for each edge there has ever been.
    final class Bound {
        /// What the configuration asked for; port 0 asks for any.
        let requested: SocketAddress
        /// With the real port.
        let address: SocketAddress
        fileprivate(set) var sockets: [OpenFile]
        /// How many of the first `sockets` listen.
        fileprivate var listening = 0

        fileprivate init(_ requested: SocketAddress, _ first: borrowing ListeningSocket)
            throws(SystemError)
        {
            self.requested = requested
            address = first.address
            sockets = [OpenFile(owning: try first.descriptor.duplicate())]
        }

        /// The same sockets, to which others can be added and taken back.
        fileprivate init(keeping other: Bound) {
            (requested, address) = (other.requested, other.address)
            (sockets, listening) = (other.sockets, other.listening)
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
    /// Sockets that turn clients away, until `closeLeaving`.
    private var leaving: [OpenFile] = []

    /// Binds what a configuration wants and we do not have yet; `adopt` makes it count.
    ///
    /// Nothing changes for clients: what is made does not listen, and closes unless it is adopted.
    /// Code 69 names the owner of a taken port.
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
                    bound.append(Bound(keeping: known.remove(at: index)))
                    continue
                }
                // Both families of one listener with port 0 share the port the first one got.
                let port = options.url.port == 0 ? bound.first?.address.port : nil
                let fresh = try bind(requested, port: port, isOptional: !bound.isEmpty)
                if let fresh { bound.append(fresh) }
            }
            for one in bound { try Self.complete(one, options, edges: front.edges) }
            prepared.append(Listener(options: options, bound: bound))
        }
        return prepared
    }

    /// Makes what `prepare` gave the listeners that serve; what is left over leaves.
    ///
    /// On failure those that served before still do.
    func adopt(_ prepared: [Listener]) throws(MasterFailure) {
        let all = prepared.flatMap { listener in listener.bound.map { (listener.options, $0) } }
        // A port can still be lost to somebody else; one where we listen already cannot.
        let ordered =
            all.filter { $0.1.listening == 0 } + all.filter { $0.1.listening > 0 }
        for (options, bound) in ordered {
            do throws(SystemError) {
                for socket in bound.sockets {
                    try ListeningSocket.startListening(socket.number, backlog: options.backlog)
                }
            } catch {
                throw Self.failure(error, bound.address)
            }
            bound.listening = bound.sockets.count
        }
        let kept = Set(all.flatMap { $0.1.sockets }.map(ObjectIdentifier.init))
        let old = listeners.flatMap(\.bound).flatMap(\.sockets)
        listeners = prepared
        leave(old.filter { !kept.contains(ObjectIdentifier($0)) })
    }

    /// Turns everybody away: the proxy stops.
    func retire() { leave(listeners.flatMap(\.bound).flatMap(\.sockets)) }

    /// Nobody accepts from the sockets that leave any more: clients are refused from now on.
    ///
    /// Old edges hold copies for as long as they drain, so it is not enough to let go of ours.
    func closeLeaving() {
        for socket in leaving { ListeningSocket.stopListening(socket.number) }
        leaving = []
    }

    /// Lets go of every port: nobody serves any more.
    func close() {
        closeLeaving()
        listeners = []
    }

    private func leave(_ sockets: [OpenFile]) {
        for socket in sockets { try? ListeningSocket.turnAway(socket.number) }
        leaving += sockets
    }

    private static func addresses(of url: ListenURL) -> [SocketAddress] {
        url.addresses.compactMap { SocketAddress(address: $0.description, port: url.port) }
    }

    /// Binds an address for the first time; nil when its family is not there and need not be.
    private func bind(
        _ requested: SocketAddress, port: UInt16?, isOptional: Bool
    ) throws(MasterFailure) -> Bound? {
        var wanted = requested
        if let port { wanted = SocketAddress(address: wanted.text, port: port) ?? wanted }
        do throws(SystemError) {
            if wanted.port != 0 { try checkFree(wanted) }
            return try Bound(requested, ListeningSocket(bound: wanted))
        } catch {
            // No IPv6 on this machine.
            if isOptional, error.number == 97 || error.number == 99 { return nil }
            throw Self.failure(error, wanted)
        }
    }

    /// Sharing a port is allowed to every process of our user, so it is asked first whether
    /// somebody else listens there. Our own sockets are in the way of nobody: `*:443` may follow
    /// `127.0.0.1:443`.
    private func checkFree(_ address: SocketAddress) throws(SystemError) {
        do throws(SystemError) {
            try ListeningSocket.checkFree(address)
        } catch {
            let ours = listeners.flatMap(\.bound).flatMap(\.sockets).map(\.number)
            guard error.isTaken, PortOwner.isShared(address, only: ours) else { throw error }
        }
    }

    /// Makes the sockets that are missing for this many edges.
    private static func complete(
        _ bound: Bound, _ options: FrontOptions.Listener, edges: Int
    ) throws(MasterFailure) {
        let count = options.reusesPort ? edges : 1
        while bound.sockets.count < count {
            do throws(SystemError) {
                let socket = try ListeningSocket(bound: bound.address)
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
