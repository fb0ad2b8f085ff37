import ArgumentParser
import Configuration
import Linux
import Supervision

/// Becomes the master of a checked configuration, and returns the exit code once everything has
/// ended.
///
/// - Parameters:
///   - isApp: the command line was `--app`.
///   - reload: reads and checks the same configuration anew, for HUP.
func runMaster(
    _ loaded: LoadedConfiguration, isApp: Bool, reload: @escaping () -> LoadedConfiguration
) -> ExitCode {
    var first: LoadedConfiguration? = loaded
    let code = Master.run(
        Master.Manner(isApp: isApp, version: proxyVersion, renew: renewed) {
            let loaded = first ?? reload()
            first = nil
            return reading(of: loaded)
        })
    return ExitCode(code)
}

/// What the master obeys: the configuration, and the files that only it may read.
private func reading(of loaded: LoadedConfiguration) -> Result<MasterReading, MasterFailure> {
    guard let effective = loaded.effective else {
        let count = loaded.diagnostics.errorCount
        return .failure(
            MasterFailure(
                .configuration, count == 1 ? "1 error" : "\(count) errors",
                diagnostics: loaded.diagnostics))
    }
    do throws(MasterFailure) {
        let files = try CertificateReading(
            of: effective, now: Int64(Linux.Clock.wall / 1_000_000_000))
        return .success(
            MasterReading(
                configuration: effective, certificates: files.encoded, renewAt: files.renewAt,
                folder: loaded.folder, warnings: loaded.diagnostics, notices: loaded.notices))
    } catch {
        return .failure(error)
    }
}
