package import Configuration
public import Routing
public import Signals

/// What the master itself obeys.
public struct MasterOptions: Sendable, Equatable {
    public var front: FrontOptions
    /// Whom edges and workers run as; nil: who started us.
    public var user: String?
    public var group: String?
    public var directories: DirectoryOptions
    /// The path of the control socket.
    public var adminSocket: String
}

extension MasterOptions {
    /// Reads the effective configuration.
    package init(_ configuration: EffectiveConfiguration) {
        front = FrontOptions(configuration)
        user = configuration.value(Self.user)
        group = configuration.value(Self.group)
        directories = DirectoryOptions(configuration)
        adminSocket = configuration.value(Self.adminSocket)!
    }
}

extension MasterOptions {
    package static let user = Setting(
        optional: "user", .text("a user name"), found: "nobody when started as root",
        "whom edges and workers run as", example: "www-data")
    package static let group = Setting(
        optional: "group", .text("a group name"), found: "the user's",
        "the group edges and workers run as", example: "www-data")
    package static let adminSocket = Setting(
        optional: "admin.socket", .path("a socket"), found: "admin.sock in directories.runtime",
        "where proxy reload, stop and status are answered", example: "/run/proxy/admin.sock")

    package static let keys = Keys(
        [user.declaration, group.declaration, adminSocket.declaration],
        shapes: [Shape("admin", "how a running proxy is spoken to")],
        later: ["admin.dashboard", "admin.metrics", "admin.mode", "admin.group"])
}
