public import Memory

/// Writes wall-clock time in UTC, and keeps the text of the last second, as lines come many a
/// second.
///
/// No time zone, no libc: the civil date comes from the day's number (Howard Hinnant's
/// `civil_from_days`). Good from 1970 to 9999.
public struct TimeText: Sendable {
    private var rfc3339Second = UInt64.max
    /// `2026-11-22T08:00:01.`
    private var rfc3339 = InlineArray<20, UInt8>(repeating: 0)
    private var commonSecond = UInt64.max
    /// `22/Nov/2026:08:00:01 +0000`
    private var common = InlineArray<26, UInt8>(repeating: 0)

    public init() {}

    /// Writes `2026-11-22T08:00:01.237Z` (RFC 3339, milliseconds, cut and not rounded).
    /// - Parameter wall: Unix nanoseconds.
    public mutating func writeRFC3339(_ wall: UInt64, to writer: inout ByteWriter) {
        let second = wall / 1_000_000_000
        if second != rfc3339Second {
            rfc3339Second = second
            let time = CivilTime(unixSeconds: second)
            put(time.year, 4, &rfc3339, 0)
            rfc3339[4] = 0x2D
            put(time.month, 2, &rfc3339, 5)
            rfc3339[7] = 0x2D
            put(time.day, 2, &rfc3339, 8)
            rfc3339[10] = 0x54
            put(time.hour, 2, &rfc3339, 11)
            rfc3339[13] = 0x3A
            put(time.minute, 2, &rfc3339, 14)
            rfc3339[16] = 0x3A
            put(time.second, 2, &rfc3339, 17)
            rfc3339[19] = 0x2E
        }
        writer.write(rfc3339.span)
        writer.write(decimal: wall / 1_000_000 % 1000, digits: 3)
        writer.write(0x5A)
    }

    /// Writes `22/Nov/2026:08:00:01 +0000`, the time of the common log format.
    /// - Parameter wall: Unix nanoseconds.
    public mutating func writeCommon(_ wall: UInt64, to writer: inout ByteWriter) {
        let second = wall / 1_000_000_000
        if second != commonSecond {
            commonSecond = second
            let time = CivilTime(unixSeconds: second)
            put(time.day, 2, &common, 0)
            common[2] = 0x2F
            let names: StaticString = "JanFebMarAprMayJunJulAugSepOctNovDec"
            let name = (Int(time.month) - 1) * 3
            for step in 0..<3 { common[3 + step] = names.bytes[name + step] }
            common[6] = 0x2F
            put(time.year, 4, &common, 7)
            common[11] = 0x3A
            put(time.hour, 2, &common, 12)
            common[14] = 0x3A
            put(time.minute, 2, &common, 15)
            common[17] = 0x3A
            put(time.second, 2, &common, 18)
            common[20] = 0x20
            common[21] = 0x2B
            for step in 22..<26 { common[step] = 0x30 }
        }
        writer.write(common.span)
    }

    private func put<let size: Int>(
        _ value: UInt64, _ digits: Int, _ text: inout InlineArray<size, UInt8>, _ start: Int
    ) {
        var rest = value
        for step in stride(from: digits - 1, through: 0, by: -1) {
            text[start + step] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        }
    }
}

/// A point in time by calendar and clock, UTC, proleptic Gregorian.
struct CivilTime: Equatable {
    let year: UInt64
    let month: UInt64
    let day: UInt64
    let hour: UInt64
    let minute: UInt64
    let second: UInt64

    init(unixSeconds: UInt64) {
        let secondOfDay = unixSeconds % 86_400
        hour = secondOfDay / 3600
        minute = secondOfDay / 60 % 60
        second = secondOfDay % 60
        // Years that begin in March put the leap day last; 400 of them are an era of 146,097 days.
        let days = unixSeconds / 86_400 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}
