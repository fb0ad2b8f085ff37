public import Board
import Memory

/// Raises signals: writes records into one ring, and nothing at all for a signal that nobody
/// listens to.
///
/// One for each edge, into its own ring, and one for the master. No system call, no allocation, no
/// lock. The loop calls `takeSleepers` once a turn and writes the eventfds of the plug-in hosts it
/// returns.
public struct SignalWriter: ~Copyable {
    private let rings: SignalRings
    private var ring: RingWriter
    private var hasWritten = false

    /// - Parameter ring: the edge's slot, or `rings.masterRing`.
    public init(_ rings: SignalRings, ring: Int) {
        self.rings = rings
        self.ring = rings.writer(of: ring)
    }

    /// Whether somebody listens to `signal`; what is only made for it can be left out otherwise.
    @inlinable
    public func isHeard(_ signal: Signal) -> Bool {
        SignalSet(rawValue: listened).contains(signal)
    }

    @usableFromInline var listened: UInt64 { rings.listened }

    /// The plug-in hosts that sleep although something was raised since the last call: bit I is
    /// reader I, whose eventfd the caller writes now.
    public mutating func takeSleepers(_ readers: SleepingReaders) -> UInt64 {
        guard hasWritten else { return 0 }
        hasWritten = false
        return readers.takeSleeping()
    }

    // MARK: the life of a request

    /// Raises `request_started` and enters the request into the ledger.
    ///
    /// - Parameters:
    ///   - service: the service's index in the table.
    ///   - now: monotonic nanoseconds; the wall-clock time is that of `facts`.
    /// - Returns: the request's entry, for `finish`; nil when the ledger is full: answer 503,
    ///   nothing was raised.
    public mutating func start(
        _ facts: RequestFacts, _ text: RequestText, service: Int, now: UInt64,
        in ledger: inout RequestLedger
    ) -> Int? {
        let isHeard = isHeard(.requestStarted)
        let entry = ledger.start(
            idHigh: facts.id.high, idLow: facts.id.low, service: service,
            connection: facts.connection, startedWall: facts.wall, startedAt: now,
            position: isHeard ? ring.next : RingPosition.none)
        guard let entry else { return nil }
        if isHeard {
            let position = ring.begin()
            var writer = ring.payload(at: position)
            writer.writeStarted(facts, text, wall: facts.wall)
            publish(position, writer)
        }
        ledger.setPhase(.queued, of: entry)
        return entry
    }

    /// Raises `request_finished`, exactly once for each entry, and `request_tearing_down`, and
    /// clears the entry.
    ///
    /// The entry says before each record where it is going to stand, so that the master can tell
    /// what a killed edge has raised (`raiseMissing`).
    /// - Parameter wall: Unix nanoseconds.
    public mutating func finish(
        _ entry: Int, _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText,
        wall: UInt64, in ledger: inout RequestLedger
    ) {
        let finishedIsHeard = isHeard(.requestFinished)
        ledger.setPhase(
            .finishing, of: entry, position: finishedIsHeard ? ring.next : RingPosition.none)
        if finishedIsHeard { writeFinished(facts, result, text, wall: wall) }
        let tearingDownIsHeard = isHeard(.requestTearingDown)
        ledger.setPhase(
            .tearingDown, of: entry, position: tearingDownIsHeard ? ring.next : RingPosition.none)
        if tearingDownIsHeard {
            writeTearingDown(facts.id, result.outcome, service: text.service, wall: wall)
        }
        ledger.clear(entry)
    }

    /// Raises `request_exception`.
    public mutating func requestException(
        _ facts: ExceptionFacts, _ text: ExceptionText, wall: UInt64
    ) {
        guard isHeard(.requestException) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeException(facts, text, wall: wall)
        publish(position, writer)
    }

    mutating func writeFinished(
        _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText, wall: UInt64
    ) {
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeFinished(facts, result, text, wall: wall)
        publish(position, writer)
    }

    mutating func writeTearingDown(
        _ id: RequestID, _ outcome: Outcome, service: Span<UInt8>, wall: UInt64
    ) {
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeTearingDown(id, outcome, service: service, wall: wall)
        publish(position, writer)
    }

    // MARK: connections; the sender is the listener's URL

    /// Raises `connection_opened`.
    public mutating func connectionOpened(
        _ facts: ConnectionFacts, listener: Span<UInt8>, wall: UInt64
    ) {
        guard isHeard(.connectionOpened) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeOpened(facts, listener: listener, wall: wall)
        publish(position, writer)
    }

    /// Raises `connection_closed`.
    public mutating func connectionClosed(
        _ facts: ConnectionFacts, _ result: ConnectionResult, listener: Span<UInt8>, wall: UInt64
    ) {
        guard isHeard(.connectionClosed) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeClosed(facts, result, listener: listener, wall: wall)
        publish(position, writer)
    }

    /// Raises `tls_handshake_finished`.
    /// - Parameters:
    ///   - duration: nanoseconds.
    ///   - sni: the name the client asked for, empty for none.
    public mutating func handshakeFinished(
        _ facts: ConnectionFacts, _ tls: TLSFacts, duration: UInt64, sni: Span<UInt8>,
        listener: Span<UInt8>, wall: UInt64
    ) {
        guard isHeard(.tlsHandshakeFinished) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeHandshake(
            facts, tls, duration: duration, sni: sni, listener: listener, wall: wall)
        publish(position, writer)
    }

    /// Raises `tls_handshake_failed`.
    /// - Parameters:
    ///   - alert: the alert's number (RFC 8446 section 6), 0 for none.
    ///   - duration: nanoseconds.
    public mutating func handshakeFailed(
        _ facts: ConnectionFacts, _ reason: HandshakeFailure, alert: UInt8, duration: UInt64,
        sni: Span<UInt8>, listener: Span<UInt8>, wall: UInt64
    ) {
        guard isHeard(.tlsHandshakeFailed) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeHandshake(
            facts, failed: reason, alert: alert, duration: duration, sni: sni, listener: listener,
            wall: wall)
        publish(position, writer)
    }

    // MARK: health; raised by edges

    /// Raises `upstream_up` or `upstream_down`.
    public mutating func healthChanged(
        isUp: Bool, _ change: HealthChange, endpoint: Span<UInt8>, service: Span<UInt8>,
        wall: UInt64
    ) {
        guard isHeard(isUp ? .upstreamUp : .upstreamDown) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeHealth(isUp: isUp, change, endpoint: endpoint, service: service, wall: wall)
        publish(position, writer)
    }

    // MARK: workers and configuration; raised by the master

    /// Raises `worker_started`.
    public mutating func workerStarted(
        slot: UInt32, pid: UInt32, service: Span<UInt8>, wall: UInt64
    ) {
        worker(.workerStarted, slot, pid, 0, .exit, 0, service, wall)
    }

    /// Raises `worker_ready`.
    /// - Parameter duration: nanoseconds from its start.
    public mutating func workerReady(
        slot: UInt32, pid: UInt32, duration: UInt64, service: Span<UInt8>, wall: UInt64
    ) {
        worker(.workerReady, slot, pid, duration, .exit, 0, service, wall)
    }

    /// Raises `worker_exited`.
    /// - Parameters:
    ///   - lived: nanoseconds from its start.
    ///   - status: the exit status, or the number of the signal that ended it.
    public mutating func workerExited(
        slot: UInt32, pid: UInt32, lived: UInt64, reason: WorkerEnd, status: UInt16,
        service: Span<UInt8>, wall: UInt64
    ) {
        worker(.workerExited, slot, pid, lived, reason, status, service, wall)
    }

    private mutating func worker(
        _ signal: Signal, _ slot: UInt32, _ pid: UInt32, _ duration: UInt64, _ end: WorkerEnd,
        _ status: UInt16, _ service: Span<UInt8>, _ wall: UInt64
    ) {
        guard isHeard(signal) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeWorker(
            signal, slot: slot, pid: pid, seconds: duration, end: end, status: status,
            service: service, wall: wall)
        publish(position, writer)
    }

    /// Raises `config_reloaded`.
    /// - Parameter differences: what changed, a line each.
    public mutating func configurationReloaded(
        generation: UInt64, differences: Span<UInt8>, wall: UInt64
    ) {
        note(.configReloaded, generation, differences, ("proxy" as StaticString).bytes, wall)
    }

    /// Raises `config_rejected`.
    /// - Parameters:
    ///   - generation: the one that serves on.
    ///   - diagnostics: what is wrong, a line each.
    public mutating func configurationRejected(
        generation: UInt64, diagnostics: Span<UInt8>, wall: UInt64
    ) {
        note(.configRejected, generation, diagnostics, ("proxy" as StaticString).bytes, wall)
    }

    private mutating func note(
        _ signal: Signal, _ number: UInt64, _ note: Span<UInt8>, _ sender: Span<UInt8>,
        _ wall: UInt64
    ) {
        guard isHeard(signal) else { return }
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.writeNote(signal, number: number, note: note, sender: sender, wall: wall)
        publish(position, writer)
    }

    /// A record that did not fit would be a fault of the limits in `SignalPayloads.swift`; tests
    /// hold them.
    private mutating func publish(_ position: UInt64, _ writer: borrowing ByteWriter) {
        precondition(!writer.isOverfull)
        ring.publish(position, count: writer.count)
        hasWritten = true
    }
}
