import COpenSSL

/// A certificate while it is being made; a step that OpenSSL refuses throws its words.
@safe
final class CertificateDraft {
    private let pointer: OpaquePointer

    /// A version 3 certificate with a random serial number of 128 bits, good from a little before
    /// `now`.
    init(now: Int64, notAfter: Int64) throws(CertificateProblem) {
        clearErrorQueue()
        guard let pointer = unsafe X509_new() else { throw .refused(detail: takeErrorText()) }
        unsafe self.pointer = pointer
        try require(unsafe X509_set_version(pointer, Int(X509_VERSION_3)))
        try setSerial()
        let start = now - CertificateIssuing.backdateSeconds
        unsafe _ = ASN1_TIME_set(X509_getm_notBefore(pointer), Int(start))
        unsafe _ = ASN1_TIME_set(X509_getm_notAfter(pointer), Int(notAfter))
    }

    /// A finished certificate, to stand as issuer.
    @unsafe
    init(borrowing certificate: OpaquePointer) {
        unsafe _ = X509_up_ref(certificate)
        unsafe pointer = certificate
    }

    deinit { unsafe X509_free(pointer) }

    private func require(_ status: Int32) throws(CertificateProblem) {
        if status != 1 { throw .refused(detail: takeErrorText()) }
    }

    /// 127 random bits: positive and never the same twice (RFC 5280 section 4.1.2.2).
    private func setSerial() throws(CertificateProblem) {
        guard let number = unsafe BN_new() else { throw .refused(detail: takeErrorText()) }
        defer { unsafe BN_free(number) }
        try require(unsafe BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY))
        let serial = unsafe X509_get_serialNumber(pointer)
        try require(unsafe BN_to_ASN1_INTEGER(number, serial) == nil ? 0 : 1)
    }

    func setSubject(organization: String, commonName: String) throws(CertificateProblem) {
        let name = unsafe X509_get_subject_name(pointer)
        for (field, text) in [("O", organization), ("CN", commonName)] {
            let bytes = Array(text.utf8)
            try require(
                unsafe X509_NAME_add_entry_by_txt(
                    name, field, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0))
        }
    }

    func setIssuer(of issuer: CertificateDraft) throws(CertificateProblem) {
        try require(unsafe X509_set_issuer_name(pointer, X509_get_subject_name(issuer.pointer)))
    }

    func setKey(_ key: borrowing PrivateKey) throws(CertificateProblem) {
        try require(unsafe X509_set_pubkey(pointer, key.pointer))
    }

    /// Adds an extension in OpenSSL's own notation (x509v3_config(5)); `text` must come from this
    /// program.
    func add(
        _ identifier: Int32, _ text: String, issuer: CertificateDraft
    ) throws(CertificateProblem) {
        var context = unsafe X509V3_CTX()
        unsafe X509V3_set_ctx(&context, issuer.pointer, pointer, nil, nil, 0)
        guard let one = unsafe X509V3_EXT_conf_nid(nil, &context, identifier, text) else {
            throw .refused(detail: takeErrorText())
        }
        defer { unsafe X509_EXTENSION_free(one) }
        try require(unsafe X509_add_ext(pointer, one, -1))
    }

    /// Adds the subject alternative names, built piece by piece since names may come from anywhere.
    func add(names: [String]) throws(CertificateProblem) {
        guard let list = unsafe copenssl_names_new() else {
            throw .refused(detail: takeErrorText())
        }
        defer { unsafe GENERAL_NAMES_free(list) }
        for name in names {
            let address = unsafe a2i_IPADDRESS(name)
            ERR_clear_error()
            let bytes = Array(name.utf8)
            try require(
                unsafe copenssl_names_add(list, address, bytes, Int32(bytes.count)))
        }
        try require(
            unsafe X509_add1_ext_i2d(
                pointer, NID_subject_alt_name, UnsafeMutableRawPointer(list), 0, 0))
    }

    /// Signs with the issuer's key and writes both parts out.
    func signed(
        with issuerKey: borrowing PrivateKey, own: borrowing PrivateKey
    ) throws(CertificateProblem) -> IssuedCertificate {
        let size = unsafe X509_sign(pointer, issuerKey.pointer, EVP_sha256())
        guard size > 0, let bio = unsafe BIO_new(BIO_s_mem()),
            let keyBIO = unsafe BIO_new(BIO_s_secmem())
        else { throw .refused(detail: takeErrorText()) }
        defer {
            unsafe BIO_free(bio)
            unsafe BIO_free(keyBIO)
        }
        try require(unsafe PEM_write_bio_X509(bio, pointer))
        try require(unsafe PEM_write_bio_PrivateKey(keyBIO, own.pointer, nil, nil, 0, nil, nil))
        return unsafe IssuedCertificate(certificate: takeBytes(bio), key: takeBytes(keyBIO))
    }
}
