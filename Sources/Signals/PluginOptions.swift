package import Configuration

/// One plug-in: a program that reads what happens, line by line.
public struct PluginOptions: Sendable, Equatable {
    /// What is dropped when the plug-in's queue is full.
    public enum WhenFull: String, CaseIterable, Sendable { case newest, oldest }

    public var name: String
    /// Program and arguments.
    public var command: [String]
    /// What it is told.
    public var events: SignalSet
    /// An expression over the data, such as `status >= 500`; nil: everything.
    public var filter: String?
    /// Lines that may wait for it.
    public var queueLength: Int
    public var whenFull: WhenFull

    package init(
        name: String, command: [String], events: SignalSet = .all, filter: String? = nil,
        queueLength: Int = 4096, whenFull: WhenFull = .newest
    ) {
        self.name = name
        self.command = command
        self.events = events
        self.filter = filter
        self.queueLength = queueLength
        self.whenFull = whenFull
    }

    /// What any of these plug-ins listens to, for `SignalRings.setListened`.
    package static func listened(_ plugins: [PluginOptions]) -> SignalSet {
        plugins.reduce(SignalSet()) { $0.union($1.events) }
    }

    /// Reads every plug-in, in the order of the file.
    package static func all(_ configuration: EffectiveConfiguration) -> [PluginOptions] {
        configuration.names("plugins[]").map { PluginOptions(configuration, plugin: $0) }
    }

    private init(_ configuration: EffectiveConfiguration, plugin number: String) {
        name = configuration.value(Self.name, number)
        command = configuration.entries(Self.commandWord, number).map(\.value)
        let named = configuration.entries(Self.event, number).map { SignalSet($0.value) }
        events = named.isEmpty ? .all : named.reduce(SignalSet()) { $0.union($1) }
        filter = configuration.value(Self.filter, number)
        queueLength = configuration.value(Self.queueLength, number)
        whenFull = configuration.value(Self.whenFull, number)
    }
}

extension PluginOptions {
    /// Most plug-ins: each is a process and reads every ring.
    package static let pluginsMax = 64

    package static let name = Setting(
        "plugins[].name", .pluginName, "what logs and status call it", example: "alerts")
    package static let commandWord = Setting(
        each: "plugins[].command[]", .text("a word"),
        "the program and its arguments; it reads JSON lines", example: "alerts.py")
    package static let event = Setting(
        each: "plugins[].events[]", .signal, "the signals it is told; all when left out",
        example: "request_finished")
    package static let filter = Setting(
        optional: "plugins[].filter", .eventFilter,
        "which of them, by their data", example: "status >= 500")
    static let queueLength = Setting(
        "plugins[].queue.length", .integer(1...1_000_000), default: "4096",
        "lines that may wait for it", example: "100")
    static let whenFull = Setting(
        "plugins[].queue.full", SettingType<WhenFull>.choice, default: "newest",
        "what is dropped when they are too many", example: "oldest")

    package static let keys = Keys(
        [
            name.declaration, commandWord.declaration, event.declaration, filter.declaration,
            queueLength.declaration, whenFull.declaration,
        ],
        shapes: [
            Shape("plugins[]", "programs that are told what happens", counts: 0...pluginsMax),
            Shape(
                "plugins[].command", "the program and its arguments", isRequired: true,
                counts: 1...1024),
            Shape("plugins[].events", "the signals it is told"),
            Shape("plugins[].queue", "lines that wait for it"),
        ],
        later: [
            "library", "socket", "python", "journal", "statsd", "run_in", "custom", "env", "user",
            "group", "dir",
        ].map { "plugins[].\($0)" })

    /// What plug-ins cannot say each on its own: names taken twice.
    package static func check(_ configuration: Configuration) -> [Diagnostic] {
        var places: [String: String] = [:]
        return configuration.names("plugins[]").compactMap { number -> Diagnostic? in
            guard let own = configuration.value(name, number) else { return nil }
            guard let other = places.updateValue(number, forKey: own) else { return nil }
            let line = configuration.position(["plugins", other, "name"])?.line
            return configuration.finding(
                value: "plugins", number, "name",
                message: "\(own) is taken by another plug-in"
                    + (line.map { " in line \($0)" } ?? ""))
        }
    }

    /// Signals that come with a later version.
    private static let laterSignals = ["certificate_loaded", "certificate_expiring"]

    static func signal(named text: String) throws(Complaint) -> Signal {
        if let signal = Signal(named: text) { return signal }
        let plain = String(text.map { $0 == "-" ? "_" : $0 })
        if laterSignals.contains(plain) || plain.hasPrefix("custom.") {
            throw Complaint("\(quoted(text)): known, not in this version")
        }
        throw Complaint(
            "there is no signal \(quoted(text))",
            suggestion: nearestName(to: text, among: Signal.allCases.map(\.name.description)))
    }
}

extension SettingType<Signal> {
    static var signal: Self {
        let names = Signal.allCases.map { jsonText($0.name.description) }
        return Self(
            name: "a signal such as request_finished",
            schema: "\"type\":\"string\",\"examples\":[\(names.joined(separator: ","))]",
            parse: { (text) throws(Complaint) in try PluginOptions.signal(named: text) },
            text: { $0.name.description })
    }
}

extension SettingType<String> {
    static var eventFilter: Self {
        .checkedText("an expression such as status >= 500") { (text) throws(Complaint) in
            do {
                _ = try EventFilter(text)
            } catch {
                throw Complaint("\(quoted(text)): \(error)")
            }
        }
    }

    static var pluginName: Self {
        .checkedText("a name of letters, digits, - and _") { (text) throws(Complaint) in
            let isGood = text.utf8.allSatisfy { byte in
                (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
                    || (0x30...0x39).contains(byte) || byte == 0x2d || byte == 0x5f
            }
            guard isGood, (1...63).contains(text.utf8.count) else {
                throw Complaint("\(quoted(text)) is no name of letters, digits, - and _")
            }
        }
    }
}
