public import Memory

/// One field of a head or trailer section: where its name and value are, and what is known of it.
public struct Field: BitwiseCopyable, Sendable {
    public var name: ByteRange
    /// Without the blanks around it; may be empty.
    public var value: ByteRange
    public var code: FieldName
    /// True when the field ends here and must not be forwarded: hop-by-hop by its name or named by
    /// `Connection` (RFC 9110 section 7.6.1), or forbidden in trailers (section 6.5.1).
    public var isHopByHop: Bool
    /// True when the line is exactly `name: value` and CRLF, so that it can be copied as it stands.
    var isPlain: Bool

    static let none = Field(
        name: .empty, value: .empty, code: .other, isHopByHop: false, isPlain: false)
}

/// The fields of one head, in order, as ranges of the buffer that was parsed.
///
/// Made once and reused for every head, as long as the process lives: no allocation after `init`.
/// It holds no bytes; the span that was parsed goes with it wherever it is read.
public struct FieldTable: ~Copyable {
    /// More fields than any configuration may allow (`limits.headers`): a bound on work that is
    /// done per field.
    public static let countMax = 1024

    private let entries: FixedArray<Field>
    /// How many fields there are.
    public private(set) var count = 0
    /// The codes of all fields since the last `removeAll`.
    private var codes = FieldNameSet()

    /// - Parameter capacity: the most fields it can hold, from 1 to `countMax`.
    public init(capacity: Int) {
        precondition(capacity > 0 && capacity <= Self.countMax)
        entries = FixedArray(repeating: .none, count: capacity)
    }

    public var capacity: Int { entries.count }

    public subscript(index: Int) -> Field {
        get {
            precondition(index < count)
            return entries[index]
        }
    }

    /// Forgets all fields and keeps the memory.
    public mutating func removeAll() {
        count = 0
        codes = FieldNameSet()
    }

    mutating func append(_ field: Field) {
        entries[count] = field
        count += 1
        codes.insert(field.code)
    }

    mutating func removeLast() { count -= 1 }

    /// Adds to the start of every range, for fields that were read from the middle of a span.
    mutating func moveRanges(by offset: Int) {
        guard offset > 0 else { return }
        for index in 0..<count {
            entries[index].name.start += UInt32(offset)
            entries[index].value.start += UInt32(offset)
        }
    }

    mutating func markHopByHop(at index: Int) { entries[index].isHopByHop = true }

    /// The first field of that name, or nil.
    public func first(_ code: FieldName) -> Field? {
        guard codes.contains(code) else { return nil }
        for index in 0..<count where entries[index].code == code { return entries[index] }
        return nil
    }
}

/// A set of known names in one word.
public struct FieldNameSet: Equatable, Sendable {
    public var bits: UInt64

    @inlinable public init(bits: UInt64 = 0) { self.bits = bits }

    @inlinable public init(_ names: FieldName...) {
        bits = 0
        for name in names { insert(name) }
    }

    @inlinable
    @inline(__always)
    public mutating func insert(_ name: FieldName) { bits |= 1 &<< UInt64(name.rawValue) }

    @inlinable
    @inline(__always)
    public func contains(_ name: FieldName) -> Bool {
        bits & (1 &<< UInt64(name.rawValue)) != 0
    }

    @inlinable public func union(_ other: FieldNameSet) -> FieldNameSet {
        FieldNameSet(bits: bits | other.bits)
    }
}
