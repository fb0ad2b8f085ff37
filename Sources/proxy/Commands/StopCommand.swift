import ArgumentParser
import Linux

/// `proxy stop`: a running proxy finishes what it has and ends.
struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Let a running proxy finish what it has, and end.")

    @OptionGroup var control: ControlOptions

    func run() throws {
        _ = try control.client.send(["command": "stop"])
        Output.standard("stopped\n")
    }
}
