public import Memory

extension ByteWriter {
    /// Bytes of a date in the preferred form (RFC 9110 section 5.6.7).
    public static let httpDateBytes = 29

    /// Writes a date in the preferred form, `Sun, 06 Nov 1994 08:49:37 GMT`.
    ///
    /// - Parameter unixSeconds: seconds since 1970 in UTC.
    public mutating func write(httpDate unixSeconds: UInt64) {
        let day = unixSeconds / 86400
        let second = unixSeconds % 86400
        let date = CivilDate(daysSince1970: day)
        write(letters: "ThuFriSatSunMonTueWed", at: Int(day % 7))
        write(", ")
        write(decimal: date.day, digits: 2)
        write(" ")
        write(letters: "JanFebMarAprMayJunJulAugSepOctNovDec", at: Int(date.month) - 1)
        write(" ")
        write(decimal: date.year, digits: 4)
        write(" ")
        write(decimal: second / 3600, digits: 2)
        write(":")
        write(decimal: second / 60 % 60, digits: 2)
        write(":")
        write(decimal: second % 60, digits: 2)
        write(" GMT")
    }

    private mutating func write(letters names: StaticString, at index: Int) {
        write(names.bytes.extracting(index * 3..<index * 3 + 3))
    }
}

/// A day of the Gregorian calendar.
struct CivilDate {
    var year: UInt64
    var month: UInt64
    var day: UInt64

    /// Counts in eras of 400 years that begin on the first of March, so that the leap day is the
    /// last of its year (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    init(daysSince1970 days: UInt64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}
