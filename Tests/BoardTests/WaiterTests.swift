import Testing

@testable import Board

@Suite struct WaiterTests {
    @Test func `the limit bounds the sum over all edges`() throws {
        let table = try makeTable()
        let edges = try (0..<2).map { try table.openEdge(number: $0, configuration: 1) }
        _ = try table.addService(name: "web", queueLimit: 3)
        func enter(_ edge: Int, _ count: Int) -> Bool {
            table.enterQueue(service: 0, edge: edges[edge], count: count, oldest: 1)
        }
        #expect(enter(0, 1) && enter(1, 1) && enter(0, 2))
        #expect(!enter(1, 2))
        #expect(!enter(0, 3))
        #expect(table.waiting(0) == 3)
        table.leaveQueue(service: 0, edge: edges[0], count: 1, oldest: 1)
        #expect(enter(1, 2))
        #expect(table.waiting(0) == 3)
    }

    @Test func `a refused first waiter leaves no trace`() throws {
        let table = try makeTable()
        let edge = try table.openEdge(number: 0, configuration: 1)
        _ = try table.addService(name: "web", queueLimit: 0)
        #expect(!table.enterQueue(service: 0, edge: edge, count: 1, oldest: 5))
        #expect(table.service(0).waitingEdges == 0)
        #expect(table.oldestWaiting(0) == nil)
    }

    @Test func `the oldest is found, and those after it in order, ties by slot`() throws {
        let table = try makeTable()
        let edges = try (0..<4).map { try table.openEdge(number: $0, configuration: 1) }
        _ = try table.addService(name: "web", queueLimit: 9)
        for (edge, since) in zip(edges, [30, 10, 20, 10]) {
            _ = table.enterQueue(service: 0, edge: edge, count: 1, oldest: UInt64(since))
        }
        var order: [Int] = []
        var last: (slot: Int, since: UInt64)?
        while let next = table.oldestWaiting(0, after: last), order.count < 9 {
            order.append(next.slot)
            last = next
        }
        #expect(order == [1, 3, 2, 0])
    }

    @Test func `a worker that becomes ready wakes the oldest`() throws {
        let table = try makeTable()
        let edges = try (0..<2).map { try table.openEdge(number: $0, configuration: 1) }
        _ = try table.addService(name: "web", queueLimit: 9)
        for (edge, since) in zip(edges, [30, 10]) {
            _ = table.enterQueue(service: 0, edge: edge, count: 1, oldest: UInt64(since))
        }
        let worker = try table.addEndpoint(
            EndpointPlan(
                service: 0, kind: .ours, capacity: 1, number: 1, address: .unix(path: [1])))
        #expect(table.setState(.ready, of: worker) == edges[1].bit)
        #expect(table.takeBaton(service: 0, edge: edges[1]) == Table.anyEndpoint)
        #expect(table.takeBaton(service: 0, edge: edges[1]) == nil)
        #expect(table.takeBaton(service: 0, edge: edges[0]) == nil)
    }

    @Test func `a baton names the endpoint`() throws {
        let table = try makeTable()
        let edge = try table.openEdge(number: 0, configuration: 1)
        _ = try table.addService(name: "web", queueLimit: 9)
        table.passBaton(service: 0, to: edge.slot, endpoint: 0)
        #expect(table.takeBaton(service: 0, edge: edge) == 0)
    }
}

@Suite struct RecoveryTests {
    @Test func `orphans come back when the worker is idle, and wake who waits`() throws {
        let table = try makeTable()
        let edges = try (0..<2).map { try table.openEdge(number: $0, configuration: 1) }
        _ = try table.addService(name: "web", queueLimit: 9)
        let worker = try table.addWorker(capacity: 2)
        _ = try table.lease(worker, edges[0])
        _ = try table.lease(worker, edges[0])
        _ = table.enterQueue(service: 0, edge: edges[1], count: 1, oldest: 5)
        let recovery = table.recover(edges[0], ringHead: 0)
        #expect(recovery.placesOrphaned == 2 && recovery.wakes == edges[1].bit)
        #expect(table.take(worker, edges[1]) == .full)
        let first = table.reclaimOrphans { reference, place in
            reference == worker && place == 1
        }
        #expect(first.left == 1 && first.wakes == edges[1].bit)
        #expect(try table.lease(worker, edges[1]).place == 0)
        #expect(table.take(worker, edges[1]) == .full)
        #expect(table.reclaimOrphans { _, _ in false }.left == 0)
        #expect(try table.lease(worker, edges[1]).place == 1)
    }

    @Test func `a successor in the same slot has another identity`() throws {
        let table = try makeTable(edgeSlots: 1)
        let first = try table.openEdge(number: 0, configuration: 1)
        #expect(table.edge(in: 0) == first && table.liveEdges == 1)
        _ = table.recover(first, ringHead: 0)
        #expect(table.edge(in: 0) == nil && table.liveEdges == 0)
        let second = try table.openEdge(number: 0, configuration: 1)
        #expect(second.slot == first.slot && second.mark != first.mark)
    }

    @Test func `a retired worker's orphans hold nothing up`() throws {
        let table = try makeTable()
        let edge = try table.openEdge(number: 0, configuration: 1)
        _ = try table.addService(name: "web", queueLimit: 9)
        let worker = try table.addWorker()
        _ = try table.lease(worker, edge)
        _ = table.recover(edge, ringHead: 0)
        table.retire(worker)
        #expect(table.reclaimEndpoints() == [worker])
    }

    @Test func `a full ledger refuses, and its entries tell what was raised`() throws {
        let table = try makeTable(requests: 4)
        let edge = try table.openEdge(number: 0, configuration: 1)
        var ledger = RequestLedger(table, edge: edge)
        func start(_ number: UInt64, _ position: UInt64) -> Int? {
            ledger.start(
                idHigh: 1, idLow: number, service: 2, connection: 3, startedWall: 4,
                startedAt: 5, position: position)
        }
        let slots = (0..<4).compactMap { start(UInt64($0), $0 == 3 ? RingPosition.none : 10) }
        #expect(slots.count == 4 && ledger.count == 4)
        #expect(start(9, 0) == nil)
        ledger.setPhase(.finishing, of: slots[1], position: 11)
        ledger.setPhase(.tearingDown, of: slots[2], position: 12)
        ledger.setEndpoint(EndpointReference(index: 7, generation: 8), of: slots[2])
        let found = table.requestsInFlight(edgeSlot: edge.slot, ringHead: 11)
            .sorted { $0.idLow < $1.idLow }
        #expect(found.map(\.startedIsRaised) == [true, true, true, true])
        #expect(found.map(\.finishedIsRaised) == [false, false, true, false])
        #expect(found.map(\.tearingDownIsRaised) == [false, false, false, false])
        #expect(found[2].endpoint == EndpointReference(index: 7, generation: 8))
        let early = table.requestsInFlight(edgeSlot: edge.slot, ringHead: 10)
            .sorted { $0.idLow < $1.idLow }
        #expect(early.map(\.startedIsRaised) == [false, true, true, true])
        let late = table.requestsInFlight(edgeSlot: edge.slot, ringHead: 13)
            .sorted { $0.idLow < $1.idLow }
        #expect(late.map(\.finishedIsRaised) == [false, true, true, false])
        #expect(late[2].tearingDownIsRaised)
        for slot in slots { ledger.clear(slot) }
        #expect(ledger.count == 0 && start(1, 0) != nil)
    }
}
