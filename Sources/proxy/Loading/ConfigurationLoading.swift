import Configuration
import Linux
import Routing
import Signals

/// Reads, resolves and checks configurations; the master does it again on each reload.
struct ConfigurationLoading: Sendable {
    var host: HostFacts

    init(host: HostFacts = .current()) { self.host = host }

    /// Reads a file. One that cannot be read is a diagnostic too.
    func load(file: String) -> LoadedConfiguration {
        let path = absolutePath(file, in: host.workingFolder)
        do {
            let status = try FileSystem.status(of: path)
            if status.isFolder { return failure(file, "is a folder; name the file in it") }
            return load(yaml: try FileSystem.read(path), file: file)
        } catch {
            return failure(file, "cannot be read: \(HostChecks.reason(error))")
        }
    }

    /// Takes the bytes of a file that is named `file`.
    func load(yaml bytes: [UInt8], file: String) -> LoadedConfiguration {
        let path = absolutePath(file, in: host.workingFolder)
        let (configuration, diagnostics) = Schema.proxy.read(
            yaml: bytes, file: file, folder: absolutePath("..", in: path),
            environment: host.environment)
        return finish(configuration, diagnostics)
    }

    /// Makes a configuration of what a command line says.
    func load(texts: [(path: [String], text: String)]) -> LoadedConfiguration {
        let (configuration, diagnostics) = Schema.proxy.read(
            texts: texts, folder: host.workingFolder)
        return finish(configuration, diagnostics)
    }

    /// Resolves and checks. A file whose YAML could not be read has nothing more to say.
    private func finish(
        _ configuration: Configuration, _ diagnostics: [Diagnostic]
    ) -> LoadedConfiguration {
        var configuration = configuration
        var diagnostics = diagnostics
        var resolution = Resolution(host: host)
        let isReadable = configuration.isWritten("services") || configuration.has("services")
        if isReadable {
            resolution.resolve(&configuration)
            diagnostics += FrontOptions.check(configuration)
            diagnostics += ServiceOptions.check(configuration)
            diagnostics += RouteOptions.check(configuration)
            diagnostics += PluginOptions.check(configuration)
            diagnostics += CertificateFiles.check(
                configuration, now: Int64(Linux.Clock.wall / 1_000_000_000))
            diagnostics += HostChecks.check(configuration, host: host)
        }
        return LoadedConfiguration(
            effective: diagnostics.hasErrors ? nil : configuration.effective,
            diagnostics: diagnostics.inOrder(), notices: resolution.notices,
            file: configuration.file, folder: configuration.folder)
    }

    private func failure(_ file: String, _ message: String) -> LoadedConfiguration {
        LoadedConfiguration(
            effective: nil,
            diagnostics: [Diagnostic(file: file, position: nil, message: message)],
            file: file, folder: host.workingFolder)
    }
}
