import ArgumentParser
import Linux

/// `proxy reload`: a running proxy reads its configuration anew.
struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Read the configuration anew; on any error the old one serves on.")

    @OptionGroup var control: ControlOptions

    @Flag(
        name: .long,
        help: "Replace the app workers too, one by one, by others with the code of now.")
    var apps = false

    func run() throws {
        let result = try control.send(["command": "reload", "apps": .bool(apps)])
        let generation = result["generation"]?.whole ?? 0
        var text = "generation \(generation)"
        if let services = result["services"]?.text { text += "; \(services)" }
        if let rolled = result["rolled"]?.elements, !rolled.isEmpty {
            text += "; rolled \(rolled.compactMap(\.text).joined(separator: ", "))"
        }
        control.print(result, orText: text + "\n")
    }
}
