import Foundation
import Fuzzing
import Testing

@testable import Linux

/// What the parser of control packets takes is JSON by another reader's word, and says the same
/// when it is written and read again.
func fuzzJSON(_ text: [UInt8], parse: ([UInt8]) -> JSONValue?) -> String? {
    guard let value = parse(text) else { return nil }
    let foreign = try? JSONSerialization.jsonObject(
        with: Data(text), options: [.fragmentsAllowed])
    guard foreign != nil else { return "takes what is no JSON" }
    let again = parse(value.bytes)
    guard again == value else { return "says \(String(describing: again)) when read again" }
    guard !value.bytes.contains(where: { $0 < 0x20 }) else { return "is written in two lines" }
    // Nothing behind a value, and no value that breaks off.
    guard parse(text + [0x2c]) == nil else { return "takes what follows a value" }
    if let last = text.last, last == 0x7d || last == 0x5d || last == 0x22 {
        guard parse(text.dropLast()) == nil else { return "takes a part of a value" }
    }
    return nil
}

/// A role sheet says the same when it is written and read again, whatever its values are.
func fuzzRoleSheet(_ text: [UInt8], parse: ([UInt8]) -> RoleSheet) -> String? {
    let sheet = parse(text)
    guard parse(sheet.bytes) == sheet else { return "says something else when read again" }
    for line in text.split(separator: 0x0a) {
        let name = line.prefix { $0 != 0x20 }
        guard !name.isEmpty, let key = String(validating: name, as: UTF8.self) else { continue }
        guard sheet[key] != nil else { return "has lost \(key)" }
    }
    // None of these may trap.
    _ = (sheet.account, sheet.words, sheet.environment, sheet.descriptorNumber("a"))
    _ = (sheet.integer("user"), sheet.names(after: "listener."))
    return nil
}

@Suite struct ControlTextFuzzTests {
    @Test func `mutated packets are JSON or nothing`() {
        let samples = [
            #"{"command":"status"}"#, #"{"ok":true,"result":{"a":[1,-2.5e3,null]}}"#,
            #"{"order":"drain","within":30000000000,"x":"\u00e9\ud83d\ude00\n"}"#,
            #"[[[[[]]]]]"#, " 0 ", #""\\\"\/\b\f\r\t""#, "1e999", "-0", #"{"a":1,"a":2}"#,
        ]
        let fragments = [
            "{", "}", "[", "]", "\"", "\\", ",", ":", "\\u", "\\ud800", "\\u0000", "true", "null",
            "1e999", "-", "0", ".5", "E+", "9223372036854775808", " ", "\n", "\0", "é", "\u{301}",
            "[[[[[[[[[[[[[[[[[", "/*", "'", "NaN",
        ]
        var taken = 0
        let found = complaint(seed: 27, samples: samples, fragments: fragments) { text, _ in
            if JSONValue(parsing: text) != nil { taken += 1 }
            return fuzzJSON(text) { JSONValue(parsing: $0) }
        }
        #expect(found == nil)
        #expect(taken > 500)
    }

    @Test func `mutated role sheets say the same when read again`() {
        let samples = [
            "user 65534\ngroup 65534\ngroups 1,2\nuser_name nobody\nuser_home /\nparent 7\n",
            "fd.keys 4\nfd.table 5\nlistener.0 0 8080 http://127.0.0.1:8080\nempty \n",
            "arguments [\"a b\",\"c\"]\nenvironment [\"A=1\",\"B=\\n\"]\n",
            "service web\nspool /a b\n",
        ]
        let fragments = [
            " ", "\n", "\r", "\r\n", "\u{301}", " \u{301}", "user -1\n", "group 99999999999\n",
            "\0",
            "fd.a 99999999999\n", "[", "\"", "é", "user ", "  ", "\u{200d}", "listener.",
        ]
        let found = complaint(seed: 28, samples: samples, fragments: fragments) { text, _ in
            fuzzRoleSheet(text) { RoleSheet(parsing: $0) }
        }
        #expect(found == nil)
    }

    @Test func `the checkers find readers that are wrong`() {
        let kind = fuzzJSON(Array("{'a':1}".utf8)) { _ in .null }
        #expect(kind == "takes what is no JSON")
        let greedy = fuzzJSON(Array("1".utf8)) { _ in .integer(1) }
        #expect(greedy == "takes what follows a value")
        let forgetful = fuzzRoleSheet(Array("a b\n".utf8)) { _ in RoleSheet() }
        #expect(forgetful == "has lost a")
    }
}
