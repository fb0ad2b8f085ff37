import COpenSSL
import Testing

@testable import TLS

@Suite struct ServerNamesTests {
    @Test(arguments: [
        ("a.example", 1), ("A.EXAMPLE", 1), ("a.example.", 1), ("b.example", 2), ("x.b.example", 3),
        ("y.x.b.example", nil), (".b.example", nil), ("b.example.x", nil), ("", nil), (".", nil),
        ("c.b.example", 4), ("example", nil),
    ])
    func `exact names go before wildcards of one label`(name: String, index: Int?) {
        var names = ServerNames()
        names.add("a.example", 1)
        names.add("B.example", 2)
        names.add("*.b.example", 3)
        names.add("c.b.example", 4)
        names.add("a.example", 5)
        names.add("*.b.example", 6)
        names.add("", 7)
        #expect(names.find(Array(name.utf8)) == index)
    }

    /// The first DNS name of the certificate that a client is shown for a server name.
    func shown(
        _ name: String?, _ context: TLSContext,
        versions: ClosedRange<TLSVersion> = .tls12 ... .tls13,
        ciphers: String? = nil
    ) -> (name: String?, isRSA: Bool) {
        let client = TunedClient(versions: versions, ciphers: ciphers, serverName: name)
        var connection = Connection(client, context)
        let result = connection.shakeHands()
        guard result == (.done, .done) else { return (nil, false) }
        let certificate = unsafe SSL_get0_peer_certificate(connection.client.pointer)
        let bio = unsafe BIO_new(BIO_s_mem())!
        defer { unsafe BIO_free(bio) }
        unsafe _ = PEM_write_bio_X509(bio, certificate)
        guard let facts = try? CertificateFacts(pem: unsafe takeBytes(bio)) else {
            return (nil, false)
        }
        if case .rsa = facts.key { return (facts.dnsNames.first, true) }
        return (facts.dnsNames.first, false)
    }

    @Test func `shows the certificate of the name, else the default`() {
        let context = Fixtures.context([
            Fixtures.certificate(Fixtures.leaf(["one.test"])),
            Fixtures.certificate(Fixtures.leaf(["*.two.test"])),
            Fixtures.certificate(Fixtures.leaf(["three.test", "four.test"])),
            Fixtures.certificate(Fixtures.leaf(["five.test"]), names: ["renamed.test"]),
        ])
        for (name, expected) in [
            (nil, "one.test"), ("one.test", "one.test"), ("unknown.test", "one.test"),
            ("a.two.test", "*.two.test"), ("two.test", "one.test"), ("four.test", "three.test"),
            ("FOUR.test", "three.test"), ("renamed.test", "five.test"), ("five.test", "one.test"),
        ] as [(String?, String)] {
            #expect(shown(name, context).name == expected, "\(name ?? "none")")
        }
    }

    @Test func `a certificate may be marked as the default`() {
        let context = Fixtures.context([
            Fixtures.certificate(Fixtures.leaf(["one.test"])),
            Fixtures.certificate(Fixtures.leaf(["two.test"]), isDefault: true),
        ])
        #expect(shown(nil, context).name == "two.test")
        #expect(shown("one.test", context).name == "one.test")
    }

    @Test func `ECDSA and RSA stand side by side for one name`() {
        let context = Fixtures.context([
            Fixtures.certificate(Fixtures.leaf(["other.test"])),
            Fixtures.certificate(Fixtures.rsa), Fixtures.certificate(Fixtures.local),
        ])
        let ecdsa = shown(
            "localhost", context, versions: .tls12 ... .tls12,
            ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256")
        #expect(ecdsa == ("localhost", false))
        let rsa = shown(
            "localhost", context, versions: .tls12 ... .tls12,
            ciphers: "ECDHE-RSA-AES128-GCM-SHA256")
        #expect(rsa == ("localhost", true))
        #expect(shown("localhost", context, versions: .tls13 ... .tls13) == ("localhost", false))
        #expect(shown("unknown.test", context).name == "other.test")
    }

    @Test func `says which certificate a context cannot be built from`() {
        var wrong = Fixtures.certificate()
        wrong.key = Fixtures.leaf(["a.test"]).key
        let cases: [([TLSCertificate], CertificateProblem)] = [
            ([], .noCertificates), ([Fixtures.certificate(), wrong], .keyMismatch),
        ]
        for (certificates, problem) in cases {
            #expect(
                throws: TLSContextError(
                    label: certificates.isEmpty ? "" : "test.pem", problem: problem)
            ) {
                try TLSContext(certificates: certificates, settings: TLSServerSettings())
            }
        }
    }
}
