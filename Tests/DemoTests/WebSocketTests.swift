import Memory
import Testing

@testable import Demo

/// A client's frame: masked.
private func frame(
    _ opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true, mask: [UInt8] = [1, 2, 3, 4]
) -> [UInt8] {
    var bytes = [opcode | (isFinal ? 0x80 : 0)]
    switch payload.count {
    case ...125: bytes.append(0x80 | UInt8(payload.count))
    case ...65535: bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    default:
        bytes.append(0x80 | 127)
        for shift in (0..<8).reversed() {
            bytes.append(UInt8(truncatingIfNeeded: payload.count >> (8 * shift)))
        }
    }
    bytes += mask
    for (index, byte) in payload.enumerated() { bytes.append(byte ^ mask[index & 3]) }
    return bytes
}

private func text(_ text: String) -> [UInt8] { Array(text.utf8) }

/// What the echo sends for bytes that come in pieces, and whether it has ended.
private func echoed(_ bytes: [UInt8], cuts: [Int] = []) -> ([UInt8], Bool) {
    var echo = WebSocketEcho()
    var start = 0
    for cut in cuts + [bytes.count] {
        echo.receive(bytes.span.extracting(start..<cut))
        start = cut
    }
    return (echo.replies, echo.hasEnded)
}

private func closed(_ code: UInt16) -> [UInt8] { [0x88, 2, UInt8(code >> 8), UInt8(code & 255)] }

private let conversations: [(name: String, sent: [UInt8], received: [UInt8], ends: Bool)] = [
    ("text", frame(1, text("hé")), [0x81, 3] + text("hé"), false),
    ("empty text", frame(1), [0x81, 0], false),
    ("binary", frame(2, [0, 255]), [0x82, 2, 0, 255], false),
    ("ping", frame(9, text("x")), [0x8a, 1] + text("x"), false),
    ("pong", frame(10, text("x")), [], false),
    (
        "fragments with a ping between them",
        frame(1, text("a"), isFinal: false) + frame(9) + frame(0, text("b"), isFinal: false)
            + frame(0, text("c")),
        [0x8a, 0, 0x81, 3] + text("abc"), false
    ),
    (
        "a character cut by a fragment", frame(1, [0xc3], isFinal: false) + frame(0, [0xa9]),
        [0x81, 2, 0xc3, 0xa9], false
    ),
    (
        "medium", frame(2, [UInt8](repeating: 7, count: 300)),
        [0x82, 126, 1, 44] + [UInt8](repeating: 7, count: 300), false
    ),
    ("close", frame(8, [3, 232] + text("bye")) + frame(1, text("x")), closed(1000), true),
    ("empty close", frame(8), closed(1000), true),
    ("close with half a code", frame(8, [3]), closed(1002), true),
    ("close with a reserved code", frame(8, [3, 237]), closed(1002), true),
    ("close with a bad reason", frame(8, [3, 232, 255]), closed(1007), true),
    ("close of an application", frame(8, [15, 160]), [0x88, 2, 15, 160], true),
    ("no mask", [0x81, 1, 0x61], closed(1002), true),
    ("reserved bit", [0xc1, 0x80, 0, 0, 0, 0], closed(1002), true),
    ("unknown opcode", [0x83, 0x80, 0, 0, 0, 0], closed(1002), true),
    ("fragmented ping", frame(9, isFinal: false), closed(1002), true),
    ("long ping", frame(9, [UInt8](repeating: 0, count: 126)), closed(1002), true),
    ("continuation of nothing", frame(0), closed(1002), true),
    ("a message within another", frame(1, isFinal: false) + frame(1), closed(1002), true),
    ("bad UTF-8", frame(1, [0xff]), closed(1007), true),
    ("length not shortest", [0x81, 0xfe, 0, 1, 0, 0, 0, 0, 0], closed(1002), true),
    (
        "length above 63 bits", [0x82, 0xff, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], closed(1002),
        true
    ),
    ("too long", [0x82, 0xff, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0, 0], closed(1009), true),
]

@Suite(.serialized) struct WebSocketTests {
    @Test(arguments: conversations)
    func `echoes messages and closes on what breaks the protocol`(
        name: String, sent: [UInt8], received: [UInt8], ends: Bool
    ) {
        let (replies, hasEnded) = echoed(sent)
        #expect(replies == received && hasEnded == ends)
    }

    @Test(arguments: conversations)
    func `the echo does not depend on where the bytes were cut`(
        name: String, sent: [UInt8], received: [UInt8], ends: Bool
    ) {
        for cut in 0...sent.count { #expect(echoed(sent, cuts: [cut]).0 == received) }
        #expect(echoed(sent, cuts: Array(0...sent.count)).0 == received)
    }

    @Test func `a message of one MiB comes back, one byte more in fragments does not`() {
        let half = [UInt8](repeating: 9, count: WebSocketEcho.messageBytesMax / 2)
        let whole = frame(2, half, isFinal: false) + frame(0, half)
        #expect(echoed(whole).0 == [0x82, 127, 0, 0, 0, 0, 0, 16, 0, 0] + half + half)
        let more = frame(2, half, isFinal: false) + frame(0, half, isFinal: false) + frame(0, [1])
        #expect(echoed(more).0 == closed(1009))
    }

    @Test func `accepts the key of the RFC's example and no other shape`() {
        let key = text("dGhlIHNhbXBsZSBub25jZQ==")
        #expect(WebSocketHandshake.accept(key.span) == text("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        for bad in ["", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25j ZQ=="] {
            #expect(WebSocketHandshake.accept(text(bad).span) == nil)
        }
    }

    private static let handshake =
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + "proxy-peer: 3 http ::1 1 80 -\r\n\r\n"

    @Test func `a client changes to WebSocket, talks, and closes`() throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send(text(Self.handshake) + frame(1, text("first")))
        let answer = try client.answer()
        #expect(answer.status == 101)
        #expect(answer.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(try client.bytes(7) == [0x81, 5] + text("first"))
        #expect(rig.place(3) == 1)
        let large = [UInt8](repeating: 1, count: WebSocketEcho.messageBytesMax)
        client.send(frame(2, large))
        #expect(try client.bytes(10 + large.count).suffix(large.count) == large[...])
        client.send(frame(8, [3, 232]))
        #expect(try client.bytes(4) == closed(1000))
        #expect(try client.waitForEnd())
        #expect(rig.place(3) == 0 && rig.loop.pool.taken == 0)
    }

    @Test(arguments: [
        "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n",
        handshake.replacing("13", with: "8"), handshake.replacing("ZQ==", with: "Z==="),
    ])
    func `who does not speak WebSocket is told to`(request: String) throws {
        let answer = try Rig().ask(request)
        #expect(answer.status == 426 && answer.fields["upgrade"] == "websocket")
    }
}
