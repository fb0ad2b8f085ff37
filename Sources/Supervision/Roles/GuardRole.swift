internal import Linux

/// The process between the master and a `command:` program: it starts the program and ends its
/// whole process group when the master says so, has died, or the program itself has ended.
///
/// Roles are started by the master alone; their exit codes go to its log.
package func runGuard() -> Int32 {
    do throws(SystemError) {
        let sheet = try RoleSheet.ofThisProcess()
        guard let control = sheet.takeDescriptor("control") else { return 1 }
        var listener: OpenFile?
        if let inherited = sheet.takeDescriptor("listener") {
            listener = OpenFile(owning: inherited)
        }
        let title = "\(sheet["service"] ?? "")/\(sheet["worker"] ?? "")"
        // Its death must not be sudden: it has a group to end. It sees the end of its channel
        // instead.
        try sheet.settle(as: "guard \(title)", endsWithParent: false)
        return try ProgramGuard(sheet, MessageSocket(owning: control), listener).run()
    } catch {
        return 1
    }
}

private struct ProgramGuard: ~Copyable {
    private let sheet: RoleSheet
    private let control: MessageSocket
    private let listener: OpenFile?

    init(_ sheet: RoleSheet, _ control: consuming MessageSocket, _ listener: OpenFile?) {
        self.sheet = sheet
        self.control = control
        self.listener = listener
    }

    private static let controlToken: UInt64 = 0
    private static let programToken: UInt64 = 1

    func run() throws(SystemError) -> Int32 {
        let program: ChildProcess
        do throws(SystemError) {
            program = try start()
        } catch {
            tell(["event": "failed", "error": .string("\(sheet.words.first ?? ""): \(error)")])
            return 127
        }
        tell(["event": "started", "pid": .whole(program.pid)])
        let poller = try Poller()
        try poller.addLevel(control.number, token: Self.controlToken)
        try poller.addLevel(program.descriptor.number, token: Self.programToken)
        while true {
            let count = try poller.wait(milliseconds: -1)
            for index in 0..<count {
                if poller.event(index).token == Self.programToken {
                    // What it started and left behind ends with it; before it is reaped, after
                    // which its number may be somebody else's.
                    program.sendToGroup(SignalNumber.kill)
                    guard let end = program.reap() else { continue }
                    tell(["event": "exited", "status": .whole(end.raw)])
                    return 0
                }
                if poller.event(index).token == Self.controlToken { try obey(program) }
            }
        }
    }

    private func start() throws(SystemError) -> ChildProcess {
        let words = sheet.words
        guard let program = words.first else { throw SystemError("posix_spawn", number: 22) }
        if let mask = sheet["umask"].flatMap({ UInt32($0, radix: 8) }) {
            ProcessTraits.setFileMask(mask)
        }
        var environment = sheet.environment
        sheet.adoptPath()
        var launch: ProcessLaunch
        if listener != nil {
            // LISTEN_PID has to be the program's own number, which only the program's process
            // knows.
            environment.append("LISTEN_FDS=1")
            launch = ProcessLaunch(
                program: "/proc/self/exe", arguments: ["proxy", "--role", "listen"] + words,
                environment: environment)
        } else {
            launch = ProcessLaunch(program: program, arguments: words, environment: environment)
        }
        launch.folder = sheet["folder"]
        launch.give(1, as: 1)
        launch.give(2, as: 2)
        if let listener { launch.give(listener.number, as: 3) }
        return try launch.start()
    }

    private func obey(_ program: borrowing ChildProcess) throws(SystemError) {
        switch try control.receive() {
        case .nothing: break
        case .closed: program.sendToGroup(SignalNumber.kill)
        case .packet(let bytes, _):
            switch JSONValue(parsing: bytes)?["command"]?.text {
            case "drain": program.send(SignalNumber.term)
            case "kill": program.sendToGroup(SignalNumber.kill)
            default: break
            }
        }
    }

    private func tell(_ event: JSONValue) { _ = try? control.send(event.bytes) }
}

/// Becomes a program that takes its listening socket by the `LISTEN_FDS` protocol
/// (sd_listen_fds(3)).
///
/// - Parameter words: the program and its arguments.
package func runListen(_ words: [String]) -> Int32 {
    guard let program = words.first else { return 2 }
    let environment =
        ProcessTraits.environment.filter { !$0.hasPrefix("LISTEN_PID=") }
        + ["LISTEN_PID=\(ProcessTraits.pid)"]
    let error = ProcessLaunch.become(program, arguments: words, environment: environment)
    _ = Descriptor.writeNow(Array("\(program): \(error)\n".utf8).span, to: 2)
    return error.number == 2 ? 127 : 126
}
