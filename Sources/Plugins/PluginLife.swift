/// The life of one plug-in process as a plain value: when to start it, start it again, mute it, end
/// it.
///
/// Times are monotonic nanoseconds. What it says is done by the host.
struct PluginLife: Equatable {
    enum Phase: Equatable {
        /// Not started yet.
        case new
        case running
        /// It ended; started again at that time.
        case waiting(until: UInt64)
        /// It failed too often; not started again before `unmute`.
        case muted
        /// It closed its input although it runs: told to end, killed at that time.
        case failing(killAt: UInt64)
        /// Stopping: lines go on until then.
        case draining(until: UInt64)
        /// Stopping: its input has ended, TERM comes at that time.
        case closing(terminateAt: UInt64)
        /// Stopping: TERM was sent, KILL comes at that time.
        case terminating(killAt: UInt64)
        /// KILL was sent.
        case killed(isStopping: Bool)
        /// Ended for good.
        case stopped
    }

    enum Action: Equatable {
        case none
        case start
        case closeInput
        case terminate
        case kill
    }

    private let times: PluginTimes
    private(set) var phase = Phase.new
    /// Failures since the plug-in's first start.
    private(set) var failures: UInt64
    /// How often it was started again.
    private(set) var restarts: UInt64
    private var recent: [UInt64] = []
    private var isFirst: Bool

    /// - Parameter past: of a host that was killed; nil for a plug-in that was never started.
    init(_ times: PluginTimes, past: PluginPast? = nil) {
        self.times = times
        failures = past?.failures ?? 0
        restarts = past?.restarts ?? 0
        isFirst = past == nil
    }

    /// The word in `proxy status`.
    var word: String {
        switch phase {
        case .new, .waiting: "waiting"
        case .running: "running"
        case .muted: "muted"
        case .failing, .killed(isStopping: false): "failing"
        case .draining, .closing, .terminating, .killed(isStopping: true): "stopping"
        case .stopped: "stopped"
        }
    }

    /// True while lines are to be written to it.
    var takesLines: Bool {
        switch phase {
        case .running, .draining: true
        default: false
        }
    }

    /// When `tick` has something to do; nil when only an event can change anything.
    var deadline: UInt64? {
        switch phase {
        case .new: 0
        case .waiting(let time), .failing(let time), .draining(let time), .closing(let time),
            .terminating(let time):
            time
        case .running, .muted, .killed, .stopped: nil
        }
    }

    /// What is to be done now.
    /// - Parameter isDelivered: no line waits for it.
    mutating func tick(now: UInt64, isDelivered: Bool) -> Action {
        switch phase {
        case .new: return .start
        case .waiting(let until) where now >= until: return .start
        case .failing(let killAt) where now >= killAt:
            phase = .killed(isStopping: false)
            return .kill
        case .draining(let until) where isDelivered || now >= until:
            phase = .closing(terminateAt: now + times.afterEnd)
            return .closeInput
        case .closing(let terminateAt) where now >= terminateAt:
            phase = .terminating(killAt: now + times.afterTerminate)
            return .terminate
        case .terminating(let killAt) where now >= killAt:
            phase = .killed(isStopping: true)
            return .kill
        default: return .none
        }
    }

    /// The process was started.
    mutating func started() {
        if !isFirst { restarts += 1 }
        isFirst = false
        phase = .running
    }

    /// It could not be started.
    mutating func couldNotStart(now: UInt64) {
        fail(now)
    }

    /// The process has ended. Returns true when that is a failure, and not what it was told.
    mutating func ended(now: UInt64) -> Bool {
        switch phase {
        case .draining, .closing, .terminating, .killed(isStopping: true):
            phase = .stopped
            return false
        default:
            fail(now)
            return true
        }
    }

    /// It reads no more. Returns what is to be done.
    mutating func closedInput(now: UInt64) -> Action {
        switch phase {
        case .running:
            phase = .failing(killAt: now + times.afterTerminate)
            return .terminate
        case .draining:
            phase = .closing(terminateAt: now + times.afterEnd)
            return .closeInput
        default: return .none
        }
    }

    /// Ends it: lines first, for a while.
    mutating func stop(now: UInt64, drain: Bool) {
        switch phase {
        case .running: phase = .draining(until: drain ? now + times.drain : now)
        case .failing(let killAt): phase = .terminating(killAt: killAt)
        case .killed: phase = .killed(isStopping: true)
        case .new, .waiting, .muted: phase = .stopped
        case .draining(let until): phase = .draining(until: drain ? until : now)
        case .closing, .terminating, .stopped: break
        }
    }

    /// Ends it at once. Returns what is to be done.
    mutating func stopNow() -> Action {
        switch phase {
        case .running, .failing, .draining, .closing, .terminating:
            phase = .killed(isStopping: true)
            return .kill
        case .killed: phase = .killed(isStopping: true)
        case .new, .waiting, .muted: phase = .stopped
        case .stopped: break
        }
        return .none
    }

    /// Forgets its failures, and starts it again when it was muted.
    mutating func unmute(now: UInt64) {
        recent = []
        switch phase {
        case .muted, .waiting: phase = .waiting(until: now)
        default: break
        }
    }

    private mutating func fail(_ now: UInt64) {
        failures += 1
        recent.removeAll { now - $0 > times.failureWindow }
        recent.append(now)
        guard recent.count < times.failuresMax else {
            phase = .muted
            return
        }
        // 2^9 at most, as more recent failures mute it.
        let wait = min(times.firstWait << UInt64(recent.count - 1), times.longestWait)
        phase = .waiting(until: now + wait)
    }
}
