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

    func validate() throws {
        if schema, key != nil { throw ValidationError("--schema goes without a key.") }
    }

    func run() throws {
        if schema { return Output.standard(Schema.proxy.json) }
        guard let key else { return Output.standard(Schema.proxy.manual) }
        guard let page = Schema.proxy.manual(for: key) else {
            let near = Schema.proxy.nearestKey(to: key).map { "; did you mean \($0)?" } ?? ""
            Output.error("proxy: there is no key \(key)\(near)\n")
            throw ExitCode.failure
        }
        Output.standard(page)
    }
}
