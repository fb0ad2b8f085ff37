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
