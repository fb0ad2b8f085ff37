import Memory
import Testing

@testable import Signals

@Suite struct RequestIDTests {
    @Test(arguments: [
        (0, 0, "00000000000000000000000000"),
        (UInt64.max, UInt64.max, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
        (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210, "014D2PF2DBSQQZXQ5TK1V58CGG"),
    ])
    func `text and value agree both ways`(high: UInt64, low: UInt64, expected: String) {
        let id = RequestID(high: high, low: low)
        #expect(text { id.write(to: &$0) } == expected)
        #expect(RequestID(Array(expected.utf8).span) == id)
        #expect(RequestID(Array(expected.lowercased().utf8).span) == id)
    }

    @Test(arguments: [
        "", "0", "0000000000000000000000000", "000000000000000000000000000",
        "80000000000000000000000000", "0000000000000000000000000U", "0000000000000000000000000I",
        "0000000000000000000000000-", "0000000000000000000000000\u{E9}",
    ])
    func `what is no id is refused`(wrong: String) {
        #expect(RequestID(Array(wrong.utf8).span) == nil)
    }

    @Test func `ids grow within a millisecond, across, and when the clock is set back`() {
        var generator = RequestIDGenerator(seed: (1, 2))
        var clock = Seeded(state: 7)
        var wall: UInt64 = 1_700_000_000_000_000_000
        var last = ""
        for _ in 0..<20_000 {
            let step = Int64(clock.next() % 4_000_000) - 1_500_000
            wall = UInt64(Int64(wall) + step)
            let id = text { generator.next(wall: wall).write(to: &$0) }
            #expect(id > last)
            last = id
        }
    }

    @Test func `two seeds make different ids in the same millisecond`() {
        var one = RequestIDGenerator(seed: (1, 2))
        var other = RequestIDGenerator(seed: (1, 3))
        #expect(one.next(wall: 1_000_000) != other.next(wall: 1_000_000))
    }

    @Test func `the first characters are the time`() {
        var generator = RequestIDGenerator(seed: (5, 6))
        #expect(generator.next(wall: 1_795_334_401_237_000_000).milliseconds == 1_795_334_401_237)
    }
}

@Suite struct PeerAddressTests {
    @Test(arguments: [
        (0x2001_0DB8_0000_0000, 0x0000_0000_0000_0001, "2001:db8::1"),
        (0, 0, "::"), (0, 1, "::1"), (0x0001_0000_0000_0000, 0, "1::"),
        (0x2001_0DB8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
        (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
        (0xFE80_0000_0000_0000, 0x0204_61FF_FE9D_F156, "fe80::204:61ff:fe9d:f156"),
        (0x0001_0002_0003_0004, 0x0005_0006_0007_0008, "1:2:3:4:5:6:7:8"),
        (0, 0x0000_FFFF_0A00_0005, "10.0.0.5"),
    ])
    func `IPv6 is written by RFC 5952`(high: UInt64, low: UInt64, expected: String) {
        #expect(text { PeerAddress(ipv6High: high, low: low).write(to: &$0) } == expected)
    }

    @Test(arguments: [(0x7F00_0001, "127.0.0.1"), (0, "0.0.0.0"), (0xFFFF_FFFF, "255.255.255.255")])
    func `IPv4 is written with dots`(address: UInt32, expected: String) {
        #expect(text { PeerAddress(ipv4: address).write(to: &$0) } == expected)
    }
}

@Suite struct TimeTextTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z", "28/Feb/2000:23:59:59 +0000"),
        (951_868_800_000, "2000-03-01T00:00:00.000Z", "01/Mar/2000:00:00:00 +0000"),
        (1_709_164_800_001, "2024-02-29T00:00:00.001Z", "29/Feb/2024:00:00:00 +0000"),
        (1_795_334_401_237, "2026-11-22T08:00:01.237Z", "22/Nov/2026:08:00:01 +0000"),
        (4_107_542_399_000, "2100-02-28T23:59:59.000Z", "28/Feb/2100:23:59:59 +0000"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z", "01/Mar/2100:00:00:00 +0000"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z", "31/Dec/9999:23:59:59 +0000"),
    ])
    func `times are written in UTC`(milliseconds: UInt64, rfc3339: String, common: String) {
        var time = TimeText()
        // Nanoseconds in 64 bits end in the year 2554; the last row goes by seconds.
        if milliseconds < UInt64.max / 1_000_000 {
            let wall = milliseconds * 1_000_000
            for _ in 0..<2 {
                #expect(text { time.writeRFC3339(wall, to: &$0) } == rfc3339)
                #expect(text { time.writeCommon(wall, to: &$0) } == common)
            }
        }
        let civil = CivilTime(unixSeconds: milliseconds / 1000)
        #expect(Int(civil.year) == Int(rfc3339.prefix(4)))
        #expect(Int(civil.month) == Int(rfc3339.dropFirst(5).prefix(2)))
        #expect(Int(civil.day) == Int(rfc3339.dropFirst(8).prefix(2)))
    }

    @Test func `every day of four centuries follows the one before`() {
        let lengths: [UInt64] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var (year, month, day): (UInt64, UInt64, UInt64) = (1970, 1, 1)
        var wrong = 0
        for number in 0..<UInt64(146_097) {
            let civil = CivilTime(unixSeconds: number * 86_400 + 86_399)
            if (civil.year, civil.month, civil.day) != (year, month, day) { wrong += 1 }
            if (civil.hour, civil.minute, civil.second) != (23, 59, 59) { wrong += 1 }
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            day += 1
            if day > lengths[Int(month) - 1] + (month == 2 && isLeap ? 1 : 0) {
                (month, day) = (month + 1, 1)
            }
            if month > 12 { (year, month) = (year + 1, 1) }
        }
        #expect(wrong == 0)
    }
}
