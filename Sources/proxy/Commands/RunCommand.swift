import ArgumentParser
import Configuration
import Linux
import Routing

/// `proxy --conf FILE`: runs; with `-t` or `-T` it only reads the configuration.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run, or check or print a configuration.")

    @Option(name: .long, help: "The configuration file.")
    var conf: String?

    @Option(
        name: .long,
        help: "Run a Python app without a file: module:attribute, from this folder.")
    var app: String?

    @Option(name: .long, help: "With --app: worker processes.")
    var workers: String?

    @Option(name: .long, help: "With --app: threads of each worker.")
    var threads: String?

    @Option(name: .long, help: "With --app: a URL to listen on, or auto; may be repeated.")
    var listen: [String] = []

    @Flag(name: [.customShort("t"), .long], help: "Check the configuration and end.")
    var test = false

    @Flag(
        name: [.customShort("T"), .long],
        help: "Print the configuration with everything decided (and env), as YAML, and end.")
    var printConfig = false

    @Flag(name: .long, help: "With --test: the findings as a JSON list.")
    var json = false

    func validate() throws {
        guard (conf == nil) != (app == nil) else {
            throw ValidationError(
                conf == nil
                    ? "Give --conf FILE, or --app module:callable."
                    : "--conf and --app exclude each other.")
        }
        if app == nil, workers != nil || threads != nil || !listen.isEmpty {
            throw ValidationError(
                "--workers, --threads and --listen go with --app; with --conf write them there.")
        }
        if json, !test { throw ValidationError("--json goes with --test.") }
        if test, printConfig {
            throw ValidationError("--test and --print-config exclude each other.")
        }
    }

    func run() throws {
        if !test, !printConfig { SignalQueue.holdSteering() }
        let loaded = load()
        if test { throw check(loaded) }
        // Of a good one that is to run, the master's log says the warnings, one event each.
        if printConfig || loaded.effective == nil { Output.error(loaded.diagnostics.report) }
        guard let effective = loaded.effective else { throw ExitCode.configuration }
        if printConfig {
            Output.standard("# \(loaded.file), with everything decided\n")
            return Output.standard(Schema.proxy.yaml(effective))
        }
        throw runMaster(loaded, isApp: app != nil, reload: { [self] in load(isReload: true) })
    }

    /// Reads the file, or makes a configuration of the flags.
    ///
    /// At a reload no interpreter is tried: the master waits for nothing, and a new zygote tells
    /// the same.
    private func load(isReload: Bool = false) -> LoadedConfiguration {
        var host = HostFacts.current()
        if isReload { host.interpreterFault = { _, _ in nil } }
        let loading = ConfigurationLoading(host: host)
        if let conf { return loading.load(file: conf) }
        return loading.load(texts: texts())
    }

    /// What `--app` means: one service, loopback listeners with a certificate of our own CA.
    private func texts() -> [(path: [String], text: String)] {
        var texts = (listen.isEmpty ? ["auto"] : listen).enumerated().map { number, url in
            (path: ["listen", String(number), "url"], text: url)
        }
        texts.append((["tls", "dev_ca"], "true"))
        texts.append((["services", "app", "app"], app ?? ""))
        if let workers { texts.append((["services", "app", "workers"], workers)) }
        if let threads { texts.append((["services", "app", "threads"], threads)) }
        return texts
    }

    /// Reports what was found, and gives the exit code.
    private func check(_ loaded: LoadedConfiguration) -> ExitCode {
        if json {
            Output.standard(loaded.diagnostics.json + "\n")
        } else {
            Output.error(loaded.diagnostics.report)
            if loaded.effective != nil { Output.standard("\(loaded.file): ok\n") }
        }
        return loaded.effective == nil ? .configuration : .success
    }
}
