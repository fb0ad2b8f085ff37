package import Configuration

/// The folders the processes share; absolute paths.
public struct DirectoryOptions: Sendable, Equatable {
    /// Sockets and the files of the Python host; emptied at start.
    public var runtime: String
    /// What outlives a restart: the development CA.
    public var state: String
    /// Bodies that do not stay in memory.
    public var spool: String
}

extension DirectoryOptions {
    /// Reads the effective configuration.
    package init(_ configuration: EffectiveConfiguration) {
        runtime = configuration.value(Self.runtime)!
        state = configuration.value(Self.state)!
        spool = configuration.value(Self.spool)!
    }
}

extension DirectoryOptions {
    package static let runtime = Setting(
        optional: "directories.runtime", .path("a folder"),
        found: "/run/proxy as root, else proxy under $XDG_RUNTIME_DIR",
        "sockets and what lives as long as the proxy", example: "/run/proxy")
    package static let state = Setting(
        optional: "directories.state", .path("a folder"),
        found: "/var/lib/proxy as root, else ~/.local/share/proxy",
        "what outlives a restart", example: "/var/lib/proxy")
    package static let spool = Setting(
        optional: "directories.spool", .path("a folder"), found: "spool in directories.state",
        "bodies that are too large for memory", example: "/var/spool/proxy")

    package static let keys = Keys(
        [runtime.declaration, state.declaration, spool.declaration],
        shapes: [Shape("directories", "folders of the proxy's own")])
}
