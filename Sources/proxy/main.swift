import ArgumentParser

let arguments = Array(CommandLine.arguments.dropFirst())
// A child of the master: it takes no options, and needs no parser.
if arguments.first == "--role" { ProxyCommand.exit(withError: runRole(arguments)) }
if let fault = ProxyCommand.unknownCommand(arguments.first) {
    Output.error("Error: \(fault)\n")
    ProxyCommand.exit(withError: ExitCode.usage)
}
do {
    var command = try ProxyCommand.parseAsRoot(arguments)
    try command.run()
} catch {
    let code = ProxyCommand.exitCode(for: error)
    let message = ProxyCommand.fullMessage(for: error)
    if !message.isEmpty {
        code.isSuccess ? Output.standard(message + "\n") : Output.error(message + "\n")
    }
    ProxyCommand.exit(withError: code == .validationFailure ? ExitCode.usage : code)
}
