internal import Linux
internal import Signals

/// The master's side of the resolver process: which names are wanted, and the last good addresses
/// of each.
///
/// The process is started with the first name, restarted with back-off, and ended with the last
/// name.
final class Resolver {
    private unowned let site: MasterSite
    private var process: ProcessHold?
    private var channel: Channel?
    private var output: OutputReader?
    private var policy = RestartPolicy.attendant
    private var startedAt: UInt64 = 0
    private var restartAt: UInt64?
    private var listeners: [(name: String, owner: ObjectIdentifier, changed: (Outcome) -> Void)] =
        []
    private var known: [String: [String]] = [:]
    private var isStopping = false

    enum Outcome {
        case addresses([String])
        case failed(String)
    }

    init(_ site: MasterSite) { self.site = site }

    var deadline: UInt64? { restartAt }
    var pid: Int32? { process?.pid }

    /// Calls `changed` with each answer for `name`, and at once when one is known.
    func listen(_ owner: AnyObject, to name: String, changed: @escaping (Outcome) -> Void) {
        listeners.append((name, ObjectIdentifier(owner), changed))
        if let addresses = known[name] { changed(.addresses(addresses)) }
        update()
    }

    /// Tells `owner` of nothing any more.
    func forget(_ owner: AnyObject) {
        listeners.removeAll { $0.owner == ObjectIdentifier(owner) }
        let wanted = Set(listeners.map(\.name))
        known = known.filter { wanted.contains($0.key) }
        update()
    }

    func tick(now: UInt64) {
        guard let due = restartAt, due <= now else { return }
        restartAt = nil
        update()
    }

    func stop() {
        isStopping = true
        restartAt = nil
        channel = nil
        process?.send(SignalNumber.kill)
    }

    private func update() {
        guard !isStopping, restartAt == nil else { return }
        let names = Set(listeners.map(\.name)).sorted()
        if process == nil {
            guard !names.isEmpty else { return }
            start()
        }
        channel?.send(["command": "names", "names": .array(names.map { .string($0) })])
    }

    private func start() {
        do throws(SystemError) {
            let control = try ChannelEnds()
            let printed = try OutputEnds()
            var role = RoleLaunch(role: "resolve", environment: MasterSite.environment)
            role.run(as: site.edgeAccount)
            role.give(control.theirs.number, as: "control")
            role.output = printed.theirs.number
            let hold = ProcessHold(try role.start())
            process = hold
            startedAt = Clock.monotonic
            channel = try Channel(
                control.ours, on: site.loop, received: { [unowned self] in hear($0) })
            output = try OutputReader(printed.ours, on: site.loop) { [unowned site] text in
                site.log.output(of: "resolve", text)
            }
            site.children.register(hold.pid) { [weak self] end in self?.ended(end) }
        } catch {
            site.log.error("resolver_failed") { line in line.add("error", text: error.description) }
            restartAt = Clock.monotonic + policy.waitAfter(lifetime: 0)
        }
    }

    private func ended(_ end: ProcessEnd?) {
        output?.read()
        process = nil
        channel = nil
        guard !isStopping else { return }
        site.log.warning("resolver_exited") { line in
            line.add("status", text: end?.description ?? "unknown")
        }
        let now = Clock.monotonic
        restartAt = now + policy.waitAfter(lifetime: now - startedAt)
    }

    private func hear(_ message: JSONValue) {
        guard let name = message["name"]?.text else { return }
        let outcome: Outcome
        switch message["event"]?.text {
        case "resolved":
            let addresses = (message["addresses"]?.elements ?? []).compactMap(\.text).sorted()
            known[name] = addresses
            outcome = .addresses(addresses)
        case "unresolved":
            let reason = message["error"]?.text ?? "unknown"
            // The last good addresses are kept.
            site.log.warning("name_unresolved") { line in
                line.add("name", text: name)
                line.add("error", text: reason)
                line.add("kept", known[name]?.count ?? 0)
            }
            outcome = .failed(reason)
        default: return
        }
        for listener in listeners where listener.name == name { listener.changed(outcome) }
    }
}
