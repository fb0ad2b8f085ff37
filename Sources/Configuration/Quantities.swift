// Values with a unit: durations, sizes and rates.

private struct Unit: Sendable {
    let name: String
    let factor: UInt64
}

private let durationUnits = [
    Unit(name: "ms", factor: 1_000_000), Unit(name: "s", factor: 1_000_000_000),
    Unit(name: "m", factor: 60_000_000_000), Unit(name: "h", factor: 3_600_000_000_000),
]
private let sizeUnits = [
    Unit(name: "B", factor: 1), Unit(name: "KiB", factor: 1 << 10),
    Unit(name: "MiB", factor: 1 << 20), Unit(name: "GiB", factor: 1 << 30),
]
private let rateUnits = sizeUnits.map { Unit(name: "\($0.name)/s", factor: $0.factor) }

/// What people write for a unit, and the unit it stands for.
private let mistakenUnits = [
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "S": "s", "min": "m", "mins": "m",
    "minute": "m", "minutes": "m", "M": "m", "hour": "h", "hours": "h", "H": "h", "hr": "h",
    "msec": "ms", "millis": "ms", "MS": "ms", "Ms": "ms",
]
private let mistakenSizes = [
    "b": "B", "k": "KiB", "K": "KiB", "kb": "KiB", "KB": "KiB", "kB": "KiB", "Kb": "KiB",
    "kib": "KiB", "KIB": "KiB", "Ki": "KiB", "m": "MiB", "M": "MiB", "mb": "MiB", "MB": "MiB",
    "Mb": "MiB", "mib": "MiB", "Mi": "MiB", "g": "GiB", "G": "GiB", "gb": "GiB", "GB": "GiB",
    "Gb": "GiB", "gib": "GiB", "Gi": "GiB", "bytes": "B", "byte": "B",
]

/// A kind of quantity: its units, what it is called, and its usual spelling.
private struct Quantity: Sendable {
    let article: String
    let example: String
    let units: [Unit]
    /// The unit to propose for a bare number.
    let usual: String
    let mistakes: [String: String]

    func parse(_ text: String, _ bounds: ClosedRange<UInt64>) throws(Complaint) -> UInt64 {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let unitName = String(text.dropFirst(digits.count))
        guard !digits.isEmpty else {
            throw Complaint("takes \(article) such as \(example), not \(quoted(text))")
        }
        guard let unit = units.first(where: { $0.name == unitName }) else {
            if unitName.isEmpty {
                if digits.allSatisfy({ $0 == "0" }) && bounds.contains(0) { return 0 }
                throw Complaint("\(text) has no unit", suggestion: "\(digits)\(usual)")
            }
            let names = units.map(\.name).joined(separator: ", ")
            throw Complaint(
                "\(quoted(text)) has no known unit (\(names))",
                suggestion: meant(unitName).map { "\(digits)\($0)" })
        }
        let product = UInt64(digits)?.multipliedReportingOverflow(by: unit.factor)
        guard let product, !product.overflow, bounds.contains(product.partialValue) else {
            throw Complaint(
                "\(text) is out of bounds, "
                    + "from \(self.text(bounds.lowerBound)) to \(self.text(bounds.upperBound))")
        }
        return product.partialValue
    }

    /// In the largest unit that divides it.
    func text(_ value: UInt64) -> String {
        let unit = units.last { value % $0.factor == 0 && value >= $0.factor }
        if let unit { return "\(value / unit.factor)\(unit.name)" }
        return "\(value / units[0].factor)\(units[0].name)"
    }

    private func meant(_ unit: String) -> String? {
        let isRate = units[0].name.hasSuffix("/s")
        let stem = isRate && unit.hasSuffix("/s") ? String(unit.dropLast(2)) : unit
        let known = mistakes[stem] ?? (isRate && stem != unit ? nil : mistakes[stem.lowercased()])
        if isRate, units.contains(where: { $0.name == "\(stem)/s" }) { return "\(stem)/s" }
        return known.map { isRate ? "\($0)/s" : $0 }
    }

    func name(_ bounds: ClosedRange<UInt64>) -> String {
        "\(article) such as \(example), "
            + "from \(text(bounds.lowerBound)) to \(text(bounds.upperBound))"
    }

    var schema: String {
        let names = units.map(\.name).joined(separator: "|")
        return "\"type\":\"string\",\"pattern\":\"^[0-9]+(\(names))$\""
    }
}

private let durations = Quantity(
    article: "a duration", example: "30s", units: durationUnits, usual: "s",
    mistakes: mistakenUnits)
private let sizes = Quantity(
    article: "a size", example: "64MiB", units: sizeUnits, usual: "B", mistakes: mistakenSizes)
private let rates = Quantity(
    article: "a rate", example: "500B/s", units: rateUnits, usual: "B/s",
    mistakes: mistakenSizes)

/// A duration of the given numbers, in nanoseconds.
package enum Nanoseconds {
    package static func milliseconds(_ count: UInt64) -> UInt64 { count * 1_000_000 }
    package static func seconds(_ count: UInt64) -> UInt64 { count * 1_000_000_000 }
    package static func hours(_ count: UInt64) -> UInt64 { count * 3_600_000_000_000 }
    /// The longest duration any setting takes: 10 years, so that sums of a few never overflow.
    package static let most = hours(24 * 365 * 10)
}

extension SettingType<UInt64> {
    /// A time span, in nanoseconds: `500ms`, `30s`, `5m`, `24h`.
    package static func duration(
        _ bounds: ClosedRange<UInt64> = Nanoseconds.milliseconds(1)...Nanoseconds.most
    ) -> Self {
        Self(
            name: durations.name(bounds), schema: durations.schema,
            parse: { (text) throws(Complaint) in try durations.parse(text, bounds) },
            text: { durations.text($0) })
    }
}

extension SettingType<Int> {
    /// A number of bytes: `500B`, `32KiB`, `64MiB`, `1GiB`.
    package static func size(_ bounds: ClosedRange<Int>) -> Self { .quantity(sizes, bounds) }

    /// A number of bytes a second: `500B/s`, `1MiB/s`.
    package static func rate(_ bounds: ClosedRange<Int>) -> Self { .quantity(rates, bounds) }

    private static func quantity(_ quantity: Quantity, _ bounds: ClosedRange<Int>) -> Self {
        let unsigned = UInt64(bounds.lowerBound)...UInt64(bounds.upperBound)
        return Self(
            name: quantity.name(unsigned), schema: quantity.schema,
            parse: { (text) throws(Complaint) in Int(try quantity.parse(text, unsigned)) },
            text: { quantity.text(UInt64($0)) })
    }
}
