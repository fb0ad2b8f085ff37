import Testing

@testable import TLS

@Suite struct DigestTests {
    @Test(arguments: [
        (
            "", Digest.Algorithm.sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
        ("abc", .sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("", .sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("abc", .sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11", .sha1,
            "b37a4f2cc0624f1690f64606cf385945b2bec4ea"
        ),
    ])
    func `sums known texts, in one piece and byte by byte, again and again`(
        text: String, algorithm: Digest.Algorithm, sum: String
    ) {
        var digest = Digest(algorithm)
        digest.update(Array(text.utf8).span)
        #expect(written { digest.finish(hexadecimalTo: &$0) } == sum)
        for byte in text.utf8 { digest.update([byte].span) }
        #expect(written { digest.finish(hexadecimalTo: &$0) } == sum)
    }

    @Test func `wiping leaves nothing`() {
        var key: [UInt8] = [1, 2, 3]
        wipe(&key)
        #expect(key.isEmpty)
    }
}
