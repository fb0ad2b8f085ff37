package import Board
package import Linux
package import Signals

/// What was counted of a plug-in before its host was started again.
package struct PluginPast: Equatable, Sendable {
    package var dropped: UInt64
    package var failures: UInt64
    package var restarts: UInt64

    package init(dropped: UInt64 = 0, failures: UInt64 = 0, restarts: UInt64 = 0) {
        self.dropped = dropped
        self.failures = failures
        self.restarts = restarts
    }

    /// Reads the figures that a host told its master, by name.
    package static func all(_ figures: JSONValue?) -> [String: PluginPast] {
        var all: [String: PluginPast] = [:]
        for plugin in figures?.elements ?? [] {
            guard let name = plugin["name"]?.text else { continue }
            func count(_ key: String) -> UInt64 { UInt64(max(0, plugin[key]?.whole ?? 0)) }
            all[name] = PluginPast(
                dropped: count("dropped"), failures: count("failures"),
                restarts: count("restarts"))
        }
        return all
    }
}

/// All that a plug-in host works with; descriptors become the host's.
package struct PluginHostResources: ~Copyable {
    /// To the master.
    package var control: MessageSocket
    /// Mapped read-only.
    package var rings: SignalRings
    package var readers: SleepingReaders
    /// This host's number among the readers.
    package var reader: Int
    /// The eventfd that writers make readable when this host sleeps.
    package var wake: Descriptor
    /// The error log.
    package var errors: Descriptor
    package var level: EventLevel
    package var format: EventLine.Format
    package var plugins: [PluginOptions]
    /// The folder of the configuration, where plug-ins start.
    package var folder: String?
    /// `PROXY_RUNTIME`.
    package var runtime: String
    /// `NAME=value` entries for plug-ins.
    package var environment: [String]
    /// Words in front of each command: a guard that ends the plug-in when this host is killed;
    /// empty for none.
    package var launcher: [String]
    package var times = PluginTimes()
    /// What the host before this one, which was killed, had counted of each plug-in.
    package var past: [String: PluginPast] = [:]

    package init(
        control: consuming MessageSocket, rings: SignalRings, readers: SleepingReaders,
        reader: Int, wake: consuming Descriptor, errors: consuming Descriptor,
        plugins: [PluginOptions], folder: String?, runtime: String,
        level: EventLevel = .info, format: EventLine.Format = .json,
        environment: [String] = ProcessTraits.environment, launcher: [String] = []
    ) {
        self.control = control
        self.rings = rings
        self.readers = readers
        self.reader = reader
        self.wake = wake
        self.errors = errors
        self.level = level
        self.format = format
        self.plugins = plugins
        self.folder = folder
        self.runtime = runtime
        self.environment = environment
        self.launcher = launcher
    }
}
