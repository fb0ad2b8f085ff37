import Configuration

@testable import proxy

/// A machine that answers as a test wants it.
func sampleHost(
    folder: String = "/", cores: Int = 4, isRoot: Bool = false, mayBindLow: Bool = false,
    openFiles: UInt64 = 1 << 20, environment: [String: String] = [:]
) -> HostFacts {
    let variables = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/me"]
    return HostFacts(
        cores: cores, isRoot: isRoot, userName: "me",
        environment: variables.merging(environment) { $1 }, workingFolder: folder,
        mayListen: { _, port in mayBindLow || port >= 1024 },
        interpreterFault: { program, _ in Interpreter.fault(of: program, as: nil) },
        openFiles: { min($0, openFiles) })
}

/// Loads a text as the file `f` in `folder`.
func load(_ yaml: String, host: HostFacts = sampleHost()) -> LoadedConfiguration {
    ConfigurationLoading(host: host).load(yaml: Array(yaml.utf8), file: "f")
}

/// The findings of a text, one a line.
func findings(_ yaml: String, host: HostFacts = sampleHost()) -> [String] {
    load(yaml, host: host).diagnostics.map(\.description)
}
