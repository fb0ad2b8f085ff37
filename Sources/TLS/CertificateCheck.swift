import COpenSSL

/// A file as it was read: its name for messages, its bytes, and who may read it.
package struct CertificateFile: Sendable {
    package var path: String
    package var bytes: [UInt8]
    /// The permission bits of `st_mode`, where they are known.
    package var mode: UInt32?

    package init(path: String, bytes: [UInt8], mode: UInt32? = nil) {
        self.path = path
        self.bytes = bytes
        self.mode = mode
    }
}

/// One thing that is wrong with a certificate or its key, in words for people, with the files
/// named.
package struct CertificateFinding: Equatable, Sendable {
    package enum Severity: Sendable {
        /// It cannot serve.
        case error
        /// It serves, and somebody will be sorry.
        case warning
    }

    /// Which of the two files a diagnostic should point at.
    package enum Place: Sendable {
        case certificate
        case key
    }

    package var severity: Severity
    package var place: Place
    /// One sentence without a full stop.
    package var message: String
    /// What to do about it, often a command.
    package var suggestion: String?
}

/// The judgement of a certificate and key before they are used; nothing is asked, nothing is kept.
///
/// Files that cannot be opened are the caller's to report; everything about their bytes is found
/// here, all in one go.
package struct CertificateCheck: Sendable {
    package private(set) var findings: [CertificateFinding] = []
    /// Nil where no certificate could be read.
    package private(set) var facts: CertificateFacts?

    /// True where the pair can serve.
    package var isUsable: Bool { !findings.contains { $0.severity == .error } }

    /// A certificate that ends within so many seconds is worth a warning: three weeks, one more
    /// than what automatic renewal (at a third of 90 days) leaves when it works.
    package static let expirySoonSeconds: Int64 = 21 * 86400

    /// - Parameters:
    ///   - others: the other certificates of the configuration, to tell whose key it is when it is
    ///     not this one's.
    ///   - names: `names:` of the configuration; empty where the SAN decides.
    ///   - now: seconds since 1970.
    package init(
        certificate: CertificateFile, key: CertificateFile, others: [CertificateFile] = [],
        names: [String] = [], now: Int64
    ) {
        var hasGoodKey = false
        do throws(CertificateProblem) {
            let privateKey = try PrivateKey(pem: key.bytes)
            hasGoodKey = true
            checkPair(certificate, key, privateKey, others)
        } catch {
            add(
                .error, .key, "\(key.path): \(error)",
                CertificateCheck.cure(error, key, certificate))
        }
        if !hasGoodKey { checkCertificate(certificate, key) }
        checkMode(key)
        checkFacts(certificate, names, now)
    }

    private mutating func add(
        _ severity: CertificateFinding.Severity, _ place: CertificateFinding.Place,
        _ message: String, _ suggestion: String? = nil
    ) {
        findings.append(
            CertificateFinding(
                severity: severity, place: place, message: message, suggestion: suggestion))
    }

    private mutating func checkCertificate(_ certificate: CertificateFile, _ key: CertificateFile) {
        do throws(CertificateProblem) {
            facts = try CertificateFacts(pem: certificate.bytes)
        } catch {
            report(error, certificate, key)
        }
    }

    private mutating func report(
        _ problem: CertificateProblem, _ certificate: CertificateFile, _ key: CertificateFile
    ) {
        add(
            .error, .certificate, "\(certificate.path): \(problem)",
            CertificateCheck.cure(problem, certificate, key))
    }

    private mutating func checkPair(
        _ certificate: CertificateFile, _ key: CertificateFile,
        _ privateKey: borrowing PrivateKey, _ others: [CertificateFile]
    ) {
        do throws(CertificateProblem) {
            let chain = try CertificateChain(pem: certificate.bytes)
            facts = CertificateFacts(of: chain)
            if privateKey.belongs(to: chain) {
                try ContextHandle(isServer: true).use(chain, privateKey)
                checkOrder(of: chain, certificate)
            } else {
                reportMismatch(certificate, key, privateKey, others)
            }
        } catch {
            report(error, certificate, key)
        }
    }

    private mutating func reportMismatch(
        _ certificate: CertificateFile, _ key: CertificateFile,
        _ privateKey: borrowing PrivateKey, _ others: [CertificateFile]
    ) {
        var owner: String?
        for other in others where other.path != certificate.path && owner == nil {
            guard let chain = try? CertificateChain(pem: other.bytes) else { continue }
            if privateKey.belongs(to: chain) { owner = other.path }
        }
        let pair = (key: "the key \(key.path)", certificate: "the certificate \(certificate.path)")
        if let owner {
            add(
                .error, .key, "\(pair.key) belongs to \(owner), not to \(pair.certificate)",
                "are two keys exchanged?")
        } else {
            add(
                .error, .key, "\(pair.key) does not belong to \(pair.certificate)",
                "use the key that this certificate was made with")
        }
    }

    /// Clients want each certificate to be vouched for by the next one; most mend another order,
    /// some do not.
    private mutating func checkOrder(
        of chain: borrowing CertificateChain, _ certificate: CertificateFile
    ) {
        for index in 1..<max(chain.count, 1) {
            let issuer = unsafe chain.at(index)
            guard unsafe X509_check_issued(issuer, chain.at(index - 1)) != X509_V_OK else {
                continue
            }
            let order = "certificate \(index + 1) is not the issuer of certificate \(index)"
            add(
                .warning, .certificate, "\(certificate.path): \(order)",
                "order: own certificate, its issuer, that one's")
            return
        }
    }

    private mutating func checkMode(_ key: CertificateFile) {
        guard let mode = key.mode, mode & 0o004 != 0 else { return }
        add(
            .warning, .key, "the key \(key.path) can be read by everybody on this machine",
            "chmod 600 \(key.path)")
    }

    private mutating func checkFacts(
        _ certificate: CertificateFile, _ names: [String], _ now: Int64
    ) {
        guard let facts else { return }
        let path = certificate.path
        if now > facts.notAfter {
            let days = (now - facts.notAfter) / 86400
            add(.warning, .certificate, "\(path): expired \(days) days ago", "renew it")
        } else if facts.notAfter - now < CertificateCheck.expirySoonSeconds {
            let days = (facts.notAfter - now) / 86400
            add(.warning, .certificate, "\(path): expires in \(days) days", "renew it")
        }
        if now < facts.notBefore {
            add(.warning, .certificate, "\(path): not valid yet", "is this machine's clock right?")
        }
        if names.isEmpty, facts.dnsNames.isEmpty, facts.addresses.isEmpty {
            add(
                .warning, .certificate,
                "\(path): no names (SAN); it answers only where it is the default",
                "clients refuse it; make one with a subject alternative name")
        }
    }

    /// What to do about `problem` of `file`, where `other` is the other file of the pair.
    private static func cure(
        _ problem: CertificateProblem, _ file: CertificateFile, _ other: CertificateFile
    ) -> String? {
        switch problem {
        case .keyEncrypted:
            "decrypt it: openssl pkey -in \(file.path) -out \(file.path).plain"
        case .isDER:
            "convert it: openssl x509 -inform der -in FILE -out FILE.pem (keys: openssl pkey)"
        case .noCertificate(let found?) where found.hasSuffix("PRIVATE KEY"),
            .noKey(let found?) where found == "CERTIFICATE":
            "are certificate and key exchanged?"
        case .noCertificate("CERTIFICATE REQUEST"):
            "a request has to be signed by an authority first"
        case .refused: "RSA keys need 2048 bits or more"
        default: nil
        }
    }
}
