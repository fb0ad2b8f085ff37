import Board
import Memory

/// What a record of these scenarios says: 0 started, 1 finished, 2 torn down; and of which request.
struct Note: Equatable {
    var event: UInt8
    var request: UInt8
}

extension RingWriter {
    /// Writes one record: the event and the request, then a pattern that a torn record would not
    /// have.
    mutating func raise(_ note: Note) {
        let position = begin()
        var writer = payload(at: position)
        writer.write(note.event)
        writer.write(note.request)
        for index in 0..<40 { writer.write(UInt8(truncatingIfNeeded: index) ^ note.request) }
        publish(position, count: 42)
    }
}

/// Reads all that a reader finds; nil for a record that is not whole.
func readAll(_ reader: inout RingReader) -> [Note?] {
    var notes: [Note?] = []
    var bytes = [UInt8](repeating: 0, count: SignalRings.payloadMax)
    for _ in 0..<100 {
        var target = bytes.mutableSpan
        switch reader.next(into: &target) {
        case .empty: return notes
        case .lapped: continue
        case .record(let count, _):
            let isWhole =
                count == 42
                && (0..<40).allSatisfy { bytes[2 + $0] == UInt8($0) ^ bytes[1] }
            notes.append(isWhole ? Note(event: bytes[0], request: bytes[1]) : nil)
        }
    }
    return notes
}

/// Two requests start and finish at the victim; afterwards each that started has finished and is
/// torn down, once.
func requestsScenario(_ checker: Checker, broken: Bool) -> Int {
    var reader: RingReader?
    return atEveryStep(checker) {
        let stage = Stage(capacity: 2)
        reader = stage.rings.reader(of: stage.victim.slot)
        return stage
    } operate: { stage, arm in
        var ledger = RequestLedger(stage.table, edge: stage.victim)
        var ring = stage.rings.writer(of: stage.victim.slot)
        arm()
        let first = start(1, &ledger, &ring)
        ledger.setPhase(.connecting, of: first)
        ledger.setEndpoint(stage.endpoint, of: first)
        let second = start(2, &ledger, &ring)
        ledger.setPhase(.sending, of: first)
        finish(1, first, &ledger, &ring, marksFirst: !broken)
        finish(2, second, &ledger, &ring, marksFirst: !broken)
    } check: { stage, isWhole in
        var ring = stage.rings.writer(of: stage.victim.slot)
        let recovery = stage.recover()
        for request in recovery.requests where request.startedIsRaised {
            let number = UInt8(request.idLow)
            if !request.finishedIsRaised { ring.raise(Note(event: 1, request: number)) }
            if !request.tearingDownIsRaised { ring.raise(Note(event: 2, request: number)) }
        }
        guard var reader else { return }
        let notes = readAll(&reader)
        checker.expect(!notes.contains(nil), "a torn record")
        for number: UInt8 in [1, 2] {
            let events = notes.compactMap { $0 }.filter { $0.request == number }.map(\.event)
            checker.expect(
                events == [0, 1, 2] || events.isEmpty && !isWhole,
                "request \(number): \(events)")
        }
        checker.expect(
            stage.table.requestsInFlight(edgeSlot: stage.victim.slot, ringHead: .max).isEmpty,
            "an entry is left")
    }
}

private func start(
    _ number: UInt8, _ ledger: inout RequestLedger, _ ring: inout RingWriter
) -> Int {
    let slot = ledger.start(
        idHigh: 7, idLow: UInt64(number), service: 0, connection: 9, startedWall: 1,
        startedAt: 2, position: ring.next)
    guard let slot else { preconditionFailure("the ledger is full") }
    ring.raise(Note(event: 0, request: number))
    ledger.setPhase(.queued, of: slot)
    return slot
}

/// - Parameter marksFirst: false breaks the order that makes it safe.
private func finish(
    _ number: UInt8, _ slot: Int, _ ledger: inout RequestLedger, _ ring: inout RingWriter,
    marksFirst: Bool
) {
    if marksFirst { ledger.setPhase(.finishing, of: slot, position: ring.next) }
    ring.raise(Note(event: 1, request: number))
    ledger.setPhase(.tearingDown, of: slot, position: ring.next)
    ring.raise(Note(event: 2, request: number))
    ledger.clear(slot)
}

/// The victim writes more records than the ring has; readers see whole records only, and the next
/// writer goes on.
func ringScenario(_ checker: Checker, broken: Bool) -> Int {
    var reader: RingReader?
    return atEveryStep(checker) {
        let stage = Stage(capacity: 1)
        var ring = stage.rings.writer(of: stage.victim.slot)
        for number: UInt8 in 0..<10 { ring.raise(Note(event: 0, request: number)) }
        reader = stage.rings.reader(of: stage.victim.slot)
        for number: UInt8 in 10..<24 { ring.raise(Note(event: 0, request: number)) }
        return stage
    } operate: { stage, arm in
        var ring = stage.rings.writer(of: stage.victim.slot)
        arm()
        for number: UInt8 in 24..<30 { ring.raise(Note(event: 0, request: number)) }
    } check: { stage, isWhole in
        guard var reader else { return }
        let head = stage.rings.head(of: stage.victim.slot)
        checker.expect(head >= 24 && head <= 30 && (!isWhole || head == 30), "the head \(head)")
        var late = stage.rings.reader(of: stage.victim.slot)
        let seen = readAll(&reader)
        checker.expect(!seen.contains(nil), "a torn record")
        let numbers = seen.compactMap { $0?.request }
        checker.expect(numbers == Array(10..<10 + UInt8(numbers.count)), "order: \(numbers)")
        checker.expect(
            numbers.count == Int(head) - 10 || head >= 26, "a record that was there is gone")
        var ring = stage.rings.writer(of: stage.victim.slot)
        if !broken { ring.raise(Note(event: 1, request: 99)) }
        checker.expect(
            readAll(&late) == [Note(event: 1, request: 99)], "the successor's record")
    }
}

/// Ticket keys are rotated; a reader finds the three keys of before or of after, never a mixture.
func keysScenario(_ checker: Checker, broken: Bool) -> Int {
    func key(_ number: UInt8) -> [UInt8] { Array(repeating: number, count: TicketKeys.keySize) }
    return atEveryStep(checker) {
        do {
            let made = try TicketKeys.create(keys: (key(3) + key(2) + key(1)).span, now: 1)
            return made.keys
        } catch { preconditionFailure("\(error)") }
    } operate: { keys, arm in
        arm()
        keys.rotate(next: key(4).span, now: 2)
        keys.rotate(next: key(5).span, now: 3)
    } check: { keys, isWhole in
        var bytes = [UInt8](repeating: 0, count: 3 * TicketKeys.keySize)
        var target = bytes.mutableSpan
        let sequence = keys.copyKeys(into: &target)
        let number = UInt8(sequence) + (broken ? 1 : 0)
        checker.expect(
            bytes == key(3 + number) + key(2 + number) + key(1 + number), "the keys are torn")
        checker.expect(!isWhole || sequence == 2, "two rotations")
        keys.rotate(next: key(9).span, now: 4)
        target = bytes.mutableSpan
        let next = keys.copyKeys(into: &target)
        checker.expect(next == sequence + 1, "the rotation after")
        checker.expect(
            bytes == key(9) + key(3 + UInt8(sequence)) + key(2 + UInt8(sequence)),
            "the rotation after is torn")
    }
}
