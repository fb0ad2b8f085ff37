import CLinux
import Memory
import Testing

@testable import Board

@Suite struct MetricsBoardTests {
    @Test func `totals are over all edges, and outlive them; levels fall to zero`() throws {
        let board = try MetricsBoard.create(edgeSlots: 2, services: 3).board
        for slot in 0..<2 {
            let block = board.block(slot)
            block.add(.requests, 5)
            block.add(.connections, 3)
            block.subtract(.connections)
            block.add(.requests, service: 2, 100)
            block.add(.requests, service: 1)
            block.addConnection(listener: 1)
            block.addConnection(listener: 99)
        }
        #expect(board.total(.requests) == 10 && board.total(.connections) == 4)
        #expect(board.total(.requests, service: 2) == 200)
        #expect(board.connections(listener: 1) == 2)
        #expect(board.connections(listener: listenersMax - 1) == 2)
        board.clearGauges(edgeSlot: 0)
        #expect(board.total(.requests) == 10 && board.total(.connections) == 2)
        #expect(board.total(.requests, service: 1) == 2)
        #expect(board.connections(listener: 1) == 1)
        board.clear(service: 2)
        #expect(board.total(.requests, service: 2) == 0)
        #expect(board.total(.requests, service: 1) == 2)
    }

    @Test func `counters do not overlap`() throws {
        let board = try MetricsBoard.create(edgeSlots: 1, services: 2).board
        let block = board.block(0)
        for metric in EdgeMetric.allCases { block.add(metric, UInt64(metric.rawValue) + 1) }
        for service in 0..<2 {
            for metric in ServiceMetric.allCases {
                block.add(metric, service: service, UInt64(1000 * service + metric.rawValue))
            }
        }
        for metric in EdgeMetric.allCases { #expect(block[metric] == UInt64(metric.rawValue) + 1) }
        for service in 0..<2 {
            for metric in ServiceMetric.allCases {
                #expect(block[metric, service: service] == UInt64(1000 * service + metric.rawValue))
            }
        }
    }
}

@Suite struct SharedFileTests {
    @Test func `a read-only descriptor cannot be mapped for writing`() throws {
        let made = try BusyBytes.create(workers: 2)
        let readOnly = try SharedRegion.readOnlyDescriptor(of: made.descriptor)
        let reader = try BusyBytes(SharedRegion(mapping: readOnly, access: .readOnly))
        made.bytes.set(true, worker: 1, place: 63)
        #expect(reader.isBusy(worker: 1, place: 63) && !reader.isBusy(worker: 1, place: 62))
        #expect(throws: SharedMemoryError.self) {
            try SharedRegion(mapping: readOnly, access: .readWrite)
        }
        made.bytes.clear(worker: 1)
        #expect(!reader.isBusy(worker: 1, place: 63))
        close(readOnly)
    }

    @Test func `a file can be neither shrunk nor grown, and is its owner's alone`() throws {
        let made = try SharedRegion.create(name: "sealed", size: 100)
        #expect(made.region.size == 100)
        #expect(ftruncate(made.descriptor, 10) == -1)
        #expect(ftruncate(made.descriptor, 1000) == -1)
        var status = stat()
        #expect(unsafe fstat(made.descriptor, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(clinux_fcntl(made.descriptor, F_GETFD, 0) & FD_CLOEXEC != 0)
        close(made.descriptor)
    }

    @Test func `a busy byte lies where the worker is told`() throws {
        let made = try BusyBytes.create(workers: 2)
        let region = try SharedRegion(mapping: made.descriptor, access: .readWrite)
        region.byte(at: BusyBytes.offset(worker: 1) + 5).storeReleasing(1)
        #expect(BusyBytes.offset(worker: 0) == 128)
        #expect(made.bytes.isBusy(worker: 1, place: 5))
    }
}

@Suite struct RingTests {
    private func raise(_ text: String, _ ring: inout RingWriter) {
        let position = ring.begin()
        var writer = ring.payload(at: position)
        writer.write(Array(text.utf8).span)
        ring.publish(position, count: text.utf8.count)
    }

    private func read(_ reader: inout RingReader) -> String {
        var bytes = [UInt8](repeating: 0, count: SignalRings.payloadMax)
        var target = bytes.mutableSpan
        return switch reader.next(into: &target) {
        case .empty: "empty"
        case .lapped(let lost): "lost \(lost)"
        case .record(let count, let position):
            "\(position) \(String(decoding: bytes[..<count], as: UTF8.self))"
        }
    }

    @Test func `each reader gets every record, in order`() throws {
        let rings = try SignalRings.create(edgeSlots: 2, records: 4).rings
        var ring = rings.writer(of: rings.masterRing)
        var readers = [rings.reader(of: 2), rings.reader(of: 2)]
        raise("a", &ring)
        raise("b", &ring)
        for index in readers.indices {
            #expect(readers[index].hasNews)
            #expect(read(&readers[index]) == "0 a")
            #expect(read(&readers[index]) == "1 b")
            #expect(read(&readers[index]) == "empty")
            #expect(!readers[index].hasNews)
        }
        #expect(rings.head(of: 0) == 0)
    }

    @Test func `a lapped reader jumps to the head and knows its loss`() throws {
        let rings = try SignalRings.create(edgeSlots: 1, records: 4).rings
        var ring = rings.writer(of: 0)
        var reader = rings.reader(of: 0)
        for number in 0..<4 { raise("\(number)", &ring) }
        #expect(read(&reader) == "0 0")
        for number in 4..<6 { raise("\(number)", &ring) }
        #expect(read(&reader) == "lost 5")
        #expect(read(&reader) == "empty")
        raise("6", &ring)
        #expect(read(&reader) == "6 6")
    }

    @Test func `a record that is being written over is not read`() throws {
        let rings = try SignalRings.create(edgeSlots: 1, records: 2).rings
        var ring = rings.writer(of: 0)
        var reader = rings.reader(of: 0)
        raise("0", &ring)
        raise("1", &ring)
        _ = ring.begin()
        #expect(read(&reader) == "lost 2")
    }

    @Test func `a writer goes on where the one before stopped`() throws {
        let rings = try SignalRings.create(edgeSlots: 1, records: 8).rings
        var reader = rings.reader(of: 0)
        var first = rings.writer(of: 0)
        raise("a", &first)
        _ = first.begin()
        var second = rings.writer(of: 0)
        #expect(second.next == 1)
        raise("b", &second)
        #expect(read(&reader) == "0 a")
        #expect(read(&reader) == "1 b")
    }

    @Test func `nothing is listened to until the master says so`() throws {
        let rings = try SignalRings.create(edgeSlots: 1, records: 8).rings
        #expect(rings.listened == 0)
        rings.setListened(5)
        #expect(rings.listened == 5)
    }

    @Test func `a sleeping reader is woken once`() throws {
        let readers = try SleepingReaders.create().readers
        #expect(readers.takeSleeping() == 0)
        readers.fallAsleep(3)
        readers.fallAsleep(63)
        readers.fallAsleep(4)
        readers.wakeUp(4)
        #expect(readers.takeSleeping() == UInt64(1) << 3 | UInt64(1) << 63)
        #expect(readers.takeSleeping() == 0)
    }
}
