import Memory
import Testing

@testable import Board

private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        let mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
        return mixed ^ mixed >> 31
    }
}

/// A counter that expectations can hold; its addresses are small numbers.
private final class Counting {
    private var counter: AddressCounter

    init(_ table: Table, number: Int) throws {
        counter = AddressCounter(
            table, edge: try table.openEdge(number: number, configuration: 1))
    }

    func add(_ address: UInt64, limit: Int) -> Bool {
        counter.add(high: 1, low: address, limit: limit)
    }

    func remove(_ address: UInt64) { counter.remove(high: 1, low: address) }

    func count(_ address: UInt64) -> Int { counter.count(high: 1, low: address) }
}

@Suite struct AddressCounterTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `counts over all edges like a dictionary does, whatever comes and goes`(
        seed: UInt64
    ) throws {
        var random = SeededGenerator(state: seed)
        let table = try makeTable(requests: 32)
        let edges = [try Counting(table, number: 0), try Counting(table, number: 1)]
        var open: [(edge: Int, address: UInt64)] = []
        for _ in 0..<20_000 {
            if open.count < 60, Bool.random(using: &random) {
                let address = UInt64.random(in: 0..<40, using: &random)
                let edge = Int.random(in: 0..<2, using: &random)
                let isBelow = open.count { $0.address == address } < 5
                #expect(edges[edge].add(address, limit: 5) == isBelow)
                if isBelow { open.append((edge, address)) }
            } else if !open.isEmpty {
                let gone = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                edges[gone.edge].remove(gone.address)
            }
        }
        for address in 0..<40 as Range<UInt64> {
            let count = open.count { $0.address == address }
            #expect(edges.map { $0.count(address) } == [count, count])
        }
        for gone in open { edges[gone.edge].remove(gone.address) }
        for slot in 0..<2 {
            for cell in 0..<table.layout.addressCells {
                #expect(table.addressWord(slot, cell).loadRelaxed() == 0)
            }
        }
    }

    @Test func `a table that fills up refuses new addresses and counts known ones`() throws {
        let edge = try Counting(makeTable(requests: 8), number: 0)
        let taken = (0..<100 as Range<UInt64>).filter { edge.add($0, limit: 9) }
        #expect(taken.count == 12)
        #expect(edge.add(taken[0], limit: 9))
        #expect(edge.count(taken[0]) == 2)
    }

    @Test func `a dead edge's connections count no more, and its successor begins at none`() throws
    {
        let table = try makeTable(requests: 8)
        let (dead, living) = (try Counting(table, number: 0), try Counting(table, number: 1))
        #expect(dead.add(1, limit: 2))
        #expect(living.add(1, limit: 2))
        #expect(!living.add(1, limit: 2))
        _ = table.recover(try #require(table.edge(in: 0)), ringHead: 0)
        #expect(living.count(1) == 1)
        let next = try Counting(table, number: 0)
        #expect(next.add(1, limit: 2))
        #expect(!next.add(1, limit: 2))
    }
}
