import COpenSSL
import Testing

@testable import TLS

@Suite struct UpstreamTests {
    func trusting(_ root: IssuedCertificate = Fixtures.root) -> TLSClientContext {
        try! TLSClientContext(trust: .authorities(pem: root.certificate, label: "root.pem"))
    }

    func failure(_ upstream: TLSUpstream, _ certificate: TLSCertificate) -> TLSFailure? {
        var connection = Connection(upstream, Fixtures.context([certificate]))
        return connection.shakeHands().client.failure
    }

    @Test(arguments: [
        ("localhost", "localhost"), ("LOCALHOST", "LOCALHOST"), ("127.0.0.1", ""), ("::1", ""),
    ])
    func `a certificate that carries the name is good`(name: String, indication: String) {
        let upstream = TLSUpstream(trusting(), serverName: name)
        var connection = Connection(upstream, Fixtures.context())
        #expect(connection.shakeHands() == (.done, .done))
        #expect(connection.client.facts.applicationProtocol == .http11)
        #expect(text(connection.server.serverName) == indication)
    }

    @Test(arguments: [
        ("example.test", X509_V_ERR_HOSTNAME_MISMATCH),
        ("127.0.0.2", X509_V_ERR_IP_ADDRESS_MISMATCH),
        ("::2", X509_V_ERR_IP_ADDRESS_MISMATCH),
    ])
    func `a certificate of another name is refused`(name: String, code: Int32) {
        let found = failure(TLSUpstream(trusting(), serverName: name), Fixtures.certificate())
        #expect(found?.reason == .certificateNameMismatch)
        #expect(found?.description.hasPrefix("certificate_name_mismatch: ") == true)
        #expect(found?.code == UInt32(code))
        #expect(found?.alert == 42, "bad_certificate, as we told the server")
        #expect(found?.isCertificateError == true)
    }

    @Test
    func `an expired, a foreign and a self-signed certificate are refused, each by its cause`() {
        let expired = Fixtures.leaf(["localhost"], days: 10, madeAt: Fixtures.now - 20 * 86400)
        let upstream = TLSUpstream(trusting(), serverName: "localhost")
        let cases: [(IssuedCertificate, String)] = [
            (expired, "certificate has expired"),
            (
                Fixtures.leaf(["localhost"], root: Fixtures.otherRoot),
                "unable to get local issuer certificate"
            ),
            (Fixtures.rsa, "self-signed certificate"),
        ]
        for (certificate, words) in cases {
            let found = failure(upstream, Fixtures.certificate(certificate))
            #expect(found?.description == "certificate_untrusted: \(words)")
        }
    }

    @Test func `a certificate may be trusted by itself`() {
        let upstream = TLSUpstream(trusting(Fixtures.local), serverName: "localhost")
        #expect(failure(upstream, Fixtures.certificate()) == nil)
        #expect(failure(upstream, Fixtures.certificate(Fixtures.leaf(["localhost"]))) != nil)
    }

    @Test func `the machine's trust store does not know our root`() throws {
        for _ in 0..<2 {
            let clients = try TLSClientContext(trust: .system)
            let upstream = TLSUpstream(clients, serverName: "localhost")
            #expect(failure(upstream, Fixtures.certificate())?.isCertificateError == true)
        }
    }

    @Test func `without verification anybody is good`() throws {
        let upstream = TLSUpstream(try TLSClientContext(trust: .anyone), serverName: "wrong.test")
        #expect(failure(upstream, Fixtures.certificate(Fixtures.rsa)) == nil)
    }

    @Test func `what is no certificate is no authority`() {
        #expect(throws: TLSContextError(label: "ca.pem", problem: .empty)) {
            try TLSClientContext(trust: .authorities(pem: [], label: "ca.pem"))
        }
    }

    @Test func `a server without TLS is a protocol error`() {
        let wire = Wire()
        var client = TLSUpstream(trusting(), serverName: "localhost").connect(wire.client)
        #expect(client.handshake() == .wantsRead)
        give(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), to: wire.server)
        let found = client.handshake().failure
        #expect(found?.reason == .notTLS)
        #expect(found?.isCertificateError == false)
    }

    @Test(arguments: [TLSProfile.modern, .intermediate])
    func `sessions are taken up again, for each upstream by itself`(profile: TLSProfile) {
        let server = Fixtures.context(
            [Fixtures.certificate()], TLSServerSettings(profile: profile))
        let clients = trusting()
        let one = TLSUpstream(clients, serverName: "localhost")
        let other = TLSUpstream(clients, serverName: "127.0.0.1")
        func resumes(_ upstream: TLSUpstream) -> Bool {
            var connection = Connection(upstream, server)
            #expect(connection.shakeHands() == (.done, .done))
            _ = readAll(&connection.client)
            return connection.client.facts.isResumed
        }
        #expect(!resumes(one))
        #expect(resumes(one))
        #expect(!resumes(other))
        #expect(resumes(other))
        one.forgetSession()
        #expect(!resumes(one))
        #expect(resumes(one))
    }
}
