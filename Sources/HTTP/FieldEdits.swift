import Memory

/// Why a field cannot be set or removed by configuration.
public enum FieldEditError: Error, Equatable, Sendable {
    /// The name is no token.
    case badName
    /// The value has a control character.
    case badValue
    /// The proxy decides about this field itself (framing, connection, internal).
    case reserved
}

/// Fields that a route sets or removes (`set_headers`, `remove_headers`), as a flat table made once
/// when the configuration is read.
///
/// Setting replaces: every field of that name is left out and the given one is written behind the
/// others.
public struct FieldEdits: Sendable {
    private struct Edit: BitwiseCopyable {
        var name: ByteRange
        var value: ByteRange
        var code: FieldName
        var sets: Bool
    }

    private var bytes = ConstantArray<UInt8>([])
    private var edits = ConstantArray<Edit>([])
    private var known = FieldNameSet()
    private var hasUnknown = false

    /// No change.
    public init() {}

    public var isEmpty: Bool { edits.count == 0 }

    /// Sets a field, in place of all with that name.
    public mutating func set(
        _ name: Span<UInt8>, to value: Span<UInt8>
    ) throws(FieldEditError) {
        guard Characters.endOfValue(value, from: 0, to: value.count) == value.count else {
            throw .badValue
        }
        try add(name, value, sets: true)
    }

    /// Removes all fields with that name.
    public mutating func remove(_ name: Span<UInt8>) throws(FieldEditError) {
        try add(name, Span(), sets: false)
    }

    /// Whether the proxy decides about a field itself, so that it can be neither set nor removed.
    public static func reserves(_ name: Span<UInt8>) -> Bool {
        FieldNameSet.reserved.contains(FieldName(name))
    }

    private mutating func add(
        _ name: Span<UInt8>, _ value: Span<UInt8>, sets: Bool
    ) throws(FieldEditError) {
        guard name.isToken(ByteRange(start: 0, count: name.count)) else { throw .badName }
        let code = FieldName(name)
        guard !Self.reserves(name) else { throw .reserved }
        let nameRange = append(name)
        let edit = Edit(name: nameRange, value: append(value), code: code, sets: sets)
        edits = edits.appending([edit])
        if code == .other { hasUnknown = true } else { known.insert(code) }
    }

    private mutating func append(_ text: Span<UInt8>) -> ByteRange {
        let start = bytes.count
        bytes = bytes.appending(text.indices.map { text[$0] })
        return ByteRange(start: start, count: text.count)
    }

    /// Whether a field of that name is given by `set`.
    func sets(_ code: FieldName) -> Bool {
        guard known.contains(code) else { return false }
        for index in edits.indices where edits[index].code == code && edits[index].sets {
            return true
        }
        return false
    }

    /// Whether the configuration decides about a field of that name that the proxy would write.
    @inline(__always)
    func governs(_ code: FieldName) -> Bool { known.contains(code) }

    /// Whether a message's field is to be left out.
    @inline(__always)
    func drops(_ field: Field, in message: Span<UInt8>) -> Bool {
        if field.code != .other { return known.contains(field.code) }
        return hasUnknown && dropsUnknown(field.name, in: message)
    }

    private func dropsUnknown(_ name: ByteRange, in message: Span<UInt8>) -> Bool {
        let own = bytes.span
        for index in edits.indices where edits[index].code == .other {
            let range = edits[index].name
            guard range.count == name.count else { continue }
            var offset = 0
            while offset < Int(name.count),
                Characters.lowercased(own[Int(range.start) + offset])
                    == Characters.lowercased(message[Int(name.start) + offset])
            {
                offset += 1
            }
            if offset == Int(name.count) { return true }
        }
        return false
    }

    /// Writes the fields that are set.
    func write(to writer: inout ByteWriter) {
        let own = bytes.span
        for index in edits.indices where edits[index].sets {
            writer.write(own.extracting(edits[index].name))
            writer.write(": ")
            writer.write(own.extracting(edits[index].value))
            writer.write("\r\n")
        }
    }
}

extension FieldNameSet {
    /// Names that no configuration may touch.
    static var reserved: FieldNameSet {
        FieldNameSet(
            bits: hopByHop.bits | bit(.contentLength) | bit(.trailer) | bit(.expect)
                | bit(.xRequestID))
    }
}

extension FieldName {
    /// The code of a name that was not parsed as part of a head.
    init(_ name: Span<UInt8>) {
        var tail: UInt64 = 0
        for index in name.indices { tail = tail << 8 | UInt64(Characters.lowercased(name[index])) }
        self = FieldName.recognised(
            tail: tail, name: ByteRange(start: 0, count: name.count), in: name)
    }
}
