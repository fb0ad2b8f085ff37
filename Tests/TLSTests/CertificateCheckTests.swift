import Testing

@testable import TLS

@Suite struct CertificateCheckTests {
    let pair = Fixtures.leaf(["a.test", "127.0.0.1"])

    func check(
        _ certificate: [UInt8], _ key: [UInt8], others: [CertificateFile] = [],
        mode: UInt32 = 0o600, now: Int64 = Fixtures.now + 60
    ) -> CertificateCheck {
        CertificateCheck(
            certificate: CertificateFile(path: "a.pem", bytes: certificate),
            key: CertificateFile(path: "a.key", bytes: key, mode: mode), others: others, now: now)
    }

    func messages(_ check: CertificateCheck) -> [String] { check.findings.map(\.message) }

    @Test func `a good pair has nothing to say, and tells its facts`() {
        let result = check(pair.certificate, pair.key)
        #expect(result.findings.isEmpty)
        #expect(result.isUsable)
        #expect(result.facts?.dnsNames == ["a.test"])
        #expect(result.facts?.addresses == ["127.0.0.1"])
        #expect(result.facts?.key == .ec(bits: 256))
        #expect(result.facts?.notAfter == Fixtures.now + 90 * 86400)
        #expect(result.facts?.notBefore == Fixtures.now - 3600)
        #expect(result.facts?.subject == "O=proxy, CN=a.test")
        #expect(result.facts?.issuer == "O=proxy, CN=test root")
        #expect(result.facts?.isSelfIssued == false)
        #expect(result.facts?.chainCount == 1)
    }

    @Test func `a key of another certificate names both, and whose it is`() {
        let other = Fixtures.leaf(["b.test"])
        let alone = check(pair.certificate, other.key)
        #expect(messages(alone) == ["the key a.key does not belong to the certificate a.pem"])
        #expect(!alone.isUsable)
        let known = check(
            pair.certificate, other.key,
            others: [CertificateFile(path: "b.pem", bytes: other.certificate)])
        #expect(
            messages(known) == ["the key a.key belongs to b.pem, not to the certificate a.pem"])
        #expect(known.findings.first?.place == .key)
    }

    @Test func `encrypted keys are refused without asking, in each format`() throws {
        let folder = try TemporaryFolder()
        let plain = try folder.write(pair.key, "plain.key")
        for (index, arguments) in [
            ["pkey", "-aes256", "-passout", "pass:secret"],
            ["ec", "-aes256", "-passout", "pass:secret"],
        ].enumerated() {
            let made = folder.file("\(index).key")
            let result = try run(["openssl"] + arguments + ["-in", plain, "-out", made])
            #expect(result.status == 0, "\(result.output)")
            let found = check(pair.certificate, try folder.read("\(index).key"))
            #expect(messages(found) == ["a.key: is encrypted with a passphrase"])
            #expect(found.findings.first?.suggestion?.contains("openssl pkey -in a.key") == true)
            #expect(found.facts != nil, "the certificate is looked at all the same")
        }
    }

    @Test func `what is no certificate or no key is said in words`() throws {
        let folder = try TemporaryFolder()
        let pem = try folder.write(pair.certificate, "a.pem")
        _ = try run(["openssl", "x509", "-in", pem, "-outform", "der", "-out", folder.file("der")])
        let request =
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
        var damaged = pair.certificate
        damaged.replaceSubrange(100..<104, with: Array("AAAA".utf8))
        let cases: [([UInt8], [UInt8], [String])] = [
            ([], pair.key, ["a.pem: is empty"]), (pair.certificate, [], ["a.key: is empty"]),
            (try folder.read("der"), pair.key, ["a.pem: is binary (DER), not PEM text"]),
            (Array("hello".utf8), pair.key, ["a.pem: holds no certificate"]),
            (pair.key, pair.key, ["a.pem: holds no certificate, but a private key"]),
            (
                Array(request.utf8), pair.key,
                ["a.pem: holds no certificate, but a certificate request"]
            ),
            (
                pair.certificate, pair.certificate,
                ["a.key: holds no private key, but a certificate"]
            ),
            (
                pair.key, pair.certificate,
                [
                    "a.key: holds no private key, but a certificate",
                    "a.pem: holds no certificate, but a private key",
                ]
            ),
        ]
        for (certificate, key, expected) in cases {
            let found = check(certificate, key)
            #expect(messages(found) == expected)
            #expect(!found.isUsable)
        }
        #expect(
            messages(check(damaged, pair.key)).first?.hasPrefix(
                "a.pem: certificate 1 in the file is damaged") == true)
        var cutKey = pair.key
        cutKey.replaceSubrange(60..<64, with: Array("AAAA".utf8))
        #expect(
            messages(check(pair.certificate, cutKey)).first?.hasPrefix(
                "a.key: the private key is damaged") == true)
        let second = pair.certificate + damaged
        #expect(
            messages(check(second, pair.key)).first?.hasPrefix(
                "a.pem: certificate 2 in the file is damaged") == true)
    }

    @Test func `dates are warned about`() {
        let cases: [(Int64, [String])] = [
            (60 * 86400, []), (80 * 86400, ["a.pem: expires in 10 days"]),
            (93 * 86400 + 5, ["a.pem: expired 3 days ago"]), (-86400, ["a.pem: not valid yet"]),
        ]
        for (later, expected) in cases {
            let found = check(pair.certificate, pair.key, now: Fixtures.now + later)
            #expect(messages(found) == expected)
            #expect(found.isUsable, "a warning is no error")
        }
    }

    @Test(arguments: [(UInt32(0o600), false), (0o640, false), (0o644, true), (0o604, true)])
    func `a key that everybody can read is warned about`(mode: UInt32, isWarned: Bool) {
        let found = check(pair.certificate, pair.key, mode: mode)
        let expected = "the key a.key can be read by everybody on this machine"
        #expect(messages(found) == (isWarned ? [expected] : []))
        #expect(found.isUsable)
    }

    @Test func `a short key, a missing name and a wrong order are found`() throws {
        let short = try Fixtures.selfSigned(newKey: ["-newkey", "rsa:1024"], names: ["a.test"])
        let refused = check(short.certificate, short.key)
        #expect(messages(refused) == ["a.pem: is not accepted by OpenSSL (ee key too small)"])
        let nameless = Fixtures.leaf([])
        #expect(
            messages(check(nameless.certificate, nameless.key))
                == ["a.pem: no names (SAN); it answers only where it is the default"])
        let other = Fixtures.otherRoot.certificate
        let mixed = check(pair.certificate + other, pair.key)
        #expect(messages(mixed) == ["a.pem: certificate 2 is not the issuer of certificate 1"])
        #expect(check(pair.certificate + Fixtures.root.certificate, pair.key).findings.isEmpty)
        let rsa = check(Fixtures.rsa.certificate, Fixtures.rsa.key)
        #expect(rsa.facts?.key == .rsa(bits: 2048))
        #expect(rsa.facts?.isSelfIssued == true)
    }

    @Test func `certificate and key may be in one file`() {
        let both = pair.key + pair.certificate
        #expect(check(both, both).findings.isEmpty)
    }
}
