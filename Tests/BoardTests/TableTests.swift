import Testing

@testable import Board
@testable import Memory

func makeTable(
    services: Int = 3, endpoints: Int = 6, edgeSlots: Int = 4, requests: Int = 4
) throws -> Table {
    try Table.create(
        TableLayout(
            services: services, endpoints: endpoints, edgeSlots: edgeSlots,
            requestsPerEdge: requests)
    ).table
}

extension Table {
    func addWorker(
        _ service: Int = 0, capacity: Int = 1, number: Int = 1, kind: EndpointKind = .ours
    ) throws -> EndpointReference {
        let endpoint = try addEndpoint(
            EndpointPlan(
                service: service, kind: kind, capacity: capacity, number: number,
                address: .unix(path: Array("/run/w".utf8))))
        _ = setState(.ready, of: endpoint)
        return endpoint
    }

    func take(_ reference: EndpointReference, _ edge: EdgeIdentity) -> Taking {
        let index = Int(reference.index)
        return take(index, expecting: endpoint(index).status, service: 0, for: edge)
    }

    func lease(_ reference: EndpointReference, _ edge: EdgeIdentity) throws -> Lease {
        guard case .taken(let lease) = take(reference, edge) else { throw BoardError.full("test") }
        return lease
    }
}

@Suite struct TableTests {
    @Test func `a child opens what the master made, and finds the same capacities`() throws {
        let made = try Table.create(
            TableLayout(services: 5, endpoints: 7, edgeSlots: 3, requestsPerEdge: 9))
        let opened = try Table(SharedRegion(mapping: made.descriptor, access: .readWrite))
        #expect(opened.layout == made.table.layout)
        _ = try made.table.addService(name: "web", queueLimit: 7)
        #expect(opened.service(0).queueLimit == 7)
        let name = opened.service(0).name
        #expect(name.indices.map { name[$0] } == Array("web".utf8))
    }

    @Test func `another build's layout, another file and zeros are refused`() throws {
        let table = try makeTable()
        table.region.word(at: 16).storeRelaxed(1)
        #expect(throws: BoardError.self) { try Table(table.region) }
        let board = try MetricsBoard.create(edgeSlots: 1, services: 1)
        let region = try SharedRegion(mapping: board.descriptor, access: .readOnly)
        #expect(throws: BoardError.foreign) { try Table(region) }
        let zeros = try SharedRegion.create(name: "zeros", size: 4096).region
        #expect(throws: BoardError.foreign) { try Table(zeros) }
        let small = try SharedRegion.create(name: "small", size: 8).region
        #expect(throws: BoardError.foreign) { try Table(small) }
    }

    @Test func `words of different edges never share a cache line where they contend`() {
        let layout = TableLayout(services: 3, endpoints: 5, edgeSlots: 3, requestsPerEdge: 2)
        for start in [
            layout.edgesAt, layout.servicesAt, layout.endpointsAt, layout.placesAt,
            layout.cellsAt, layout.waitersAt, layout.requestsAt,
        ] { #expect(start % 64 == 0) }
        for size in [
            EdgeField.recordSize, ServiceField.recordSize, EndpointField.recordSize,
            WaiterField.recordSize, RequestField.recordSize,
        ] { #expect(size % 64 == 0) }
    }

    @Test(arguments: [
        EndpointAddress.unix(path: Array(repeating: 0x61, count: addressBytesMax)),
        .ipv4(address: [10, 0, 0, 5], port: 8080),
        .ipv6(address: Array(1...16), port: 443, scope: 3),
    ])
    func `an address is read as it was written`(address: EndpointAddress) throws {
        let table = try makeTable()
        let endpoint = try table.addEndpoint(
            EndpointPlan(
                service: 0, kind: .upstream, capacity: 0, number: 0, address: address))
        #expect(table.endpoint(Int(endpoint.index)).address == address)
    }

    @Test func `an address or a name that is too long is refused`() throws {
        let table = try makeTable()
        #expect(throws: BoardError.tooLong("address")) {
            try table.addEndpoint(
                EndpointPlan(
                    service: 0, kind: .ours, capacity: 1, number: 1,
                    address: .unix(path: Array(repeating: 1, count: 108))))
        }
        #expect(throws: BoardError.tooLong("service name")) {
            try table.addService(name: String(repeating: "x", count: 65), queueLimit: 1)
        }
    }

    @Test func `full tables say so`() throws {
        let table = try makeTable(services: 1, endpoints: 1, edgeSlots: 1)
        _ = try table.addService(name: "web", queueLimit: 1)
        _ = try table.addWorker()
        _ = try table.openEdge(number: 0, configuration: 1)
        #expect(throws: BoardError.full("services")) {
            try table.addService(name: "b", queueLimit: 1)
        }
        #expect(throws: BoardError.full("endpoints")) { try table.addWorker() }
        #expect(throws: BoardError.full("edges")) {
            try table.openEdge(number: 1, configuration: 1)
        }
    }

    @Test func `an edge gets the slot that is asked for, whatever others are free`() throws {
        let table = try makeTable(edgeSlots: 3)
        let edge = try table.openEdge(number: 0, configuration: 1, slot: 1)
        #expect(edge.slot == 1)
        #expect(throws: BoardError.full("edges")) {
            try table.openEdge(number: 1, configuration: 1, slot: 1)
        }
        #expect(try table.openEdge(number: 1, configuration: 1).slot == 0)
    }

    @Test(arguments: [1, 8, 64, 65, 300])
    func `never more leases than the capacity`(capacity: Int) throws {
        let table = try makeTable()
        let edges = try (0..<2).map { try table.openEdge(number: $0, configuration: 1) }
        _ = try table.addService(name: "web", queueLimit: 1)
        let worker = try table.addWorker(capacity: capacity)
        var leases: [Lease] = []
        for turn in 0..<capacity { leases.append(try table.lease(worker, edges[turn % 2])) }
        #expect(table.take(worker, edges[0]) == .full)
        #expect(table.take(worker, edges[1]) == .full)
        #expect(table.inFlight(Int(worker.index), capacity: capacity) == capacity)
        if capacity <= placesMax { #expect(Set(leases.map(\.place)).count == capacity) }
        for (turn, lease) in leases.enumerated() { table.release(lease, of: edges[turn % 2]) }
        #expect(table.inFlight(Int(worker.index), capacity: capacity) == 0)
        #expect(table.requests(Int(worker.index)) == UInt64(capacity))
    }

    @Test
    func `a slot is used again only when nobody holds a place, and old references are out of date`()
        throws
    {
        let table = try makeTable(endpoints: 1)
        let edge = try table.openEdge(number: 0, configuration: 1)
        _ = try table.addService(name: "web", queueLimit: 1)
        let old = try table.addWorker()
        let oldStatus = table.endpoint(0).status
        let lease = try table.lease(old, edge)
        table.retire(old)
        #expect(table.take(old, edge) == .gone)
        #expect(table.reclaimEndpoints() == [])
        table.release(lease, of: edge)
        #expect(table.reclaimEndpoints() == [old])
        let new = try table.addWorker()
        #expect(new.index == old.index && new.generation != old.generation)
        #expect(table.take(0, expecting: oldStatus, service: 0, for: edge) == .gone)
        #expect(table.setState(.failed, of: old) == 0)
        #expect(table.endpoint(0).status.state == .ready)
        #expect(!table.markDown(old))
        #expect(table.markDown(new))
        #expect(table.endpoint(0).status.state == .down)
    }

    @Test func `freeing a slot takes no place from an edge that is just trying it`() throws {
        let table = try makeTable()
        let edge = try table.openEdge(number: 0, configuration: 1)
        _ = try table.addService(name: "web", queueLimit: 1)
        let worker = try table.addWorker()
        let lease = try table.lease(worker, edge)
        let word = table.placeWord(Int(worker.index), Int(lease.place))
        table.clearOrphan(word)
        #expect(word.loadRelaxed() == edge.mark)
        word.storeSequential(edge.mark | orphanBit)
        table.clearOrphan(word)
        #expect(word.loadRelaxed() == 0)
    }

    @Test func `a service's slot is used again when no living edge knows it`() throws {
        let table = try makeTable(services: 1)
        let web = try table.addService(name: "web", queueLimit: 1)
        let first = table.service(web).generation
        let oldEdge = try table.openEdge(number: 0, configuration: 1)
        _ = try table.openEdge(number: 0, configuration: 2)
        let worker = try table.addWorker(web)
        table.retireService(web, lastConfiguration: 1)
        table.retire(worker)
        #expect(table.reclaimServices() == [])
        _ = table.recover(oldEdge, ringHead: 0)
        #expect(table.reclaimServices() == [])
        #expect(table.reclaimEndpoints() == [worker])
        #expect(table.reclaimServices() == [web])
        #expect(try table.addService(name: "new", queueLimit: 1) == web)
        #expect(table.service(web).generation == first + 1)
    }

    @Test func `the version changes with every change of what is ready`() throws {
        let table = try makeTable()
        _ = try table.addService(name: "web", queueLimit: 1)
        var versions = [table.service(0).version]
        let worker = try table.addWorker()
        versions.append(table.service(0).version)
        table.markDown(worker)
        versions.append(table.service(0).version)
        _ = table.setState(.ready, of: worker)
        versions.append(table.service(0).version)
        table.retire(worker)
        versions.append(table.service(0).version)
        #expect(Set(versions).count == versions.count)
    }
}
