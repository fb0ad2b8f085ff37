import ArgumentParser
import Board
import Configuration
import Demo
import Edge
import Linux
import Memory
import Plugins
import Signals
import Supervision

/// Runs a child of the master; `arguments` begin with `--role`.
func runRole(_ arguments: [String]) -> ExitCode {
    let words = Array(arguments.dropFirst(2))
    let role = arguments.dropFirst().first
    // The others become another program.
    if let role, ["edge", "worker", "plugins", "resolve", "guard"].contains(role) {
        SignalQueue.leaveToMaster()
    }
    switch role {
    case "edge": return ExitCode(runEdge())
    case "worker": return ExitCode(runWorker())
    case "plugins": return ExitCode(runPlugins())
    case "plugin": return ExitCode(runPlugin(words))
    case "resolve": return ExitCode(runResolve())
    case "guard": return ExitCode(runGuard())
    case "program": return ExitCode(runProgram())
    case "listen": return ExitCode(runListen(words))
    default:
        Output.error("proxy: there is no role \(role ?? "")\n")
        return .usage
    }
}

/// A worker of the built-in demo app.
private func runWorker() -> Int32 {
    do {
        let sheet = try RoleSheet.ofThisProcess()
        guard let listener = sheet.takeDescriptor("listener"),
            let control = sheet.takeDescriptor("control"), let busy = sheet.takeDescriptor("busy"),
            let service = sheet["service"], let slot = sheet.integer("worker"),
            let concurrency = sheet.integer("concurrency"),
            let offset = sheet.integer("busy_offset")
        else {
            Output.error("worker: the role sheet is not whole\n")
            return 1
        }
        try sheet.settle(as: "proxy: \(service)/\(slot)")
        return try runDemoWorker(
            DemoWorker(service: service, slot: slot, concurrency: concurrency, busyOffset: offset),
            listener: listener, control: control,
            busy: SharedRegion(mapping: busy.number, access: .readWrite))
    } catch {
        Output.error("worker: \(error)\n")
        return 1
    }
}

/// The plug-in host.
private func runPlugins() -> Int32 {
    do {
        let sheet = try RoleSheet.ofThisProcess()
        guard let configurationFile = sheet.takeDescriptor("configuration"),
            let control = sheet.takeDescriptor("control"),
            let rings = sheet.takeDescriptor("rings"),
            let readers = sheet.takeDescriptor("readers"),
            let wake = sheet.takeDescriptor("wake"), let errors = sheet.takeDescriptor("errors"),
            let reader = sheet.integer("reader"), let runtime = sheet["runtime"],
            let configuration = EffectiveConfiguration(
                lines: String(decoding: try configurationFile.readAll(), as: UTF8.self))
        else {
            Output.error("plugins: the role sheet is not whole\n")
            return 1
        }
        // It has plug-ins to end when the master is gone, so its own end must not be sudden.
        try sheet.settle(as: "proxy: plugins", endsWithParent: false)
        let format: EventLine.Format = ProcessTraits.isTerminal(errors.number) ? .text : .json
        var resources = PluginHostResources(
            control: MessageSocket(owning: control),
            rings: try SignalRings(SharedRegion(mapping: rings.number, access: .readOnly)),
            readers: try SleepingReaders(
                SharedRegion(mapping: readers.number, access: .readWrite)),
            reader: reader, wake: wake, errors: errors,
            plugins: PluginOptions.all(configuration), folder: sheet["folder"],
            runtime: runtime, level: EventLevel(LogOptions(configuration).level),
            format: format,
            launcher: ["/proc/self/exe", "--role", "plugin", "\(ProcessTraits.pid)"])
        resources.past = PluginPast.all(
            sheet["past"].flatMap { JSONValue(parsing: Array($0.utf8)) })
        try runPluginHost(resources)
        return 0
    } catch {
        Output.error("plugins: \(error)\n")
        return 1
    }
}

/// Becomes a plug-in's program; the first word is the host's process id.
private func runPlugin(_ words: [String]) -> Int32 {
    guard let parent = words.first.flatMap({ Int32($0) }), words.count > 1 else { return 2 }
    let command = Array(words.dropFirst())
    let error = becomePlugin(command, parent: parent)
    Output.error("\(command[0]): \(error)\n")
    return error.number == 2 ? 127 : 126
}

extension EventLevel {
    /// The least severe level of a configuration.
    fileprivate init(_ level: LogOptions.Level) {
        self =
            switch level {
            case .debug: .debug
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
    }
}
