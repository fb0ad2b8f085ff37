import HTTP
import Memory
import Testing

let faultyChunks: [(String, BodyFault)] = [
    ("\r\n", .badChunkSize), ("x\r\n", .badChunkSize), ("0x5\r\n", .badChunkSize),
    ("+5\r\n", .badChunkSize), ("-5\r\n", .badChunkSize), (" 5\r\n", .badChunkSize),
    ("5 \r\n", .badChunkSize), ("5\t\r\n", .badChunkSize), ("5\n", .badChunkSize),
    ("5\rhello", .badChunkSize), ("5,\r\n", .badChunkSize), ("\u{0}5\r\n", .badChunkSize),
    ("5 ;a\r\n", .badChunkSize), ("5;a\nhello", .badChunkSize), ("5;a\u{0}\r\n", .badChunkSize),
    ("5;a\rb\r\n", .badChunkSize), ("5;\u{7f}\r\n", .badChunkSize), ("5;é\r\n", .badChunkSize),
    (";a\r\n", .badChunkSize), ("00000000000000005\r\n", .badChunkSize),
    ("10000000000000000\r\n", .badChunkSize), ("ffffffffffffffff\r\n", .badChunkSize),
    ("4000000000000000\r\n", .badChunkSize), ("8000000000000000\r\n", .badChunkSize),
    ("5\r\nhellox", .badChunkEnd), ("5\r\nhello\n", .badChunkEnd), ("5\r\nhello\rx", .badChunkEnd),
    ("5\r\nhello5\r\nhello", .badChunkEnd), ("1\r\na\r\n\r\n", .badChunkSize),
    ("5;" + String(repeating: "a", count: 5000), .chunkOverhead),
    (
        String(repeating: "1;" + String(repeating: "a", count: 4000) + "\r\nx\r\n", count: 5),
        .chunkOverhead
    ),
    ("0\r\n x\r\n", .badTrailer), ("0\r\nx\r\n", .badTrailer), ("0\r\nX : a\r\n", .badTrailer),
    ("0\r\nX: a\n\r\n", .badTrailer), ("0\r\n\n", .badTrailer), ("0\r\n\rx", .badTrailer),
    ("0\r\nX: " + String(repeating: "a", count: BodyDecoder.trailerBytesMax), .trailersTooLong),
    ("0\r\n" + String(repeating: "X: a\r\n", count: 17), .trailersTooLong),
]

let goodChunks: [(String, String)] = [
    ("0\r\n\r\n", ""), ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("000\r\n\r\n", ""),
    ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
    ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
    ("5;a=b;c=\"d e\"\r\nhello\r\n0;last\r\n\r\n", "hello"),
    ("5;\ta\r\nhello\r\n00;\r\n\r\n", "hello"),
    ("0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"), ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
]

@Suite struct BodyDecoderTests {
    @Test(arguments: goodChunks)
    func `reads chunks`(text: String, data: String) {
        let summary = decodeBody(bytes(text + "next"), .chunked)
        #expect(summary.data == bytes(data))
        #expect(summary.ending == .ended(text.utf8.count))
    }

    @Test(arguments: faultyChunks)
    func `refuses bad chunks`(text: String, fault: BodyFault) {
        #expect(decodeBody(bytes(text), .chunked).ending == .faulty(fault))
        #expect("\(fault.rule)".count > 10 && fault.refusal.status >= 400)
    }

    @Test func `trailers are kept, but for those that come too late to be obeyed`() {
        let text =
            "1\r\nx\r\n0\r\nX-Count: 5\r\nContent-Length: 7\r\nHost: h\r\n"
            + "Transfer-Encoding: gzip\r\n"
            + "Authorization: a\r\nSet-Cookie: b\r\nX-Request-Id: i\r\nETag: \"e\"\r\n\r\nnext"
        let summary = decodeBody(bytes(text), .chunked)
        #expect(summary.trailers.map(\.name) == ["X-Count", "ETag"])
        #expect(summary.trailers.map(\.value) == ["5", "\"e\""])
        #expect(summary.ending == .ended(text.utf8.count - 4))
    }

    @Test(arguments: [
        (BodyFraming.none, "", "", BodySummary.Ending.ended(0)), (.length(0), "x", "", .ended(0)),
        (.length(3), "abcd", "abc", .ended(3)), (.length(3), "ab", "ab", .open(.truncated)),
        (.length(3), "", "", .open(.truncated)), (.untilClose, "abc", "abc", .open(.complete)),
        (.untilClose, "", "", .open(.complete)), (.chunked, "", "", .open(.truncated)),
        (.chunked, "3\r\nab", "ab", .open(.truncated)),
        (.chunked, "3\r\nabc\r\n0\r\n", "abc", .open(.truncated)),
        (.chunked, "3\r\nabc\r\n0\r\nX: y\r\n", "abc", .open(.truncated)),
    ])
    func `an end of the stream is a clean end only where nothing is missing`(
        framing: BodyFraming, text: String, data: String, ending: BodySummary.Ending
    ) {
        let summary = decodeBody(bytes(text), framing)
        #expect(summary.data == bytes(data) && summary.ending == ending)
    }

    @Test func `small chunks are not overhead, and data makes up for extensions`() {
        let small = String(repeating: "1\r\nx\r\n", count: 20000)
        #expect(decodeBody(bytes(small + "0\r\n\r\n"), .chunked).data.count == 20000)
        let signed = "10000;signature=\(String(repeating: "f", count: 64))\r\n"
        let large = String(
            repeating: signed + String(repeating: "x", count: 65536) + "\r\n", count: 20)
        #expect(decodeBody(bytes(large + "0\r\n\r\n"), .chunked).data.count == 20 * 65536)
    }

    @Test func `counts the body's bytes and knows its end`() {
        var decoder = BodyDecoder(.chunked)
        var table = FieldTable(capacity: 1)
        let text = bytes("3\r\nabc\r\n0\r\n\r\n")
        #expect(decoder.next(text.span, trailers: &table) == .data(ByteRange(start: 3, count: 3)))
        #expect(decoder.dataBytes == 3 && !decoder.hasEnded && decoder.finish() == .truncated)
        let rest = Array(text[6...])
        #expect(decoder.next(rest.span, trailers: &table) == .end(consumed: 7))
        #expect(decoder.hasEnded && decoder.finish() == .complete)
        #expect(decoder.next(rest.span, trailers: &table) == .end(consumed: 0))
    }
}
