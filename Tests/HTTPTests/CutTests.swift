import HTTP
import Memory
import Testing

private let goodRequests = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET /a?b HTTP/1.1\r\nHost: a:1\r\nX:y\r\nZ:  z \r\n\r\nmore",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
    "POST http://b/p HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n"
        + "Connection: x, close\r\nX: 1\r\n\r\n",
    "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
]

/// Cuts that every sample is tried with: each place once, and byte by byte.
func everyCut(_ count: Int) -> [[Int]] {
    (0...count).map { [$0] } + [Array(0...count)]
}

@Suite struct CutTests {
    @Test(arguments: goodRequests + refusedRequests.map(\.0))
    func `a request's meaning does not depend on where its bytes were cut`(text: String) {
        let sample = bytes(text)
        let whole = parseRequest(sample)
        for cuts in everyCut(sample.count) {
            let parts = parseRequest(sample, cuts: cuts)
            #expect(parts == whole, "cut at \(cuts)")
        }
    }

    @Test(arguments: [7, 20, 40], [4, 9])
    func `limits do not depend on where the bytes were cut`(head: Int, target: Int) {
        let limits = HeadLimits(headBytes: head, fieldCount: 2, targetBytes: target)
        for text in goodRequests + refusedRequests.map(\.0) where text.utf8.count < 200 {
            let sample = bytes(text)
            let whole = parseRequest(sample, limits: limits)
            let pieces = parseRequest(sample, cuts: Array(0...sample.count), limits: limits)
            #expect(pieces == whole)
        }
    }

    @Test(
        arguments: faultyResponses.map(\.0) + [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.0 200\r\n\r\n",
            "HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-A\r\nX-A: 1\r\n\r\n",
        ])
    func `a response's meaning does not depend on where its bytes were cut`(text: String) {
        let sample = bytes(text)
        let whole = parseResponse(sample)
        for cuts in everyCut(sample.count) {
            #expect(parseResponse(sample, cuts: cuts) == whole, "cut at \(cuts)")
        }
    }

    @Test(
        arguments: goodChunks.map(\.0) + faultyChunks.map(\.0).filter { $0.utf8.count < 300 } + [
            "1\r\nx\r\n0\r\nX-Count: 5\r\nHost: h\r\nY: z\r\n\r\nnext"
        ])
    func `a body's meaning does not depend on where its bytes were cut`(text: String) {
        let sample = bytes(text)
        let whole = decodeBody(sample, .chunked)
        for cuts in everyCut(sample.count) {
            #expect(decodeBody(sample, .chunked, cuts: cuts) == whole, "cut at \(cuts)")
        }
    }
}
