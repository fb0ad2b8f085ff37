import COpenSSL
import Testing

@testable import TLS

@Suite struct HandshakeFailureTests {
    /// What the server says to these bytes from a client.
    func answer(to bytes: [UInt8], thenClose: Bool = false) -> TLSHandshake {
        let wire = Wire()
        var server = Fixtures.context().accept(wire.server)
        give(bytes, to: wire.client)
        if thenClose { wire.closeClient() }
        return server.handshake()
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", TLSFailure.Reason.httpRequest),
        ("POST /a HTTP/1.1\r\n", .httpRequest), ("CONNECT a:1 HTTP/1.1\r\n", .httpRequest),
        ("SSH-2.0-OpenSSH_9.2\r\n", .notTLS), ("\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", .notTLS),
    ])
    func `names what came instead of TLS`(bytes: String, reason: TLSFailure.Reason) {
        #expect(answer(to: Array(bytes.utf8)).failure?.reason == reason)
    }

    @Test func `a client that goes away is closed, not failed`() {
        #expect(answer(to: [], thenClose: true) == .closed)
        #expect(answer(to: [0x16, 3, 1, 0, 200, 1], thenClose: true) == .closed)
    }

    @Test func `a reset is told apart`() {
        let wire = Wire()
        var server = Fixtures.context().accept(wire.server)
        #expect(server.handshake() == .wantsRead)
        // Closing with unread bytes resets a Unix stream.
        give([0], to: wire.server)
        wire.closeClient()
        let failure = server.handshake().failure
        #expect(failure?.reason == .reset)
        #expect(failure?.code == UInt32(ECONNRESET))
        #expect(server.handshake().failure?.reason == .reset, "it stays failed")
    }

    @Test func `no cipher in common`() {
        let client = TunedClient(versions: .tls12 ... .tls12, ciphers: "AES128-SHA:@SECLEVEL=0")
        var connection = Connection(client, Fixtures.context())
        let result = connection.shakeHands()
        #expect(result.server.failure?.reason == .noSharedCipher)
        #expect(result.server.failure?.alert == 40, "ours")
        #expect(result.client.failure?.alert == 40)
        #expect(result.client.failure?.reason == .peerAlert)
    }

    @Test func `no group in common`() {
        let client = TunedClient(versions: .tls13 ... .tls13, groups: "X448")
        var connection = Connection(client, Fixtures.context())
        #expect(connection.shakeHands().server.failure?.reason == .noSharedGroup)
    }

    @Test func `a client that does not trust us says so, and the alert's number is kept`() throws {
        let trust = TLSTrust.authorities(pem: Fixtures.otherRoot.certificate, label: "other.pem")
        let upstream = TLSUpstream(try TLSClientContext(trust: trust), serverName: "localhost")
        var connection = Connection(upstream, Fixtures.context())
        _ = connection.shakeHands()
        guard case .failed(let failure) = readAll(&connection.server).end else {
            Issue.record("the server saw no failure")
            return
        }
        #expect(failure.reason == .certificateRefused)
        #expect(failure.alert == 48)
        #expect(connection.server.shutdown() == .impossible)
    }

    @Test func `a handshake record that is broken on its way`() {
        let wire = Wire()
        var client = TunedClient().connect(wire.client)
        #expect(client.handshake() == .wantsRead)
        var hello = take(wire.server)
        hello[5] = 0x0e
        give(hello, to: wire.client)
        let outer = Wire()
        give(hello, to: outer.client)
        var server = Fixtures.context().accept(outer.server)
        #expect(server.handshake().failure?.reason == .badMessage)
    }

    @Test func `every reason has a word and a text`() {
        for reason in TLSFailure.Reason.allCases {
            let failure = TLSFailure(reason)
            #expect(failure.description.hasPrefix("\(reason.word)"))
        }
        let expired = TLSFailure(.certificateUntrusted, code: UInt32(X509_V_ERR_CERT_HAS_EXPIRED))
        #expect(expired.description == "certificate_untrusted: certificate has expired")
        #expect(expired.isCertificateError)
        #expect(!TLSFailure(.peerAlert).isCertificateError)
    }
}
