import Linux
import Testing

@testable import Edge

@Suite struct AddressCounterTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `counts like a dictionary does, whatever comes and goes`(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        let counter = AddressCounter(connectionsMax: 64, secret: seed)
        var open: [InternetAddress] = []
        var counts: [InternetAddress: Int] = [:]
        for _ in 0..<20_000 {
            if open.count < 64, Bool.random(using: &random) {
                let address = InternetAddress(
                    ipv4: UInt32.random(in: 0..<40, using: &random), port: 0)
                let isBelow = counts[address, default: 0] < 5
                #expect(counter.add(address, limit: 5) == isBelow)
                if isBelow {
                    open.append(address)
                    counts[address, default: 0] += 1
                }
            } else if !open.isEmpty {
                let address = open.remove(at: Int.random(in: 0..<open.count, using: &random))
                counter.remove(address)
                counts[address]! -= 1
            }
        }
        for address in (0..<40).map({ InternetAddress(ipv4: $0, port: 0) }) {
            #expect(counter.count(of: address) == counts[address, default: 0])
        }
    }
}
