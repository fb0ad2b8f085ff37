import Memory
import Testing

@Suite struct SharedRegionTests {
    @Test func `two mappings of one file are the same memory`() throws {
        let made = try SharedRegion.create(name: "test", size: 4096)
        let other = try SharedRegion(mapping: made.descriptor, access: .readOnly)
        made.region.word(at: 8).storeReleasing(7)
        made.region.word32(at: 20).storeRelaxed(9)
        made.region.byte(at: 4095).storeReleasing(3)
        made.region.write([1, 2, 3].span, at: 100)
        #expect(other.word(at: 8).loadAcquiring() == 7)
        #expect(other.word32(at: 20).loadAcquiring() == 9)
        #expect(other.byte(at: 4095).loadAcquiring() == 3)
        let bytes = other.bytes(at: 99, count: 5)
        #expect(bytes.indices.map { bytes[$0] } == [0, 1, 2, 3, 0])
        made.region.clear(at: 101, count: 1)
        var copy: [UInt8] = [9, 9, 9, 9]
        var target = copy.mutableSpan
        other.copyBytes(at: 100, count: 3, into: &target)
        #expect(copy == [1, 0, 3, 9])
        var writer = made.region.writer(at: 200, count: 2)
        writer.write("ab")
        writer.write("c")
        let isOverfull = writer.isOverfull
        #expect(isOverfull)
        #expect(other.byte(at: 201).loadAcquiring() == 0x62)
        #expect(other.byte(at: 202).loadAcquiring() == 0)
    }

    @Test func `each operation on a word does what its name says`() throws {
        let word = try SharedRegion.create(name: "test", size: 64).region.word(at: 0)
        #expect(word.compareExchange(expected: 0, desired: 5))
        #expect(!word.compareExchange(expected: 0, desired: 6))
        #expect(word.exchange(7) == 5)
        #expect(word.addRelaxed(.max) == 7)
        #expect(word.formUnion(9) == 6)
        #expect(word.subtractBits(8) == 15)
        word.addAsOnlyWriter(3)
        #expect(word.loadSequential() == 10)
    }

    @Test func `what lies outside is a trap`() async {
        await #expect(processExitsWith: .failure) {
            _ = try SharedRegion.create(name: "test", size: 64).region.word(at: 64)
        }
        await #expect(processExitsWith: .failure) {
            _ = try SharedRegion.create(name: "test", size: 64).region.word(at: 4)
        }
        await #expect(processExitsWith: .failure) {
            _ = try SharedRegion.create(name: "test", size: 64).region.bytes(at: 60, count: 5)
        }
        await #expect(processExitsWith: .failure) {
            _ = try SharedRegion.create(name: "test", size: 64).region.byte(at: -1)
        }
    }

    @Test func `a descriptor that is no file is an error`() {
        #expect(throws: SharedMemoryError(call: "fstat", number: 9)) {
            try SharedRegion(mapping: -1, access: .readWrite)
        }
    }
}
