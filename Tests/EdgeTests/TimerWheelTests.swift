import Testing

@testable import Edge

/// Numbers that repeat with their seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct TimerWheelTests {
    static let second: UInt64 = 1_000_000_000

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func `every deadline fires once, not early, at most two ticks late`(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var now = UInt64.random(in: 1...1000, using: &random) * Self.second
        let things = 200
        var wheel = TimerWheel(capacity: things, now: now)
        var expected = [UInt64](repeating: TimerWheel.never, count: things)
        for _ in 0..<3000 {
            let thing = Int.random(in: 0..<things, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                wheel.clear(thing)
                expected[thing] = TimerWheel.never
            case 1:
                wheel.set(thing, to: TimerWheel.never)
                expected[thing] = TimerWheel.never
            default:
                let scale = [1_000_000, Self.second, 60 * Self.second, 7200 * Self.second]
                    .randomElement(using: &random)!
                expected[thing] = now + UInt64.random(in: 0...100, using: &random) * scale
                wheel.set(thing, to: expected[thing])
            }
            if Int.random(in: 0..<3, using: &random) == 0 {
                now += UInt64.random(in: 0...20, using: &random) * Self.second
            } else {
                now += UInt64.random(in: 0...5_000_000, using: &random)
            }
            while let fired = wheel.next(now: now) {
                #expect(expected[fired] <= now)
                expected[fired] = TimerWheel.never
            }
            let late = expected.filter { $0 != TimerWheel.never && $0 + 2 * TimerWheel.tick <= now }
            #expect(late.isEmpty)
        }
    }

    @Test func `waits as long as nothing is due, and never too long`() {
        var wheel = TimerWheel(capacity: 4, now: 0)
        #expect(wheel.wait(now: 0) == nil)
        wheel.set(0, to: 10 * Self.second)
        var now: UInt64 = 0
        var waits = 0
        while let wait = wheel.wait(now: now), waits < 100 {
            waits += 1
            now += max(wait, 1)
            if let thing = wheel.next(now: now) {
                #expect(thing == 0)
                break
            }
        }
        #expect(now >= 10 * Self.second && now <= 10 * Self.second + 2 * TimerWheel.tick)
        #expect(waits < 60)
    }
}
