import Linux
import Signals

/// One plug-in: its process, its queue and its life. The host's loop owns it; nothing here ever
/// waits.
final class Plugin {
    /// Bytes taken from the queue at once, about what a pipe holds.
    private static let outgoingBytes = 65_536
    /// Lines it may print in a second; then its output is left in the pipe until the next one
    /// begins.
    private static let outputLinesMax = 1000

    let options: PluginOptions
    let filter: EventFilter?
    var life: PluginLife
    var queue: PluginQueue
    private let times: PluginTimes
    private var process: ChildProcess?
    private var input: Descriptor?
    private var output: OutputPipe?
    /// Whole lines on their way into the pipe, and how much of them is there.
    private var outgoing: [UInt8] = []
    private var written = 0
    /// Counts the processes, so that an event of an earlier one is recognised.
    private(set) var incarnation: UInt64 = 0
    /// Lines written in full.
    private(set) var delivered: UInt64 = 0
    private var outputLines = 0
    private var outputSecond: UInt64 = 0
    private var isOutputPaused = false
    /// What is to be said about lost lines and failures, once a second at most.
    var dropReport = PluginReport()
    var failureReport = PluginReport()

    init(
        _ options: PluginOptions, times: PluginTimes, past: PluginPast? = nil
    ) throws(EventFilterError) {
        self.options = options
        self.times = times
        filter =
            if let source = options.filter { try EventFilter(source) } else { nil }
        life = PluginLife(times, past: past)
        queue = PluginQueue(
            length: options.queueLength, whenFull: options.whenFull, dropped: past?.dropped ?? 0)
    }

    var pid: Int32? { process?.pid }

    /// True when nothing waits and nothing is on its way.
    var isDelivered: Bool { queue.isEmpty && written == outgoing.count }

    /// When its output is taken again; nil when it is not paused.
    private var outputResumesAt: UInt64? {
        isOutputPaused ? (outputSecond + 1) * 1_000_000_000 : nil
    }

    /// When something is to be done without an event; nil when nothing is.
    var deadline: UInt64? {
        if case .draining = life.phase, isDelivered { return 0 }
        let all = [
            life.deadline, dropReport.dueAt(times), failureReport.dueAt(times), outputResumesAt,
        ]
        return all.compactMap { $0 }.min()
    }

    // MARK: the process

    /// The descriptors to be polled with the token of this plug-in and the kind of each.
    enum Part: UInt64 { case process, input, output }

    /// Starts the process and puts its first line in front of all others.
    func start(
        _ place: PluginPlace, poller: borrowing Poller, token: (Part) -> UInt64
    ) throws(SystemError) {
        let inputEnds = try InputPipe.pipe()
        let outputEnds = try OutputPipe.pipe()
        var launch = ProcessLaunch(
            program: place.launcher.first ?? options.command[0],
            arguments: place.launcher + options.command,
            environment: place.environment + ["PROXY_PLUGIN=\(options.name)"],
            folder: place.folder)
        launch.give(inputEnds.reader.number, as: 0)
        launch.give(outputEnds.writer.number, as: 1)
        launch.give(outputEnds.writer.number, as: 2)
        let child = try launch.start()
        incarnation += 1
        do throws(SystemError) {
            try poller.addLevel(child.descriptor.number, token: token(.process))
            try poller.add(inputEnds.writer.number, token: token(.input), writable: true)
            try poller.addLevel(outputEnds.reader.number, token: token(.output))
        } catch {
            child.sendToGroup(PluginHost.killSignal)
            _ = try? child.waitForExit()
            throw error
        }
        process = consume child
        let (ownRead, ownWrite) = inputEnds.release()
        _ = Descriptor(owning: ownRead)
        input = Descriptor(owning: ownWrite)
        let (printed, childsEnd) = outputEnds.release()
        _ = Descriptor(owning: childsEnd)
        output = OutputPipe(owning: Descriptor(owning: printed))
        isOutputPaused = false
        queue.restart()
        life.started()
        outgoing = PluginText.started(
            name: options.name, dropped: queue.dropped, restarts: life.restarts)
        written = 0
    }

    /// Reaps the process, which has ended, and ends all that it started.
    func reap() -> ProcessEnd? {
        // Before the process is reaped its group's number cannot be anybody else's.
        send(PluginHost.killSignal)
        guard let end = process?.reap() ?? nil else { return nil }
        self.process = nil
        closeInput()
        return end
    }

    /// Sends a signal to the process and all that it started.
    func send(_ signal: Int32) {
        _ = process?.sendToGroup(signal)
    }

    /// Ends its input. What was on its way is lost.
    func closeInput() {
        input = nil
        let rest = outgoing[written...].count { $0 == 0x0A }
        if rest > 0 { queue.lose(UInt64(rest)) }
        outgoing = []
        written = 0
    }

    // MARK: lines

    /// Writes what waits until the pipe is full; false when the plug-in has closed its end.
    func flush() -> Bool {
        guard life.takesLines else { return true }
        while true {
            if written == outgoing.count {
                outgoing.removeAll(keepingCapacity: true)
                written = 0
                while outgoing.count < Self.outgoingBytes, queue.next(into: &outgoing) {}
                if outgoing.isEmpty { return true }
            }
            let bytes = outgoing
            let rest = bytes.span.extracting(written..<bytes.count)
            switch input?.writeOnce(rest) ?? .wouldBlock {
            case .bytes(let count):
                delivered += UInt64(bytes[written..<(written + count)].count { $0 == 0x0A })
                written += count
            case .wouldBlock: return true
            case .failed: return false
            }
        }
    }

    /// The lines it has printed. Past its share of a second the output is left alone, so that a
    /// plug-in that prints without end waits, and nobody else.
    func printed(now: UInt64, poller: borrowing Poller) -> [String] {
        let second = now / 1_000_000_000
        if second != outputSecond {
            outputSecond = second
            outputLines = 0
        }
        let lines = output?.lines() ?? []
        outputLines += lines.count
        if output?.isClosed ?? true {
            output = nil
        } else if outputLines > Self.outputLinesMax, !isOutputPaused, let number = output?.number {
            isOutputPaused = true
            try? poller.remove(number)
        }
        return lines
    }

    /// Takes its output again when its pause is over.
    func resumeOutput(now: UInt64, poller: borrowing Poller, token: UInt64) {
        guard let resumesAt = outputResumesAt, now >= resumesAt, let number = output?.number
        else { return }
        isOutputPaused = false
        try? poller.addLevel(number, token: token)
    }

    /// Lets go of the output of a process that has ended; what holds it open are strangers.
    func closeOutput() {
        output = nil
        isOutputPaused = false
    }
}

/// Something that is said once a second at most: how often it happened since.
struct PluginReport: Equatable {
    private(set) var count: UInt64 = 0
    private(set) var reason = ""
    private var saidAt: UInt64?

    mutating func note(_ count: UInt64, _ reason: String) {
        self.count += count
        self.reason = reason
    }

    /// When there is something to say; nil when there is nothing.
    func dueAt(_ times: PluginTimes) -> UInt64? {
        guard count > 0 else { return nil }
        return saidAt.map { $0 + times.reportInterval } ?? 0
    }

    /// What to say now; nil when there is nothing, or it is too early.
    mutating func take(now: UInt64, _ times: PluginTimes) -> (count: UInt64, reason: String)? {
        guard let dueAt = dueAt(times), now >= dueAt else { return nil }
        saidAt = now
        defer { count = 0 }
        return (count, reason)
    }
}

/// Where plug-ins run.
struct PluginPlace {
    /// The folder of the configuration.
    let folder: String?
    /// `NAME=value` entries that all plug-ins get.
    let environment: [String]
    /// What stands before each command, for a guard; empty for none.
    let launcher: [String]
}
