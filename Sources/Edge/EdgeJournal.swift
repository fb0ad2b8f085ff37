import Board
import Linux
import Memory
import Signals

/// What an edge writes down: signals into its ring, lines into the access log, events into the
/// error log.
///
/// Nothing here waits, and nothing here fails a request.
struct EdgeJournal: ~Copyable {
    var signals: SignalWriter
    private let readers: SleepingReaders?
    /// The eventfd of each plug-in host.
    private let hostWakers: [Int32]
    private var access: AccessLogBuffer
    private let keepsAccess: Bool
    /// Descriptors that this journal owns, -1 for none.
    private var accessFile: Int32
    private var errorFile: Int32
    private let level: EventLevel
    private var event: EventLine
    private let counters: MetricsBlock

    /// - Parameters:
    ///   - accessFile: taken over; -1 when no access log is kept.
    ///   - errorFile: taken over; -1 writes to nowhere.
    init(
        signals: consuming SignalWriter, readers: SleepingReaders?, hostWakers: [Int32],
        access: consuming AccessLogBuffer, accessFile: Int32,
        errorFile: Int32, level: EventLevel, counters: MetricsBlock
    ) {
        self.signals = signals
        self.readers = readers
        self.hostWakers = hostWakers
        self.access = access
        self.access.lineBytesAtMost = LogFile.lineBytesMax(of: accessFile)
        event = EventLine(bytesAtMost: LogFile.lineBytesMax(of: errorFile))
        keepsAccess = accessFile >= 0
        self.accessFile = accessFile
        self.errorFile = errorFile
        self.level = level
        self.counters = counters
    }

    /// Adds a line to the access log.
    mutating func log(
        _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText, now: UInt64
    ) {
        if keepsAccess { access.add(facts, result, text, now: now) }
    }

    /// When `flush` has to be called again by itself.
    var dueAt: UInt64? { access.dueAt }

    /// Once a turn: writes the access log when it is due, and wakes plug-in hosts that sleep.
    mutating func flush(now: UInt64, wall: UInt64) {
        if let readers {
            var sleepers = signals.takeSleepers(readers)
            while sleepers != 0 {
                let host = sleepers.trailingZeroBitCount
                sleepers &= sleepers &- 1
                if host < hostWakers.count { EventCounter.signal(hostWakers[host]) }
            }
        }
        guard access.isDue(now: now) else { return }
        writeAccess(now: now)
        sayLoss(access.lossToReport(now: now), wall: wall)
    }

    /// Writes what is left, and says what was lost: the edge ends.
    mutating func close(now: UInt64, wall: UInt64) {
        if !access.isEmpty { writeAccess(now: now) }
        sayLoss(access.lossAtEnd, wall: wall)
    }

    private mutating func sayLoss(_ lost: UInt64, wall: UInt64) {
        guard lost > 0 else { return }
        begin(.warning, "access_log_lost", wall: wall)
        event.add("lines", Int(lost))
        end()
    }

    private mutating func writeAccess(now: UInt64) {
        switch LogFile.write(access.bytesToWrite, to: accessFile) {
        case .bytes(let count): access.wrote(count, now: now)
        case .wouldBlock: access.blocked(now: now)
        case .failed: access.failed(now: now)
        }
    }

    /// Takes new files in place of the old ones, after USR1 or a reload; -1 keeps the old one.
    /// Lines that wait go to the old file.
    mutating func reopen(access: Int32, errors: Int32, now: UInt64) {
        if access >= 0 {
            if accessFile >= 0, !self.access.isEmpty { writeAccess(now: now) }
            if accessFile >= 0 { StreamSocket.close(accessFile) }
            accessFile = access
            self.access.lineBytesAtMost = LogFile.lineBytesMax(of: access)
            self.access.reopened()
        }
        if errors >= 0 {
            if errorFile >= 0 { StreamSocket.close(errorFile) }
            errorFile = errors
            event = EventLine(bytesAtMost: LogFile.lineBytesMax(of: errors))
        }
    }

    /// Begins a line of the error log; keys follow through `event`, then `end`.
    mutating func begin(_ level: EventLevel, _ name: StaticString, wall: UInt64) {
        event.begin(level, name, wall: wall)
        isQuiet = level < self.level
    }

    private var isQuiet = false

    mutating func add(_ key: StaticString, _ word: StaticString) { event.add(key, word) }
    mutating func add(_ key: StaticString, _ text: Span<UInt8>) { event.add(key, text) }
    mutating func add(_ key: StaticString, text: String) { event.add(key, text: text) }
    mutating func add(_ key: StaticString, _ number: Int) { event.add(key, number) }
    mutating func add(_ key: StaticString, _ address: PeerAddress) { event.add(key, address) }
    mutating func add(_ key: StaticString, _ id: RequestID) { event.add(key, id) }

    /// Ends the line and writes it. A log that cannot take it loses it.
    mutating func end() {
        event.end()
        guard !isQuiet, errorFile >= 0 else { return }
        _ = LogFile.write(event.bytes, to: errorFile)
    }
}
