import Memory
import Testing

@testable import HTTP

@Suite struct FieldNameTests {
    @Test(arguments: FieldName.allCases.filter { $0 != .other })
    func `knows each name in any case, and nothing like it`(name: FieldName) {
        let spelling = "\(name.spelling)"
        #expect(FieldName(bytes(spelling).span) == name)
        #expect(FieldName(bytes(spelling.uppercased()).span) == name)
        #expect(FieldName(bytes("x" + spelling).span) == .other)
        #expect(FieldName(bytes(spelling + "x").span) == .other)
        var other = bytes(spelling)
        other[0] = other[0] == 0x7a ? 0x79 : 0x7a
        #expect(FieldName(other.span) != name)
    }

    /// Lines are read eight bytes at once when they are there whole, and byte by byte when not.
    @Test(arguments: FieldName.allCases.filter { $0 != .other })
    func `one byte changed is another name or no name, however the line is read`(
        name: FieldName
    ) {
        let spelling = bytes("\(name.spelling)")
        for position in spelling.indices {
            let byte = spelling[position]
            let others: [UInt8] = [
                0x00, 0x09, 0x0a, 0x0d, 0x20, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7f, 0x80, 0xff,
                byte ^ 0x01, byte ^ 0x20, byte | 0x80, (byte ^ 0x20) | 0x80, byte &+ 1, byte &- 1,
            ]
            for other in others where other != byte {
                var changed = spelling
                changed[position] = other
                let isSame = other | 0x20 == byte && other >= 0x41 && other <= 0x5a
                #expect((FieldName(changed.span) == name) == isSame)
                let head = bytes("GET / HTTP/1.0\r\n") + changed + bytes(": 1\r\n\r\n")
                let whole = parseRequest(head)
                #expect(whole == parseRequest(head, cuts: Array(0...head.count)))
            }
        }
    }

    @Test func `a set of names is one word`() {
        #expect(FieldName.allCases.count <= 64)
        var set = FieldNameSet(.host, .etagOrLast)
        #expect(set.contains(.host) && !set.contains(.via))
        set.insert(.via)
        #expect(set.contains(.via) && set == FieldNameSet(.host, .via, .etagOrLast))
    }
}

extension FieldName {
    /// The name with the highest number.
    fileprivate static var etagOrLast: FieldName { allCases[allCases.count - 1] }
}
