import COpenSSL

/// What a certificate says about itself.
package struct CertificateFacts: Equatable, Sendable {
    /// The kinds of key that certificates are made with.
    package enum KeyKind: Equatable, Sendable {
        case rsa(bits: Int)
        case ec(bits: Int)
        case other(name: String)
    }

    /// DNS names of the SAN, wildcards as they stand.
    package var dnsNames: [String]
    /// IP addresses of the SAN, as text.
    package var addresses: [String]
    /// Seconds since 1970, the first good one.
    package var notBefore: Int64
    /// Seconds since 1970, the last good one.
    package var notAfter: Int64
    package var key: KeyKind
    /// One line, e.g. `O=Example, CN=example.com`.
    package var subject: String
    package var issuer: String
    /// True where it vouches for itself.
    package var isSelfIssued: Bool
    /// How many certificates the file holds, this one included.
    package var chainCount: Int

    /// Reads the first certificate of a PEM file.
    package init(pem: [UInt8]) throws(CertificateProblem) {
        self = CertificateFacts(of: try CertificateChain(pem: pem))
    }

    init(of chain: borrowing CertificateChain) {
        let leaf = unsafe chain.leaf
        (dnsNames, addresses) = chain.subjectNames
        notBefore = unsafe unixSeconds(X509_get0_notBefore(leaf))
        notAfter = unsafe unixSeconds(X509_get0_notAfter(leaf))
        let publicKey = unsafe X509_get0_pubkey(leaf)
        let bits = unsafe Int(EVP_PKEY_get_bits(publicKey))
        switch chain.keyKind {
        case EVP_PKEY_RSA: key = .rsa(bits: bits)
        case EVP_PKEY_EC: key = .ec(bits: bits)
        case let number:
            key = unsafe .other(name: OBJ_nid2sn(number).map { unsafe String(cString: $0) } ?? "?")
        }
        subject = unsafe nameText(X509_get_subject_name(leaf))
        issuer = unsafe nameText(X509_get_issuer_name(leaf))
        isSelfIssued = unsafe X509_check_issued(leaf, leaf) == X509_V_OK
        chainCount = chain.count
    }
}

/// A certificate's time as seconds since 1970.
private func unixSeconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
    let epoch = unsafe ASN1_TIME_set(nil, 0)
    defer { unsafe ASN1_STRING_free(epoch) }
    var days: Int32 = 0
    var seconds: Int32 = 0
    guard unsafe ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return 0 }
    return Int64(days) * 86400 + Int64(seconds)
}

/// A distinguished name on one line (RFC 2253 without its reversed order).
private func nameText(_ name: OpaquePointer?) -> String {
    guard let bio = unsafe BIO_new(BIO_s_mem()) else { return "" }
    defer { unsafe BIO_free(bio) }
    unsafe X509_NAME_print_ex(bio, name, 0, copenssl_name_flags)
    return unsafe String(decoding: takeBytes(bio), as: UTF8.self)
}

/// What has been written to a memory `BIO`.
func takeBytes(_ bio: OpaquePointer) -> [UInt8] {
    let count = unsafe Int(BIO_ctrl_pending(bio))
    guard count > 0 else { return [] }
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        initialized = unsafe Int(BIO_read(bio, buffer.baseAddress, Int32(count)))
    }
}
