public import Memory

/// What one proxy of a chain said about whom it had its request from.
public struct ForwardedElement: Equatable, Sendable {
    /// The address, without brackets and port, not looked at any closer; empty where none is named:
    /// `unknown`, a made-up name (`_x`), nothing at all, or what cannot be read.
    public var address = ByteRange.empty
    /// The scheme it was asked by; empty where it is not said.
    public var scheme = ByteRange.empty
    /// The syntax is broken here.
    public var isBroken = false
}

/// Walks the elements of one `Forwarded` field (RFC 7239 section 4), the oldest first.
///
/// What breaks the syntax makes the whole rest of the field one element without an address: behind
/// an open quote nobody can tell what was appended by whom. Kinder than the RFC's grammar in one
/// thing: a value may hold colons and brackets without quotes.
public struct ForwardedChain {
    private var position: Int
    private let end: Int

    /// - Parameter value: the field's value.
    public init(_ value: ByteRange) {
        position = Int(value.start)
        end = value.end
    }

    /// The next element; nil behind the last one. Empty ones are passed over.
    public mutating func next(in bytes: Span<UInt8>) -> ForwardedElement? {
        skip(in: bytes) { Characters.isBlank($0) || $0 == Characters.comma }
        guard position < end else { return nil }
        var element = ForwardedElement()
        var names = 0
        while true {
            guard let (name, value) = pair(in: bytes) else { break }
            if bytes.extracting(name).isWord("for") {
                names += 1
                element.address = value.forwardedAddress(in: bytes)
            } else if bytes.extracting(name).isWord("proto") {
                element.scheme = value
            }
            skip(in: bytes, Characters.isBlank)
            guard position < end else { return checked(element, names) }
            let separator = bytes[position]
            position += 1
            if separator == Characters.comma { return checked(element, names) }
            guard separator == Self.semicolon else { break }
            skip(in: bytes, Characters.isBlank)
        }
        position = end
        return ForwardedElement(isBroken: true)
    }

    /// A parameter may stand only once: of two nobody knows which one to believe.
    private func checked(_ element: ForwardedElement, _ names: Int) -> ForwardedElement {
        names > 1 ? ForwardedElement(scheme: element.scheme) : element
    }

    /// `token=value`, the value without its quotes; nil where the syntax is broken.
    private mutating func pair(in bytes: Span<UInt8>) -> (name: ByteRange, value: ByteRange)? {
        let name = run(in: bytes) { Characters.token[Int($0)] != 0 }
        guard !name.isEmpty, position < end, bytes[position] == Self.equals else { return nil }
        position += 1
        guard position < end, bytes[position] == Self.quote else {
            let value = run(in: bytes) { byte in
                byte != Self.semicolon && byte != Characters.comma && byte != Self.quote
                    && !Characters.isBlank(byte)
            }
            return value.isEmpty ? nil : (name, value)
        }
        position += 1
        // No address and no scheme has a backslash: one that stays in the text makes it unreadable.
        let start = position
        while position < end, bytes[position] != Self.quote {
            position += bytes[position] == Self.backslash ? 2 : 1
        }
        guard position < end else { return nil }
        position += 1
        return (name, ByteRange(start: start, count: position - 1 - start))
    }

    private mutating func run(
        in bytes: Span<UInt8>, while belongs: (UInt8) -> Bool
    ) -> ByteRange {
        let start = position
        skip(in: bytes, belongs)
        return ByteRange(start: start, count: position - start)
    }

    private mutating func skip(in bytes: Span<UInt8>, _ belongs: (UInt8) -> Bool) {
        while position < end, belongs(bytes[position]) { position += 1 }
    }

    private static let quote: UInt8 = 0x22
    private static let semicolon: UInt8 = 0x3b
    private static let equals: UInt8 = 0x3d
    private static let backslash: UInt8 = 0x5c
}

/// Walks the elements of one `X-Forwarded-For` field, the oldest first: addresses, some with ports.
public struct ForwardedForChain {
    private var list: ListScanner

    /// - Parameter value: the field's value.
    public init(_ value: ByteRange) { list = ListScanner(value) }

    /// The next address, as in `ForwardedElement`; nil behind the last one.
    public mutating func next(in bytes: Span<UInt8>) -> ByteRange? {
        while let part = list.next(in: bytes) {
            if !part.isEmpty { return part.forwardedAddress(in: bytes) }
        }
        return nil
    }
}

extension ByteRange {
    /// The address in `192.0.2.1`, `192.0.2.1:55`, `[2001:db8::1]`, `[2001:db8::1]:55` or
    /// `2001:db8::1`; empty for what has another form. Whether it is an address is for the caller
    /// to see.
    func forwardedAddress(in bytes: Span<UInt8>) -> ByteRange {
        var colon: Int?
        var colons = 0
        var bracket: Int?
        for index in indices {
            if bytes[index] == Characters.colon {
                colons += 1
                colon = index
            }
            if bytes[index] == 0x5d { bracket = index }
        }
        guard !isEmpty, bytes[Int(start)] == 0x5b else {
            guard colons == 1, let colon else { return self }
            guard colon + 1 < end else { return .empty }
            return ByteRange(start: Int(start), count: colon - Int(start))
        }
        guard let bracket, bracket == end - 1 || colon == bracket + 1 && colon! < end - 1 else {
            return .empty
        }
        return ByteRange(start: Int(start) + 1, count: bracket - Int(start) - 1)
    }
}

extension Span<UInt8> {
    /// Whether this is a word that is given in small letters, whatever the case.
    fileprivate func isWord(_ word: StaticString) -> Bool {
        let other = word.bytes
        guard count == other.count else { return false }
        for index in indices where Characters.lowercased(self[index]) != other[index] {
            return false
        }
        return true
    }
}
