import Fuzzing
import Memory
import Testing

@testable import Signals

/// Ids that come from outside: 26 of 32 characters, of which the first is below 8.
func fuzzRequestID(_ text: [UInt8], parse: ([UInt8]) -> RequestID?) -> String? {
    let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
    let capitals = text.map { (0x61...0x7a).contains($0) ? $0 - 0x20 : $0 }
    let digits = capitals.compactMap { alphabet.firstIndex(of: $0) }
    let isGood = text.count == 26 && digits.count == 26 && digits[0] < 8
    guard let id = parse(text) else { return isGood ? "refuses an id" : nil }
    guard isGood else { return "takes what is none" }
    let value = digits.reduce(UInt128(0)) { $0 << 5 | UInt128($1) }
    guard UInt128(id.high) << 64 | UInt128(id.low) == value else { return "reads another id" }
    return written { id.write(to: &$0) } == capitals ? nil : "is written otherwise"
}

/// A filter says of data what its parts say, however it is put together; an error is within the
/// text.
func fuzzFilter(
    _ source: String, _ data: [UInt8],
    compile: (String) throws(EventFilterError) -> EventFilter
) -> String? {
    do throws(EventFilterError) {
        let filter = try compile(source)
        let holds = filter.accepts(data.span)
        guard source.utf8.count < EventFilter.sourceBytesMax - 20, !source.contains("((((") else {
            return nil
        }
        guard try compile("not (\(source))").accepts(data.span) != holds else {
            return "a negation holds too"
        }
        guard try compile("(\(source)) and true").accepts(data.span) == holds,
            try compile("false or (\(source))").accepts(data.span) == holds,
            try compile("(\(source)) or not (\(source))").accepts(data.span),
            try !compile("(\(source)) and not (\(source))").accepts(data.span)
        else { return "and, or do not go by their parts" }
        return nil
    } catch {
        guard error.column >= 1, error.column <= source.utf8.count + 1 || error.column > 1024
        else { return "an error at column \(error.column)" }
        return error.message.isEmpty ? "an error without a word" : nil
    }
}

@Suite struct UntrustedTextFuzzTests {
    @Test func `mutated ids are read as a plain reader reads them`() {
        let samples = [
            "01JD0000000000000000000001", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "014d2pf2dbsqqzxq5tk1v58cgg", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0O1IL",
        ]
        let fragments = [
            "0", "7", "8", "I", "l", "O", "u", "Z", "z", "-", " ", "é", "\0", "{", "`",
        ]
        var taken = 0
        let found = complaint(seed: 25, samples: samples, fragments: fragments) { text, random in
            // The length has to be right for anything else to matter.
            let fitted = Array((text + Array("01JD0000000000000000000001".utf8)).prefix(26))
            let id = Bool.random(using: &random) ? text : fitted
            if RequestID(id.span) != nil { taken += 1 }
            return fuzzRequestID(id) { RequestID($0.span) }
        }
        #expect(found == nil)
        #expect(taken > 200)
    }

    @Test func `mutated expressions go by their parts`() {
        let samples = [
            "status >= 500 and method == 'GET'", "not (tls.resumed) or worker == null",
            "(status == 502 || duration < 1.5) && service != \"web\"", "!(target == 'a\\'b')",
            "tls.sni == null and not not (true)", "host > 'a' or host <= 'b' or id",
        ]
        let fragments = [
            "and", " or ", "not ", "!", "(", ")", "==", "!=", "<=", ">", "'", "\"", "\\", "null",
            "true", "status", "tls.", ".", "1e3", "-", "5", " ", "\t", "é", "\0", "&&", "|",
        ]
        var compiled = 0
        let found = complaint(
            seed: 26, samples: samples, fragments: fragments, cases: fuzzCases / 2
        ) { text, random in
            let source = String(decoding: text, as: UTF8.self)
            if (try? EventFilter(source)) != nil { compiled += 1 }
            let data = random.change(Array(EventFilterTests.data.utf8), with: [[0x22], [0x7b], []])
            return fuzzFilter(source, data) { (source) throws(EventFilterError) in
                try EventFilter(source)
            }
        }
        #expect(found == nil)
        #expect(compiled > 200)
    }

    @Test func `the checkers find a reader that is wrong`() {
        let text = Array("01JD0000000000000000000001".utf8)
        #expect(fuzzRequestID(text) { _ in nil } == "refuses an id")
        #expect(fuzzRequestID([0x30]) { _ in RequestID.none } == "takes what is none")
        #expect(fuzzRequestID(text) { _ in RequestID.none } == "reads another id")
        let deaf = fuzzFilter("status == 5", Array("{}".utf8)) { _ throws(EventFilterError) in
            try EventFilter("true")
        }
        #expect(deaf == "a negation holds too")
    }
}
