internal import Linux

/// A Python process that has imported, or is importing, an app, and forks workers of it.
final class Zygote {
    let process: ProcessHold
    private(set) var channel: Channel?
    private var output: OutputReader?
    let startedAt: UInt64
    /// When it is ended unless the app is imported.
    var deadline: UInt64?
    /// It has said that the import failed, and need not say it again by ending.
    var hasFailed = false

    /// Starts it: `PYTHON HOST/proxyapp/zygote.py`, as the app's user from its first instruction
    /// on, for a venv may well be the app's own.
    init(
        interpreter: String, host: String, environment: [String], account: Account?,
        on site: MasterSite, source: String, received: @escaping (Zygote, JSONValue) -> Void,
        ended: @escaping (Zygote, ProcessEnd?) -> Void
    ) throws(SystemError) {
        let control = try ChannelEnds()
        let printed = try OutputEnds()
        var role = RoleLaunch(role: "program", environment: MasterSite.environment)
        role.run(as: account)
        role.set("title", "zygote \(source)")
        let number = role.give(control.theirs.number, as: "control")
        role.run(
            [interpreter, "\(host)/proxyapp/zygote.py"],
            environment: environment + ["PROXY_CONTROL_FD=\(number)"])
        role.output = printed.theirs.number
        process = ProcessHold(try role.start())
        startedAt = Clock.monotonic
        output = try OutputReader(printed.ours, on: site.loop) { text in
            site.log.output(of: source, text)
        }
        channel = try Channel(
            control.ours, on: site.loop,
            received: { [unowned self] message in received(self, message) })
        site.children.register(process.pid) { [self] end in
            // What it said last may still be there.
            channel?.drainPackets()
            output?.read()
            ended(self, end)
        }
    }

    /// Ends it, and hears nothing more of it; its workers go on. It would end by itself when its
    /// channel closes, unless it is stopped, and it has nothing to finish.
    func retire() {
        channel?.close()
        channel = nil
        deadline = nil
        process.send(SignalNumber.kill)
    }

    /// Ends one whose app is not imported: it need not say so any more.
    func kill() {
        hasFailed = true
        retire()
    }
}
