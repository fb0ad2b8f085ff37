import COpenSSL

/// Owns certificates as a server sends them: the leaf first, then what leads to a root.
@safe
struct CertificateChain: ~Copyable {
    /// A `STACK_OF(X509)` without the leaf.
    private let others: OpaquePointer
    /// The server's own certificate; valid as long as the chain lives.
    let leaf: OpaquePointer

    /// Reads all certificates of a PEM file; other blocks, such as a key in the same file, are
    /// passed over.
    init(pem: [UInt8]) throws(CertificateProblem) {
        var leaf: OpaquePointer?
        guard let others = unsafe copenssl_chain_new() else { preconditionFailure("no memory") }
        var position = 0
        var detail: String?
        unsafe withMemoryBIO(pem) { bio in
            while let one = unsafe PEM_read_bio_X509(bio, nil, refusePassphrase, nil) {
                position += 1
                if unsafe leaf == nil {
                    unsafe leaf = one
                } else {
                    unsafe _ = copenssl_chain_push(others, one)
                }
            }
            detail = takePEMError()
        }
        if let leaf = unsafe leaf, detail == nil {
            unsafe self.leaf = leaf
            unsafe self.others = others
            return
        }
        unsafe X509_free(leaf)
        unsafe copenssl_chain_free(others)
        if let detail { throw .damagedCertificate(position: position + 1, detail: detail) }
        throw pemProblem(pem) { .noCertificate(found: $0) }
    }

    deinit {
        unsafe X509_free(leaf)
        unsafe copenssl_chain_free(others)
    }

    /// How many certificates there are, the leaf included.
    var count: Int { unsafe Int(copenssl_chain_count(others)) + 1 }

    /// The certificate at `index`, 0 being the leaf.
    @unsafe
    func at(_ index: Int) -> OpaquePointer? {
        unsafe index == 0 ? leaf : copenssl_chain_at(others, Int32(index - 1))
    }

    /// Everything but the leaf, for OpenSSL to copy.
    @unsafe
    var intermediates: OpaquePointer { unsafe others }
}

/// Owns a private key. Its bytes are wiped by OpenSSL when it goes.
@safe
struct PrivateKey: ~Copyable {
    let pointer: OpaquePointer

    @unsafe
    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = pointer
    }

    /// Reads the first private key of a PEM file; a passphrase is never asked for.
    init(pem: [UInt8]) throws(CertificateProblem) {
        clearErrorQueue()
        var wantedPassphrase = false
        var key: OpaquePointer?
        unsafe withMemoryBIO(pem) { bio in
            unsafe key = PEM_read_bio_PrivateKey(bio, nil, refusePassphrase, &wantedPassphrase)
        }
        if let key = unsafe key {
            ERR_clear_error()
            unsafe pointer = key
            return
        }
        let detail = takeErrorText()
        if wantedPassphrase { throw .keyEncrypted }
        guard pemLabels(in: pem).contains(where: { $0.hasSuffix("PRIVATE KEY") }) else {
            throw pemProblem(pem) { .noKey(found: $0) }
        }
        throw .damagedKey(detail: detail)
    }

    deinit { unsafe EVP_PKEY_free(pointer) }

    func belongs(to chain: borrowing CertificateChain) -> Bool {
        clearErrorQueue()
        defer { ERR_clear_error() }
        return unsafe X509_check_private_key(chain.leaf, pointer) == 1
    }
}

/// Lends `bytes` to OpenSSL for reading.
@unsafe
func withMemoryBIO(_ bytes: [UInt8], _ body: (OpaquePointer) -> Void) {
    unsafe bytes.withUnsafeBytes { buffer in
        guard let bio = unsafe BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else {
            preconditionFailure("no memory for BIO")
        }
        unsafe body(bio)
        unsafe BIO_free(bio)
    }
}

/// Refuses every passphrase, where OpenSSL would ask on the terminal; sets the flag it is given.
private func refusePassphrase(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int32, _ isWriting: Int32,
    _ wanted: UnsafeMutableRawPointer?
) -> Int32 {
    unsafe wanted?.assumingMemoryBound(to: Bool.self).pointee = true
    return -1
}

/// The words of OpenSSL's first error, with its queue emptied.
func takeErrorText() -> String {
    let code = ERR_peek_error()
    ERR_clear_error()
    guard let text = unsafe ERR_reason_error_string(code) else { return "error \(code)" }
    return unsafe String(cString: text)
}

/// The same after reading PEM, where coming to the end is no error.
private func takePEMError() -> String? {
    let code = ERR_peek_last_error()
    let reason = Int32(truncatingIfNeeded: code & UInt(ERR_REASON_MASK))
    if code == 0 || reason == PEM_R_NO_START_LINE {
        ERR_clear_error()
        return nil
    }
    return takeErrorText()
}
