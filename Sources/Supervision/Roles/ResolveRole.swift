internal import Linux

/// The resolver process: looks the upstreams' names up, again and again by their time to live, and
/// tells the master.
///
/// `{"command":"names","names":[…],"first":…,"last":…}` says which, in as many packets as it takes.
/// What comes back each time a name was looked up is
/// `{"event":"resolved","name":…,"addresses":[…]}` or `{"event":"unresolved","name":…,"error":…}`.
package func runResolve() -> Int32 {
    do throws(SystemError) {
        let sheet = try RoleSheet.ofThisProcess()
        guard let control = sheet.takeDescriptor("control") else { return 1 }
        try sheet.settle(as: "proxy: resolve")
        return try ResolverLoop(MessageSocket(owning: control)).run()
    } catch {
        return 1
    }
}

private struct ResolverLoop: ~Copyable {
    private let control: MessageSocket
    private var resolver: NameResolver
    /// The system's configuration as `resolver` has read it.
    private var system: [UInt8]?
    private var schedule = NameSchedule()
    private var asked: [UInt64: String] = [:]
    private var lastQuestion: UInt64 = 0
    /// Names of a list that is not whole yet.
    private var coming: [String] = []
    /// Answers that the master's channel had no room for, the oldest first.
    private var untold: [JSONValue] = []

    /// How long to wait for room in the channel, in milliseconds.
    private static let roomMilliseconds: Int32 = 10

    init(_ control: consuming MessageSocket) throws(SystemError) {
        self.control = control
        resolver = try NameResolver()
        system = Self.systemNow
    }

    consuming func run() throws(SystemError) -> Int32 {
        while true {
            let due = schedule.takeDue(now: Clock.monotonic)
            if !due.isEmpty { try renew() }
            for name in due {
                lastQuestion += 1
                asked[lastQuestion] = name
                resolver.ask(name, question: lastQuestion)
            }
            if resolver.wait(control: control.number, milliseconds: waitMilliseconds) {
                switch try control.receive() {
                case .closed: return 0
                case .nothing: break
                case .packet(let bytes, _): obey(JSONValue(parsing: bytes))
                }
            }
            while let (question, answer) = resolver.take() { add(question, answer) }
            tell()
        }
    }

    private static var systemNow: [UInt8]? { try? FileSystem.read("/etc/resolv.conf") }

    /// Reads the system's configuration anew if it has changed, between two rounds of questions.
    private mutating func renew() throws(SystemError) {
        let now = Self.systemNow
        guard now != system, asked.isEmpty else { return }
        resolver = try NameResolver()
        system = now
    }

    /// At most a second, so that a clock that stands still for us is no longer wrong than that.
    private var waitMilliseconds: Int32 {
        guard untold.isEmpty else { return Self.roomMilliseconds }
        guard let deadline = schedule.deadline else { return 1000 }
        let now = Clock.monotonic
        return deadline > now ? Int32(min(1000, (deadline - now) / 1_000_000 + 1)) : 0
    }

    private mutating func obey(_ message: JSONValue?) {
        guard let message, message["command"]?.text == "names" else { return }
        if message["first"]?.boolean == true { coming = [] }
        coming += (message["names"]?.elements ?? []).compactMap(\.text)
        guard message["last"]?.boolean == true else { return }
        schedule.set(coming, now: Clock.monotonic)
        coming = []
    }

    private mutating func tell() {
        var count = 0
        while count < untold.count, (try? control.send(untold[count].bytes)) != .full { count += 1 }
        untold.removeFirst(count)
    }

    private mutating func add(_ question: UInt64, _ answer: NameResolver.Answer) {
        guard let name = asked.removeValue(forKey: question) else { return }
        let now = Clock.monotonic
        let event: JSONValue
        switch answer {
        case .found(let addresses, let seconds):
            schedule.answered(name, seconds: seconds, now: now)
            event = [
                "event": "resolved", "name": .string(name),
                "addresses": .array(addresses.map { .string($0) }),
            ]
        case .failed(let reason):
            schedule.failed(name, now: now)
            event = ["event": "unresolved", "name": .string(name), "error": .string(reason)]
        }
        untold.append(event)
    }
}
