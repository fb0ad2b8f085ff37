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
}
