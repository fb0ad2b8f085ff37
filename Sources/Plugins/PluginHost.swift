package import Linux
import Memory
import Signals

/// Runs a plug-in host until the master tells it to stop, or is gone: the role `plugins`.
///
/// The caller has dropped privileges. Throws only when it cannot begin; plug-ins that fail never
/// end it.
package func runPluginHost(_ resources: consuming PluginHostResources) throws(SystemError) {
    SignalQueue.ignore(PluginHost.pipeSignal)
    let host = try PluginHost(resources)
    try host.run()
}

/// The loop of a plug-in host: rings in, lines out, and the lives of the plug-ins.
final class PluginHost {
    static let killSignal: Int32 = 9
    static let pipeSignal: Int32 = 13
    private static let terminateSignal: Int32 = 15
    /// Records taken in one turn, so that plug-ins are looked after meanwhile.
    private static let recordsPerTurn = 1024
    /// After news the host stays awake for so many milliseconds, so that busy edges need not wake
    /// it each turn.
    private static let awakeMilliseconds: Int32 = 2
    /// The longest sleep: a writer that was killed at the wrong moment wakes nobody.
    private static let sleepMilliseconds: Int32 = 30_000
    private static let wakeToken: UInt64 = 0
    private static let controlToken: UInt64 = 1
    /// Tokens of plug-ins: their number from 1, the incarnation, the part.
    private static let partBits: UInt64 = 2
    private static let incarnationBits: UInt64 = 40

    private let poller: Poller
    private let control: MessageSocket
    private let wake: Descriptor
    private let plugins: [Plugin]
    private let place: PluginPlace
    private let times: PluginTimes
    private var sources: RingSources
    private var log: PluginLog
    private var line = SignalLine()
    private var scratch = ByteScratch(capacity: SignalLine.bytesMax)
    private var isStopping = false
    private var isMasterGone = false

    init(_ resources: consuming PluginHostResources) throws(SystemError) {
        var log = PluginLog(
            errors: resources.errors, level: resources.level, format: resources.format)
        poller = try Poller()
        control = resources.control
        wake = resources.wake
        times = resources.times
        var plugins: [Plugin] = []
        for options in resources.plugins {
            do {
                let past = resources.past[options.name]
                plugins.append(try Plugin(options, times: resources.times, past: past))
            } catch {
                // The configuration was checked before; an error here is of a filter only.
                log.said(.error, "plugin_failed", options.name, "filter: \(error)", count: 1)
            }
        }
        self.plugins = plugins
        self.log = log
        let own = ["PROXY_PLUGIN=", "PROXY_RUNTIME="]
        let environment = resources.environment.filter { entry in
            !own.contains { entry.hasPrefix($0) }
        }
        place = PluginPlace(
            folder: resources.folder,
            environment: environment + ["PROXY_RUNTIME=\(resources.runtime)"],
            launcher: resources.launcher)
        sources = RingSources(resources.rings, resources.readers, reader: resources.reader)
        try poller.addLevel(wake.number, token: Self.wakeToken)
        try poller.addLevel(control.number, token: Self.controlToken)
    }

    func run() throws(SystemError) {
        advancePlugins(now: Clock.monotonic)
        tell(["event": "ready"])
        var isBusy = true
        while true {
            let taken = takeRecords()
            let now = Clock.monotonic
            advancePlugins(now: now)
            if isStopping, plugins.allSatisfy({ $0.life.phase == .stopped }) { break }
            if taken > 0 { isBusy = true }
            try wait(after: taken, isBusy: &isBusy, now: now)
        }
        tell(["event": "stopped"])
    }

    /// Sleeps until something happens: not at all when more is there, briefly after news, else with
    /// the flag set.
    private func wait(after taken: Int, isBusy: inout Bool, now: UInt64) throws(SystemError) {
        var milliseconds = min(millisecondsToDeadline(now: now), Self.sleepMilliseconds)
        var sleeps = false
        if taken >= Self.recordsPerTurn {
            milliseconds = 0
        } else if isBusy {
            milliseconds = min(milliseconds, Self.awakeMilliseconds)
            isBusy = false
        } else {
            sleeps = sources.fallAsleep()
            if !sleeps { milliseconds = 0 }
        }
        let count = try poller.wait(milliseconds: milliseconds)
        if sleeps { sources.wakeUp() }
        for index in 0..<count {
            let event = poller.event(index)
            switch event.token {
            case Self.wakeToken: EventCounter.clear(wake.number)
            case Self.controlToken: try takeControl()
            default: takeEvent(event.token)
            }
        }
    }

    private func millisecondsToDeadline(now: UInt64) -> Int32 {
        var deadline = UInt64.max
        for plugin in plugins { deadline = min(deadline, plugin.deadline ?? .max) }
        guard deadline > now else { return 0 }
        // Rounded up: a millisecond early would be a turn for nothing.
        return Int32(clamping: (min(deadline - now, 1 << 60) + 999_999) / 1_000_000)
    }

    // MARK: records

    private func takeRecords() -> Int {
        // Out of the object while in use: the closures below look at the rest of it.
        var sources = self.sources
        defer { self.sources = sources }
        return sources.take(limit: Self.recordsPerTurn) { record in
            scratch.removeAll()
            guard let parts = line.write(record, to: &scratch.writer) else { return }
            deliver(parts)
        } lost: { count in
            for plugin in plugins { lose(count, of: plugin, "the plug-in host was too slow") }
        }
    }

    /// Puts the line in `scratch` into the queues of those who want it.
    private func deliver(_ parts: SignalLine.Parts) {
        guard plugins.contains(where: { $0.options.events.contains(parts.signal) }) else { return }
        let body = Array(scratch.bytes)
        for plugin in plugins where wants(plugin, parts, body) {
            let before = plugin.queue.dropped
            plugin.queue.add(parts.signal, body)
            let dropped = plugin.queue.dropped - before
            if dropped > 0 { plugin.dropReport.note(dropped, "its queue was full") }
        }
    }

    private func wants(_ plugin: Plugin, _ parts: SignalLine.Parts, _ body: [UInt8]) -> Bool {
        guard plugin.options.events.contains(parts.signal) else { return false }
        switch plugin.life.phase {
        case .muted, .stopped, .closing, .terminating: return false
        default: break
        }
        guard let filter = plugin.filter else { return true }
        return filter.accepts(body.span.extracting(parts.data.indices))
    }

    private func lose(_ count: UInt64, of plugin: Plugin, _ reason: String) {
        plugin.queue.lose(count)
        plugin.dropReport.note(count, reason)
    }

    /// Raises `plugin_dropped` or `plugin_failed` to the plug-ins that want it, and writes it to
    /// the log.
    private func report(
        _ signal: Signal, _ plugin: Plugin, _ said: (count: UInt64, reason: String)
    ) {
        let level: EventLevel = signal == .pluginFailed ? .error : .warning
        log.said(level, signal.name, plugin.options.name, said.reason, count: said.count)
        // For its successor, should this host be killed.
        tell(figures)
        scratch.removeAll()
        let parts = line.writePlugin(
            signal, named: plugin.options.name, count: said.count, reason: said.reason,
            wall: Clock.wall, to: &scratch.writer)
        guard let parts else { return }
        // Not into full queues: the report about lost lines would lose one more.
        let body = Array(scratch.bytes)
        for receiver in plugins where wants(receiver, parts, body) && !receiver.queue.isFull {
            receiver.queue.add(signal, body)
        }
    }

    // MARK: plug-ins

    private func advancePlugins(now: UInt64) {
        for (index, plugin) in plugins.enumerated() {
            advance(plugin, index, now: now)
            plugin.resumeOutput(
                now: now, poller: poller, token: Self.token(index, plugin.incarnation, .output))
            if let said = plugin.failureReport.take(now: now, times) {
                report(.pluginFailed, plugin, said)
            }
            if let said = plugin.dropReport.take(now: now, times) {
                report(.pluginDropped, plugin, said)
            }
        }
        // After the reports, which are lines too.
        for plugin in plugins where !plugin.flush() {
            act(plugin.life.closedInput(now: now), plugin, now: now)
        }
    }

    private func advance(_ plugin: Plugin, _ index: Int, now: UInt64) {
        let action = plugin.life.tick(now: now, isDelivered: plugin.isDelivered)
        guard action == .start else { return act(action, plugin, now: now) }
        do {
            let next = plugin.incarnation + 1
            try plugin.start(place, poller: poller) { Self.token(index, next, $0) }
        } catch {
            plugin.life.couldNotStart(now: now)
            plugin.failureReport.note(1, "\(plugin.options.command[0]): \(error)")
            mutedIfSo(plugin)
        }
    }

    private func act(_ action: PluginLife.Action, _ plugin: Plugin, now: UInt64) {
        switch action {
        case .none, .start: break
        case .closeInput:
            plugin.closeInput()
            let rest = plugin.queue.giveUp()
            if rest > 0 { plugin.dropReport.note(rest, "the proxy stopped") }
        case .terminate: plugin.send(Self.terminateSignal)
        case .kill: plugin.send(Self.killSignal)
        }
    }

    private func mutedIfSo(_ plugin: Plugin) {
        guard plugin.life.phase == .muted else { return }
        log.said(
            .error, "plugin_muted", plugin.options.name, "it failed too often; until a reload",
            count: plugin.life.failures)
        _ = plugin.queue.giveUp()
    }

    private static func token(_ index: Int, _ incarnation: UInt64, _ part: Plugin.Part) -> UInt64 {
        let life = incarnation & (1 << (incarnationBits - partBits) - 1)
        return UInt64(index + 1) << incarnationBits | life << partBits | part.rawValue
    }

    private func takeEvent(_ token: UInt64) {
        let index = Int(token >> Self.incarnationBits) - 1
        guard plugins.indices.contains(index),
            let part = Plugin.Part(rawValue: token & (1 << Self.partBits - 1)),
            token == Self.token(index, plugins[index].incarnation, part)
        else { return }
        let plugin = plugins[index]
        let now = Clock.monotonic
        switch part {
        // Every turn flushes.
        case .input: break
        case .output:
            for text in plugin.printed(now: now, poller: poller) {
                log.printed(plugin.options.name, text)
            }
        case .process: ended(plugin, now: now)
        }
    }

    private func ended(_ plugin: Plugin, now: UInt64) {
        guard let end = plugin.reap() else { return }
        for text in plugin.printed(now: now, poller: poller) {
            log.printed(plugin.options.name, text)
        }
        plugin.closeOutput()
        let wasToldToEnd = plugin.life.word == "failing" && end == .signalled(number: 15)
        guard plugin.life.ended(now: now) else { return }
        plugin.failureReport.note(1, wasToldToEnd ? "it closed its input" : "\(end)")
        mutedIfSo(plugin)
    }

    // MARK: the master

    private func takeControl() throws(SystemError) {
        while true {
            switch try control.receive() {
            case .nothing: return
            case .closed:
                // Level-triggered: it would be reported for ever.
                if !isMasterGone { try? poller.remove(control.number) }
                isMasterGone = true
                return stop(drain: false)
            case .packet(let bytes, var descriptors):
                guard let packet = JSONValue(parsing: bytes) else { continue }
                switch packet["command"]?.text {
                case "status":
                    tell(figures)
                    tell(status)
                case "stop": stop(drain: true)
                case "stop_now": stopNow()
                case "unmute":
                    for plugin in plugins { plugin.life.unmute(now: Clock.monotonic) }
                case "logs":
                    // The access log comes first where there are two.
                    var last: Descriptor?
                    while let next = descriptors.next() { last = consume next }
                    if let last { log.reopen(last) }
                default: break
                }
            }
        }
    }

    private func stop(drain: Bool) {
        isStopping = true
        for plugin in plugins { plugin.life.stop(now: Clock.monotonic, drain: drain) }
    }

    /// What plug-ins have started is killed with them, which a killed host could not do.
    private func stopNow() {
        isStopping = true
        let now = Clock.monotonic
        for plugin in plugins {
            act(.closeInput, plugin, now: now)
            act(plugin.life.stopNow(), plugin, now: now)
        }
    }

    private func tell(_ packet: JSONValue) {
        guard !isMasterGone else { return }
        // A master that does not read gets its answer when it asks again.
        _ = try? control.send(packet.bytes)
    }

    /// The answer to `status`, whose list stands as it is in `proxy status`.
    private var status: JSONValue {
        let list = plugins.map { plugin in
            [
                "name": .string(plugin.options.name),
                "pid": .optional(plugin.pid),
                "state": .string(plugin.life.word),
                "delivered": .whole(plugin.delivered),
                "dropped": .whole(plugin.queue.dropped),
                "failures": .whole(plugin.life.failures),
            ] as JSONValue
        }
        return ["event": "status", "plugins": .array(list)]
    }

    /// What the master keeps for a successor: `PluginPast`.
    private var figures: JSONValue {
        let list = plugins.map { plugin in
            [
                "name": .string(plugin.options.name),
                "dropped": .whole(plugin.queue.dropped),
                "failures": .whole(plugin.life.failures),
                "restarts": .whole(plugin.life.restarts),
            ] as JSONValue
        }
        return ["event": "figures", "plugins": .array(list)]
    }
}
