import ArgumentParser
import Linux

/// `proxy stop`: a running proxy finishes what it has and ends.
struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Let a running proxy finish what it has, and end.")

    @OptionGroup var control: ControlOptions

    func run() throws {
        control.print(try control.send(["command": "stop"]), orText: "stopped\n")
    }
}
