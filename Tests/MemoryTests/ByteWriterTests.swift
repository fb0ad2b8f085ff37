import Memory
import Testing

/// Runs `body` on a writer of `capacity` bytes and returns the text it wrote and whether it
/// overflowed.
func written(
    capacity: Int = 64, _ body: (inout ByteWriter) -> Void
) -> (text: String, isOverfull: Bool) {
    let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: capacity)
    defer { unsafe memory.deallocate() }
    var writer = unsafe ByteWriter(unsafeInto: memory)
    body(&writer)
    var text: [UInt8] = []
    let span = writer.written
    for index in span.indices { text.append(span[index]) }
    return (String(decoding: text, as: UTF8.self), writer.isOverfull)
}

@Suite struct ByteWriterTests {
    @Test(arguments: [
        (0, 1, "0"), (7, 1, "7"), (10, 1, "10"), (42, 6, "000042"),
        (UInt64.max, 1, "18446744073709551615"),
    ])
    func `writes decimal numbers, padded with zeros`(value: UInt64, digits: Int, text: String) {
        #expect(written { $0.write(decimal: value, digits: digits) }.text == text)
    }

    @Test func `writes each number as Swift does`() {
        var numbers = Array(UInt64(0)...20_000)
        for shift in 0..<64 {
            let power: UInt64 = 1 << UInt64(shift)
            numbers += [power &- 1, power, power &+ 1, power &* 0x9e37_79b9_7f4a_7c15]
        }
        var power: UInt64 = 1
        for _ in 0..<19 {
            power *= 10
            numbers += [power - 1, power, power + 1]
        }
        for number in numbers {
            let text = "\(number)"
            #expect(written { $0.write(decimal: number) }.text == text)
            // With no byte to spare, and with one too few.
            let tight = written(capacity: text.utf8.count) { $0.write(decimal: number) }
            #expect(tight == (text, false))
            guard text.utf8.count > 1 else { continue }
            let lacking = written(capacity: text.utf8.count - 1) { $0.write(decimal: number) }
            #expect(lacking == ("", true))
            let padded = String(repeating: "0", count: 3) + text
            #expect(
                written { $0.write(decimal: number, digits: text.utf8.count + 3) }.text == padded)
        }
    }

    @Test(arguments: [(0, "0"), (15, "f"), (16, "10"), (0xdead_beef, "deadbeef")])
    func `writes hexadecimal numbers without leading zeros`(value: UInt64, text: String) {
        #expect(written { $0.write(hexadecimal: value) }.text == text)
    }

    @Test func `what does not fit is left out and said`() {
        let result = written(capacity: 4) {
            $0.write("abc")
            $0.write("de")
            $0.write(0x66)
        }
        #expect(result.text == "abc")
        #expect(result.isOverfull)
    }
}
