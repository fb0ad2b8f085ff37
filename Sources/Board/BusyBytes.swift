public import Memory

/// A file `busy` of one service: a byte for each place of each of its workers, which the worker
/// sets to 1 before it calls the app and to 0 after the answer is written.
///
/// The master makes it with the service and keeps it for the next service in the same slot, since
/// memory stays mapped.
@frozen
public struct BusyBytes: Sendable {
    private let region: SharedRegion
    /// Workers there is room for, the incarnations that are being replaced included.
    public let workers: Int

    /// Makes the file; its descriptor, which is handed to the workers, becomes the caller's.
    public static func create(
        workers: Int
    ) throws(SharedMemoryError) -> (bytes: BusyBytes, descriptor: Int32) {
        precondition(workers > 0 && workers <= 1 << 20)
        let size = offset(worker: workers)
        let (region, descriptor) = try SharedRegion.create(name: "proxy-busy", size: size)
        BoardHeader.write(
            into: region, kind: .busy, capacities: [workers], constants: [placesMax])
        return (BusyBytes(region, workers: workers), descriptor)
    }

    /// Opens the file that the master made.
    public init(_ region: SharedRegion) throws(BoardError) {
        let found = try BoardHeader.capacities(of: region, kind: .busy, count: 1)
        guard 1...(1 << 20) ~= found[0] else { throw .foreign }
        try BoardHeader.check(
            region, kind: .busy, capacities: found, constants: [placesMax],
            size: Self.offset(worker: found[0]))
        self.init(region, workers: found[0])
    }

    private init(_ region: SharedRegion, workers: Int) {
        self.region = region
        self.workers = workers
    }

    /// Where a worker's bytes begin in the file: the `busy_offset` it is told. Place n is n bytes
    /// further.
    public static func offset(worker: Int) -> Int { BoardHeader.size + worker * placesMax }

    /// True while the worker is at work on the request in a place.
    public func isBusy(worker: Int, place: Int) -> Bool {
        byte(worker, place).loadAcquiring() != 0
    }

    /// Says whether a worker is at work on the request in a place; called by the worker.
    public func set(_ isBusy: Bool, worker: Int, place: Int) {
        byte(worker, place).storeReleasing(isBusy ? 1 : 0)
    }

    /// Clears a worker's bytes, after it ended and before another gets its room.
    public func clear(worker: Int) {
        for place in 0..<placesMax { byte(worker, place).storeReleasing(0) }
    }

    private func byte(_ worker: Int, _ place: Int) -> SharedByte {
        precondition(worker >= 0 && worker < workers && place >= 0 && place < placesMax)
        return region.byte(at: Self.offset(worker: worker) + place)
    }
}
