import COpenSSL

/// A certificate and its key as PEM text.
package struct IssuedCertificate: Equatable, Sendable {
    package var certificate: [UInt8]
    package var key: [UInt8]

    package init(certificate: [UInt8], key: [UInt8]) {
        self.certificate = certificate
        self.key = key
    }
}

/// Makes certificates with EC P-256 keys: a root that vouches, and leaves that serve.
///
/// Pure but for OpenSSL's randomness: nothing is read or written. Both pass the strict checks of
/// RFC 5280 (`X509_V_FLAG_X509_STRICT`), which want key usage and key identifiers.
package enum CertificateIssuing {
    /// Certificates are good from so many seconds ago, since clocks differ.
    package static let backdateSeconds: Int64 = 3600
    /// The longest common name (RFC 5280 appendix A.1, ub-common-name).
    private static let commonNameBytesMax = 64

    /// A root authority, which may sign leaves and no further authorities (`pathlen:0`).
    ///
    /// - Parameters:
    ///   - name: its common name, cut at 64 bytes.
    ///   - now: seconds since 1970.
    package static func makeRoot(
        name: String, days: Int64, now: Int64
    ) throws(CertificateProblem) -> IssuedCertificate {
        let key = try makeKey()
        let draft = try CertificateDraft(now: now, notAfter: now + days * 86400)
        try draft.setSubject(organization: "proxy", commonName: cut(name))
        try draft.setIssuer(of: draft)
        try draft.setKey(key)
        try draft.add(NID_basic_constraints, "critical,CA:TRUE,pathlen:0", issuer: draft)
        try draft.add(NID_key_usage, "critical,keyCertSign,cRLSign", issuer: draft)
        try draft.add(NID_subject_key_identifier, "hash", issuer: draft)
        try draft.add(NID_authority_key_identifier, "keyid:always", issuer: draft)
        return try draft.signed(with: key, own: key)
    }

    /// A server certificate for `names` (DNS names, wildcards, IP addresses), signed by `root`.
    ///
    /// It ends with the root, if that is sooner.
    package static func makeLeaf(
        names: [String], root: IssuedCertificate, days: Int64, now: Int64
    ) throws(CertificateProblem) -> IssuedCertificate {
        let rootChain = try CertificateChain(pem: root.certificate)
        let rootKey = try PrivateKey(pem: root.key)
        guard rootKey.belongs(to: rootChain) else { throw .keyMismatch }
        let key = try makeKey()
        let end = min(now + days * 86400, CertificateFacts(of: rootChain).notAfter)
        let draft = try CertificateDraft(now: now, notAfter: end)
        let issuer = unsafe CertificateDraft(borrowing: rootChain.leaf)
        try draft.setSubject(organization: "proxy", commonName: cut(names.first ?? "localhost"))
        try draft.setIssuer(of: issuer)
        try draft.setKey(key)
        try draft.add(NID_basic_constraints, "critical,CA:FALSE", issuer: issuer)
        try draft.add(NID_key_usage, "critical,digitalSignature", issuer: issuer)
        try draft.add(NID_ext_key_usage, "serverAuth", issuer: issuer)
        try draft.add(NID_subject_key_identifier, "hash", issuer: issuer)
        try draft.add(NID_authority_key_identifier, "keyid:always", issuer: issuer)
        try draft.add(names: names)
        return try draft.signed(with: rootKey, own: key)
    }

    /// Whether `certificate` is signed with the key of `root`.
    package static func verify(_ certificate: [UInt8], signedBy root: [UInt8]) -> Bool {
        guard let chain = try? CertificateChain(pem: certificate),
            let authority = try? CertificateChain(pem: root)
        else { return false }
        clearErrorQueue()
        defer { ERR_clear_error() }
        return unsafe X509_verify(chain.leaf, X509_get0_pubkey(authority.leaf)) == 1
    }

    /// Whether `key` is the key of the first certificate in `certificate`.
    package static func key(_ key: [UInt8], belongsTo certificate: [UInt8]) -> Bool {
        guard let chain = try? CertificateChain(pem: certificate),
            let privateKey = try? PrivateKey(pem: key)
        else { return false }
        return privateKey.belongs(to: chain)
    }

    /// A name as certificates write it: addresses in their short form, DNS names in lower case.
    package static func canonicalName(_ name: String) -> String {
        let octets = unsafe a2i_IPADDRESS(name)
        ERR_clear_error()
        guard let octets = unsafe octets else { return name.lowercased() }
        defer { unsafe ASN1_OCTET_STRING_free(octets) }
        return unsafe addressText(stringBytes(octets)) ?? name
    }

    /// The first certificate block of a PEM file, without what else is in there; empty where there
    /// is none.
    package static func firstCertificate(in pem: [UInt8]) -> [UInt8] {
        guard let chain = try? CertificateChain(pem: pem), let bio = unsafe BIO_new(BIO_s_mem())
        else { return [] }
        defer { unsafe BIO_free(bio) }
        unsafe _ = PEM_write_bio_X509(bio, chain.leaf)
        return unsafe takeBytes(bio)
    }

    private static func makeKey() throws(CertificateProblem) -> PrivateKey {
        clearErrorQueue()
        guard let key = unsafe copenssl_make_p256_key() else {
            throw .refused(detail: takeErrorText())
        }
        return unsafe PrivateKey(owning: key)
    }

    private static func cut(_ name: String) -> String {
        var name = name
        while name.utf8.count > commonNameBytesMax { name.removeLast() }
        return name
    }
}
