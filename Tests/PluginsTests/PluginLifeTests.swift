import Testing

@testable import Plugins

private let second: UInt64 = 1_000_000_000

@Suite struct PluginLifeTests {
    private static func running() -> PluginLife {
        var life = PluginLife(PluginTimes())
        _ = life.tick(now: 0, isDelivered: true)
        life.started()
        return life
    }

    @Test func `a stop is lines for two seconds, the end of input, TERM, KILL`() {
        var life = Self.running()
        life.stop(now: 10 * second, drain: true)
        #expect(life.takesLines)
        #expect(life.tick(now: 12 * second - 1, isDelivered: false) == .none)
        #expect(life.tick(now: 12 * second, isDelivered: false) == .closeInput)
        #expect(!life.takesLines)
        #expect(life.tick(now: 13 * second - 1, isDelivered: true) == .none)
        #expect(life.tick(now: 13 * second, isDelivered: true) == .terminate)
        #expect(life.tick(now: 14 * second - 1, isDelivered: true) == .none)
        #expect(life.tick(now: 14 * second, isDelivered: true) == .kill)
        #expect(life.deadline == nil)
        #expect(life.ended(now: 14 * second) == false)
        #expect(life.phase == .stopped)
        #expect(life.failures == 0)
    }

    @Test func `a stop ends the input at once when nothing waits, or the master is gone`() {
        var life = Self.running()
        life.stop(now: 0, drain: true)
        #expect(life.tick(now: 0, isDelivered: true) == .closeInput)
        life = Self.running()
        life.stop(now: 0, drain: false)
        #expect(life.tick(now: 0, isDelivered: false) == .closeInput)
    }

    @Test func `the wait before a restart doubles, and the tenth failure mutes`() {
        var life = Self.running()
        var now = second
        var waits: [UInt64] = []
        for _ in 0..<9 {
            #expect(life.ended(now: now) == true)
            guard case .waiting(let until) = life.phase else { break }
            waits.append((until - now) / 1_000_000)
            #expect(life.tick(now: until - 1, isDelivered: true) == .none)
            now = until
            #expect(life.tick(now: now, isDelivered: true) == .start)
            life.started()
        }
        #expect(waits == [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600])
        #expect(life.ended(now: now) == true)
        #expect(life.phase == .muted)
        #expect(life.deadline == nil)
        #expect(life.failures == 10)
        #expect(life.restarts == 9)
        life.unmute(now: now)
        #expect(life.tick(now: now, isDelivered: true) == .start)
    }

    @Test func `old failures are forgotten, and the wait has a ceiling`() {
        var times = PluginTimes()
        times.failuresMax = 100
        var life = PluginLife(times)
        life.started()
        var now: UInt64 = 0
        var longest: UInt64 = 0
        for _ in 0..<20 {
            _ = life.ended(now: now)
            if case .waiting(let until) = life.phase { longest = max(longest, until - now) }
            life.started()
            now += second
        }
        #expect(longest == 30 * second)
        _ = life.ended(now: now + 301 * second)
        #expect(life.phase == .waiting(until: now + 301 * second + 100_000_000))
    }

    @Test func `one that closed its input is told to end, then killed, and that is a failure`() {
        var life = Self.running()
        #expect(life.closedInput(now: second) == .terminate)
        #expect(life.tick(now: 2 * second - 1, isDelivered: false) == .none)
        #expect(life.tick(now: 2 * second, isDelivered: false) == .kill)
        #expect(life.ended(now: 2 * second) == true)
        #expect(life.phase == .waiting(until: 2 * second + 100_000_000))
    }

    @Test func `a stop finds every phase an end`() {
        var waiting = Self.running()
        _ = waiting.ended(now: 0)
        waiting.stop(now: 0, drain: true)
        #expect(waiting.phase == .stopped)
        var failing = Self.running()
        _ = failing.closedInput(now: 0)
        failing.stop(now: 0, drain: true)
        #expect(failing.tick(now: second, isDelivered: false) == .kill)
        #expect(failing.ended(now: second) == false)
        #expect(failing.phase == .stopped)
        var new = PluginLife(PluginTimes())
        new.stop(now: 0, drain: true)
        #expect(new.phase == .stopped)
    }
}
