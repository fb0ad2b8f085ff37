/// How long the steps of a plug-in's life take, in nanoseconds (contract section 6).
package struct PluginTimes: Equatable, Sendable {
    /// At a stop: for the lines that wait.
    package var drain: UInt64 = 2_000_000_000
    /// From the end of its input to TERM.
    package var afterEnd: UInt64 = 1_000_000_000
    /// From TERM to KILL.
    package var afterTerminate: UInt64 = 1_000_000_000
    /// Before it is started again the first time; doubled each time.
    package var firstWait: UInt64 = 100_000_000
    /// The longest wait before it is started again.
    package var longestWait: UInt64 = 30_000_000_000
    /// So many failures within `failureWindow` mute it.
    package var failuresMax = 10
    package var failureWindow: UInt64 = 300_000_000_000
    /// `plugin_dropped` and `plugin_failed` are said this often at most.
    package var reportInterval: UInt64 = 1_000_000_000

    package init() {}
}
