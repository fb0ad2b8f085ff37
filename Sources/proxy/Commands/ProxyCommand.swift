import ArgumentParser
import Configuration

/// `proxy`: the command line's root.
struct ProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "A reverse proxy that runs your app: HTTPS, prefork workers, plug-ins.",
        usage: """
            proxy --conf FILE
            proxy --app module:callable
            proxy -t --conf FILE
            proxy reload [--apps] | stop | status [--json]
            proxy manual [KEY]
            """,
        version: "proxy \(proxyVersion)",
        subcommands: [
            RunCommand.self, ReloadCommand.self, StopCommand.self, StatusCommand.self,
            ManualCommand.self,
        ],
        defaultSubcommand: RunCommand.self)

    /// What is wrong with a first word that is neither a command nor an option; the default command
    /// would blame what is missing behind it.
    static func unknownCommand(_ word: String?) -> String? {
        let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        guard let word, !word.hasPrefix("-"), !names.contains(word) else { return nil }
        let near = nearestName(to: word, among: names).map { "; did you mean \($0)?" } ?? ""
        return "there is no command \(word), only \(names.joined(separator: ", "))\(near)"
    }
}
