import ArgumentParser
import Configuration

/// `proxy manual [KEY]`: every key of the configuration, or all about one.
struct ManualCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manual", abstract: "Explain the keys of the configuration.")

    @Argument(help: "A key, such as services.*.workers, or its end, such as workers.")
    var key: String?

    @Flag(name: .long, help: "The JSON schema of configuration files, for editors.")
    var schema = false

    @Flag(name: .long, help: "As a JSON list, for programs.")
    var json = false

    func validate() throws {
        if schema, json { throw ValidationError("--schema and --json exclude each other.") }
        if schema, key != nil { throw ValidationError("--schema goes without a key.") }
    }

    func run() throws {
        if schema { return Output.standard(Schema.proxy.json) }
        if let page = page { return Output.standard(page) }
        let key = key ?? ""
        let near = Schema.proxy.nearestKey(to: key).map { "; did you mean \($0)?" } ?? ""
        let failure = ControlFailure(exit: 1, message: "proxy: there is no key \(key)\(near)")
        failure.report(asJSON: json)
        throw ExitCode.failure
    }

    /// Nil where there is no such key.
    private var page: String? {
        if json { return Schema.proxy.manualJSON(for: key) }
        return key.map { Schema.proxy.manual(for: $0) } ?? Schema.proxy.manual
    }
}
