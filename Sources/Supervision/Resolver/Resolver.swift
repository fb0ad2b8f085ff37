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
    /// Names that have never been resolved, and why.
    private var unresolved: [String: String] = [:]
    private var isStopping = false
    /// The names that are wanted have changed since the process was told.
    private var isStale = false
    /// What is left to be told, a packet each; the last one first.
    private var untold: [JSONValue] = []
    /// A full channel is tried again.
    private var retryAt: UInt64?
    /// Until when names that are asked for the first time are waited for.
    private var waitUntil: UInt64?

    /// How long a start or a reload waits for names, in nanoseconds: a name that nobody answers for
    /// has failed after 14 s, unless there are domains to search; a resolver that is stopped says
    /// nothing at all.
    private static let nameLimit: UInt64 = 20_000_000_000

    /// Bytes of names in one packet, so that it stays far below `MessageSocket.packetBytesMax`
    /// whatever quoting adds.
    private static let packetNameBytes = 8 << 10
    /// Until a full channel is tried again, in nanoseconds.
    private static let retryWait: UInt64 = 10_000_000

    enum Outcome {
        case addresses([String])
        case failed(String)
    }

    init(_ site: MasterSite) { self.site = site }

    var deadline: UInt64? {
        guard !isStale || restartAt != nil else { return 0 }
        return [restartAt ?? retryAt, waitUntil].compactMap { $0 }.min()
    }
    var pid: Int32? { process?.pid }

    /// Calls `changed` with each answer for `name`, and at once when one is known: who comes later
    /// does not wait for the next look-up.
    func listen(_ owner: AnyObject, to name: String, changed: @escaping (Outcome) -> Void) {
        listeners.append((name, ObjectIdentifier(owner), changed))
        if let addresses = known[name] {
            changed(.addresses(addresses))
        } else if let reason = unresolved[name] {
            changed(.failed(reason))
        }
        isStale = true
    }

    /// Tells `owner` of nothing any more.
    func forget(_ owner: AnyObject) {
        listeners.removeAll { $0.owner == ObjectIdentifier(owner) }
        let wanted = Set(listeners.map(\.name))
        known = known.filter { wanted.contains($0.key) }
        unresolved = unresolved.filter { wanted.contains($0.key) }
        isStale = true
    }

    /// Once a turn: a configuration has many names, and one telling is enough for all of them.
    func tick(now: UInt64) {
        if let due = waitUntil, due <= now {
            waitUntil = nil
            if hasUnanswered { giveUp("the resolver does not answer") }
        }
        if let due = restartAt {
            guard due <= now else { return }
            restartAt = nil
            isStale = true
        }
        if isStale { update() }
        if !untold.isEmpty, (retryAt ?? 0) <= now { tell(now: now) }
    }

    func stop() {
        isStopping = true
        restartAt = nil
        isStale = false
        waitUntil = nil
        untold = []
        channel = nil
        process?.send(SignalNumber.kill)
    }

    private func update() {
        isStale = false
        guard !isStopping else { return }
        let names = Set(listeners.map(\.name)).sorted()
        if process == nil {
            guard !names.isEmpty else { return }
            start()
        }
        untold = Self.packets(names).reversed()
        retryAt = nil
        waitUntil = hasUnanswered ? Clock.monotonic + Self.nameLimit : nil
    }

    /// A name has not been answered once, neither well nor badly.
    private var hasUnanswered: Bool {
        listeners.contains { known[$0.name] == nil && unresolved[$0.name] == nil }
    }

    /// `{"command":"names","names":[…],"first":…,"last":…}`: what comes from the first to the last
    /// is the whole list.
    private static func packets(_ names: [String]) -> [JSONValue] {
        var pieces: [[String]] = [[]]
        var bytes = 0
        for name in names {
            if bytes + name.utf8.count > packetNameBytes {
                pieces.append([])
                bytes = 0
            }
            pieces[pieces.count - 1].append(name)
            bytes += name.utf8.count
        }
        return pieces.enumerated().map { number, piece in
            [
                "command": "names", "names": .array(piece.map { .string($0) }),
                "first": .bool(number == 0), "last": .bool(number == pieces.count - 1),
            ]
        }
    }

    private func tell(now: UInt64) {
        retryAt = nil
        while let packet = untold.last {
            guard channel?.send(packet) == true else {
                retryAt = now + Self.retryWait
                return
            }
            untold.removeLast()
        }
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
            process = nil
            restartAt = Clock.monotonic + policy.waitAfter(lifetime: 0)
            giveUp("the resolver cannot be started")
        }
    }

    private func ended(_ end: ProcessEnd?) {
        output?.read()
        process = nil
        channel = nil
        untold = []
        retryAt = nil
        guard !isStopping else { return }
        site.log.warning("resolver_exited") { line in
            line.add("status", text: end?.description ?? "unknown")
        }
        let now = Clock.monotonic
        restartAt = now + policy.waitAfter(lifetime: now - startedAt)
        // The next one may say it. If that one ends too, a start or a reload waits no longer.
        guard policy.failures > 1 else { return }
        giveUp("the resolver has ended: \(end?.description ?? "unknown")")
    }

    /// Nobody waits for names that are not known; they come later.
    private func giveUp(_ reason: String) {
        site.log.warning("names_unanswered") { line in line.add("error", text: reason) }
        for name in Set(listeners.map(\.name)) where known[name] == nil {
            tell(name, .failed(reason))
        }
    }

    private func hear(_ message: JSONValue) {
        guard let name = message["name"]?.text else { return }
        let outcome: Outcome
        switch message["event"]?.text {
        case "resolved":
            // Each once, whatever a name server says: one address is one endpoint.
            let addresses = Set((message["addresses"]?.elements ?? []).compactMap(\.text)).sorted()
            known[name] = addresses
            unresolved[name] = nil
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
        tell(name, outcome)
    }

    private func tell(_ name: String, _ outcome: Outcome) {
        if case .failed(let reason) = outcome, known[name] == nil { unresolved[name] = reason }
        for listener in listeners where listener.name == name { listener.changed(outcome) }
    }
}
