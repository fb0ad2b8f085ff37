import Board
import Memory
import Signals

/// The rings of all edges and of the master, read one after the other, each in order.
struct RingSources {
    private let readers: SleepingReaders
    private let reader: Int
    private var rings: [RingReader]
    private var record = [UInt8](repeating: 0, count: SignalRings.payloadMax)

    /// Begins with what is published from now on.
    init(_ rings: SignalRings, _ readers: SleepingReaders, reader: Int) {
        self.readers = readers
        self.reader = reader
        self.rings = (0..<rings.count).map { rings.reader(of: $0) }
    }

    /// Takes at most `limit` records.
    ///
    /// - Parameters:
    ///   - lost: called with the number of records that a ring was ahead by too much.
    /// - Returns: how many were taken; `limit` when there may be more.
    mutating func take(
        limit: Int, record take: (Span<UInt8>) -> Void, lost: (UInt64) -> Void
    ) -> Int {
        var taken = 0
        var record: [UInt8] = []
        swap(&record, &self.record)
        defer { swap(&record, &self.record) }
        for index in rings.indices {
            while taken < limit {
                var target = record.mutableSpan
                switch rings[index].next(into: &target) {
                case .record(let count, _):
                    taken += 1
                    take(record.span.extracting(0..<count))
                case .lapped(let count):
                    taken += 1
                    lost(count)
                case .empty: break
                }
                if !rings[index].hasNews { break }
            }
        }
        return taken
    }

    /// Says that this reader sleeps; false, and it is awake, when something came meanwhile.
    func fallAsleep() -> Bool {
        readers.fallAsleep(reader)
        guard rings.contains(where: { $0.hasNews }) else { return true }
        readers.wakeUp(reader)
        return false
    }

    func wakeUp() {
        readers.wakeUp(reader)
    }
}
