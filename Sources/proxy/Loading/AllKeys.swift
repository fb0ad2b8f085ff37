import Configuration
import Edge
import Routing
import Signals
import Supervision
import TLS

extension Schema {
    /// Every key of every room, in the order in which a configuration is printed.
    static let proxy = Schema([
        FrontOptions.keys, EdgeOptions.keys, MasterOptions.keys, DirectoryOptions.keys,
        TLSOptions.keys, ServiceOptions.keys, PoolOptions.keys, RouteOptions.keys,
        PluginOptions.keys, LogOptions.keys, laterGroups,
    ])

    /// Groups of a later version that have no key yet.
    private static let laterGroups = Keys(
        [],
        later: [
            "http", "http2", "http3", "metrics", "dashboard", "cache", "files", "journal",
            "shared", "dev", "bench", "include", "certificates", "signals",
        ])
}
