internal import Board
internal import Linux
internal import Memory
internal import Routing

/// The files of shared memory and the eventfds that go with them; made once, and the same for every
/// generation.
final class SharedMemory {
    let table: Table
    let board: MetricsBoard
    let rings: SignalRings
    let readers: SleepingReaders
    let keys: TicketKeys
    let tableFile: OpenFile
    let boardFile: OpenFile
    let ringsFile: OpenFile
    /// The rings for those who only read them.
    let ringsReadOnlyFile: OpenFile
    let readersFile: OpenFile
    /// The ticket keys for edges, who only read them.
    let keysFile: OpenFile
    /// The eventfd of each edge slot.
    let wakes: [OpenFile]
    /// The eventfd of each reader of the rings.
    let readerWakes: [OpenFile]

    /// Edge slots: four generations of sixteen edges, which is also all there can be.
    static let edgeSlots = edgeSlotsMax
    /// Records a ring holds, of 2 KiB each: a host that sleeps 10 ms at 50,000 signals a second
    /// loses none.
    private static let ringRecords = 1024
    /// Hosts that read the rings: the one that runs, the one that is to replace it, and those that
    /// still deliver.
    static let readerCount = 4
    /// Requests in flight an edge may have beyond its connections: retries that end while the next
    /// begins.
    private static let requestsSpare = 64

    /// Rows a service or endpoint may need at once: one for each generation of edges that lives,
    /// and one for the generation that is being prepared.
    private static let generations = EdgeFleet.generationsMax + 1

    /// Connections an edge may have there is room for: as many as the default asks for at least,
    /// since where open files limit it, it depends on the services and may rise with a reload.
    private static func connections(_ front: FrontOptions) -> Int {
        let most = max(front.connections, FrontOptions.connectionsDefault)
        return (most + front.edges - 1) / front.edges
    }

    /// The most connections of an edge that all can have a request in flight.
    var connectionsPerEdge: Int { table.layout.requestsPerEdge - Self.requestsSpare }

    init(_ front: FrontOptions) throws(MasterFailure) {
        do {
            let services = front.services * Self.generations
            let layout = TableLayout(
                services: services, endpoints: front.endpoints * Self.generations,
                edgeSlots: Self.edgeSlots,
                requestsPerEdge: min(1 << 20, Self.connections(front) + Self.requestsSpare))
            let secret = try Randomness.bytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let table = try Table.create(layout, secret: secret)
            (self.table, tableFile) = (table.table, Self.file(table.descriptor))
            let board = try MetricsBoard.create(
                edgeSlots: Self.edgeSlots, services: services)
            (self.board, boardFile) = (board.board, Self.file(board.descriptor))
            let rings = try SignalRings.create(
                edgeSlots: Self.edgeSlots, records: Self.ringRecords)
            (self.rings, ringsFile) = (rings.rings, Self.file(rings.descriptor))
            ringsReadOnlyFile = Self.file(
                try SharedRegion.readOnlyDescriptor(of: rings.descriptor))
            let readers = try SleepingReaders.create()
            (self.readers, readersFile) = (readers.readers, Self.file(readers.descriptor))
            let random = try Randomness.bytes(3 * TicketKeys.keySize)
            let keys = try TicketKeys.create(keys: random.span, now: Clock.wall)
            self.keys = keys.keys
            keysFile = Self.file(try SharedRegion.readOnlyDescriptor(of: keys.descriptor))
            _ = Descriptor(owning: keys.descriptor)
            wakes = try Self.counters(Self.edgeSlots)
            readerWakes = try Self.counters(Self.readerCount)
        } catch {
            throw MasterFailure(.failed, "cannot make shared memory: \(error)")
        }
    }

    private static func file(_ number: Int32) -> OpenFile {
        OpenFile(owning: Descriptor(owning: number))
    }

    private static func counters(_ count: Int) throws(SystemError) -> [OpenFile] {
        var files: [OpenFile] = []
        for _ in 0..<count { files.append(OpenFile(owning: try EventCounter.make())) }
        return files
    }

    /// Wakes the edges of a mask.
    func wake(edges mask: UInt64) {
        for slot in wakes.indices where mask & 1 << UInt64(slot) != 0 {
            EventCounter.signal(wakes[slot].number)
        }
    }

    /// Wakes the readers of a mask.
    func wake(readers mask: UInt64) {
        for reader in readerWakes.indices where mask & 1 << UInt64(reader) != 0 {
            EventCounter.signal(readerWakes[reader].number)
        }
    }
}
