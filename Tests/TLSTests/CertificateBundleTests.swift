import Testing

@testable import TLS

@Suite struct CertificateBundleTests {
    let bundle = CertificateBundle(
        certificates: [
            TLSCertificate(
                certificate: [1, 2, 3], key: [4], names: ["a.test", "*.b"], label: "a.pem"),
            TLSCertificate(certificate: [], key: [], isDefault: true, label: ""),
        ], authorities: ["/ca.pem": [5, 6], "/other.pem": []])

    @Test func `comes out as it went in`() throws {
        let copy = try CertificateBundle(decoding: bundle.encoded())
        #expect(copy.certificates.count == 2)
        #expect(copy.authorities == bundle.authorities)
        for (one, other) in zip(copy.certificates, bundle.certificates) {
            #expect(one.certificate == other.certificate)
            #expect(one.key == other.key)
            #expect(one.names == other.names)
            #expect(one.isDefault == other.isDefault)
            #expect(one.label == other.label)
        }
    }

    @Test func `cut at any byte it is refused`() {
        let bytes = bundle.encoded()
        for count in 0..<bytes.count {
            #expect(throws: CertificateProblem.empty) {
                try CertificateBundle(decoding: Array(bytes[..<count]))
            }
        }
        #expect(throws: CertificateProblem.empty) {
            try CertificateBundle(decoding: [255, 255, 255, 255])
        }
    }

    @Test func `wiped keys are gone`() {
        var copy = bundle
        copy.wipeKeys()
        #expect(copy.certificates.allSatisfy { $0.key.isEmpty })
    }
}
