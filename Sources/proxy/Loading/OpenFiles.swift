import Configuration
import Routing

/// How many open files an edge needs for the connections it may have, and how many connections they
/// allow.
struct OpenFiles {
    /// Connections that every machine has to give: below it a default is not lowered but refused.
    static let connectionsMin = 1024
    /// What an edge has open beside connections: listeners, shared memory, logs, channels to the
    /// master, idle connections to workers, and some files of the spool.
    private static let beside = 256

    let connections: Int
    let edges: Int
    /// Requests that can be at workers and upstreams at once.
    private let capacity: Int

    /// Nil where something it depends on was refused.
    init?(_ configuration: Configuration) {
        guard let connections = configuration.value(FrontOptions.connectionsMax),
            let edges = configuration.value(FrontOptions.edgeCount) ?? nil
        else { return nil }
        self.connections = connections
        self.edges = edges
        capacity = configuration.names("services.*").map { name in
            ServiceOptions.capacity(of: name, configuration)
        }.reduce(0, +)
    }

    /// Open files of one edge: its clients, their other ends as far as there can be so many, and
    /// the rest.
    var needed: Int {
        let share = (connections + edges - 1) / edges
        return share + min(share, capacity) + Self.beside
    }

    /// What an edge needs for one connection and its other end: with less, no
    /// `limits.connections` helps.
    static let neededLeast = beside + 2

    /// The most connections, over all edges, that fit into a limit of open files.
    func connections(within limit: UInt64) -> Int {
        let room = max(0, Int(min(limit, 1 << 40)) - Self.beside)
        let share = max(room / 2, room - capacity)
        return share * edges
    }
}
