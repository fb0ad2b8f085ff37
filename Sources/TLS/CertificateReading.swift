import COpenSSL

extension CertificateChain {
    /// The DNS names of the leaf's SAN, wildcards as they stand.
    var dnsNames: [String] { subjectNames.dns }

    /// OpenSSL's number for the kind of the leaf's key (`EVP_PKEY_RSA`, `EVP_PKEY_EC`, …).
    var keyKind: Int32 {
        unsafe EVP_PKEY_get_base_id(X509_get0_pubkey(leaf))
    }

    /// The leaf's SAN (RFC 5280 section 4.2.1.6): DNS names, and IP addresses as text.
    var subjectNames: (dns: [String], addresses: [String]) {
        guard
            let value = unsafe X509_get_ext_d2i(leaf, NID_subject_alt_name, nil, nil)
        else { return ([], []) }
        let names = OpaquePointer(value)
        defer { unsafe GENERAL_NAMES_free(names) }
        var dns: [String] = []
        var addresses: [String] = []
        for index in 0..<(unsafe copenssl_names_count(names)) {
            guard let name = unsafe copenssl_names_at(names, index) else { continue }
            var kind: Int32 = 0
            guard let value = unsafe GENERAL_NAME_get0_value(name, &kind) else { continue }
            guard kind == GEN_DNS || kind == GEN_IPADD else { continue }
            let string = unsafe value.assumingMemoryBound(to: ASN1_STRING.self)
            let bytes = unsafe stringBytes(string)
            if kind == GEN_DNS {
                dns.append(String(decoding: bytes, as: UTF8.self))
            } else if let text = addressText(bytes) {
                addresses.append(text)
            }
        }
        return (dns, addresses)
    }
}

/// The content of an ASN.1 string.
func stringBytes(_ string: UnsafePointer<ASN1_STRING>) -> [UInt8] {
    unsafe Array(
        UnsafeBufferPointer(
            start: ASN1_STRING_get0_data(string), count: Int(ASN1_STRING_length(string))))
}

/// An address of 4 or 16 bytes as people write it; nil for other sizes.
func addressText(_ bytes: [UInt8]) -> String? {
    var text = [CChar](repeating: 0, count: 64)
    let family = bytes.count == 4 ? AF_INET : AF_INET6
    guard bytes.count == 4 || bytes.count == 16 else { return nil }
    guard unsafe inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return nil }
    let end = text.firstIndex(of: 0) ?? text.endIndex
    return String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
