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
