import Testing

@testable import TLS

@Suite struct FirstBytesTests {
    @Test(arguments: [
        ([0x16], FirstBytes.tls), ([0x16, 3], .tls), ([0x16, 3, 1, 2, 0, 1], .tls),
        ([0x16, 3, 3, 0, 80, 1, 0], .tls), ([0x16, 2], .other), ([0x16, 3, 1, 2, 0, 2], .other),
        ([0x80, 0x2e, 1, 3], .other), ([0x15, 3, 1], .other), ([], .other), ([0], .other),
    ])
    func `tells TLS by its first record`(bytes: [UInt8], expected: FirstBytes) {
        #expect(FirstBytes(of: bytes.span) == expected)
    }

    @Test(arguments: [
        ("G", FirstBytes.http), ("GET / HTTP/1.1\r\n", .http), ("PRI * HTTP/2.0\r\n", .http),
        ("M-SEARCH * HTTP/1.1", .http), ("get /", .http), ("-GET /", .other), (" GET /", .other),
        ("\r\n", .other), ("{\"a\":1}", .other), ("GET/\r\n", .other),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", .http), ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", .other),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG /", .other),
    ])
    func `tells HTTP by a method`(text: String, expected: FirstBytes) {
        #expect(FirstBytes(of: Array(text.utf8).span) == expected)
    }

    @Test func `a real ClientHello looks like TLS at every cut`() {
        let wire = Wire()
        var client = TunedClient(serverName: "localhost").connect(wire.client)
        #expect(client.handshake() == .wantsRead)
        let hello = take(wire.server)
        for count in 1...hello.count {
            let cut = Array(hello[..<count])
            #expect(FirstBytes.looksLikeTLS(cut.span) == true)
            #expect(FirstBytes.looksLikeHTTP(cut.span) == false)
        }
    }
}
