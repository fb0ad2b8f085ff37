import ArgumentParser
import Configuration

/// Becomes the master of a checked configuration, and returns the exit code once everything has ended.
///
/// - Parameter reload: reads and checks the same configuration anew, for HUP.
func runMaster(
    _ loaded: LoadedConfiguration, reload: @escaping @Sendable () -> LoadedConfiguration
) -> ExitCode {
    Output.error("proxy: this build has no master yet; -t and -T check and print \(loaded.file)\n")
    return .failure
}

/// Runs a child of the master; `arguments` begin with `--role`.
func runRole(_ arguments: [String]) -> ExitCode {
    Output.error("proxy: this build has no role \(arguments.dropFirst().first ?? "")\n")
    return .failure
}
