import COpenSSL
import Memory

extension TLSSession {
    /// What the finished handshake agreed on. A few calls into OpenSSL: read it once and keep it.
    public var facts: TLSFacts {
        let ssl = unsafe pointer
        let version = unsafe SSL_version(ssl)
        let cipher = unsafe SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl))
        var name: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        unsafe SSL_get0_alpn_selected(ssl, &name, &count)
        return unsafe TLSFacts(
            version: UInt16(truncatingIfNeeded: version), cipher: cipher,
            group: TLSSession.groupNumber(copenssl_negotiated_group(ssl)),
            applicationProtocol: ApplicationProtocol(
                named: UnsafeBufferPointer(start: name, count: Int(count))),
            isResumed: SSL_session_reused(ssl) == 1)
    }

    /// The server name of the ClientHello as sent (SNI, RFC 6066 section 3), empty where there was
    /// none.
    ///
    /// At most 255 bytes, never a NUL; else any byte a client likes to send: escape it when
    /// writing.
    public var serverName: Span<UInt8> {
        @_lifetime(borrow self)
        get {
            guard let name = unsafe SSL_get_servername(pointer, TLSEXT_NAMETYPE_host_name) else {
                return ("" as StaticString).bytes
            }
            let count = unsafe strlen(name)
            let start = unsafe UnsafeRawPointer(name).assumingMemoryBound(to: UInt8.self)
            return unsafe _overrideLifetime(
                Span(_unsafeStart: start, count: count), borrowing: self)
        }
    }

    /// The number in IANA's registry for a group that OpenSSL names by its own number.
    private static func groupNumber(_ identifier: Int32) -> UInt16 {
        switch identifier {
        case NID_undef: 0
        case NID_X25519: 29
        case NID_X9_62_prime256v1: 23
        case NID_secp384r1: 24
        case NID_secp521r1: 25
        case NID_X448: 30
        case NID_ffdhe2048: 256
        case NID_ffdhe3072: 257
        case NID_ffdhe4096: 258
        case NID_ffdhe6144: 259
        case NID_ffdhe8192: 260
        default: UInt16(truncatingIfNeeded: identifier)
        }
    }
}

extension ApplicationProtocol {
    /// The protocol registered under `name`; `none` for an empty name and for all that we do not
    /// know.
    init(named name: UnsafeBufferPointer<UInt8>) {
        for known in ApplicationProtocol.allCases where known != .none {
            let count = known.name.utf8CodeUnitCount
            guard name.count == count else { continue }
            if unsafe memcmp(name.baseAddress!, known.name.utf8Start, count) == 0 {
                self = known
                return
            }
        }
        self = .none
    }

    /// As ALPN lists it: a length byte before each name (RFC 7301 section 3.1).
    static func wireList(_ protocols: [ApplicationProtocol]) -> [UInt8] {
        var bytes: [UInt8] = []
        for one in protocols where one != .none {
            bytes.append(UInt8(one.name.utf8CodeUnitCount))
            unsafe bytes.append(
                contentsOf: UnsafeBufferPointer(
                    start: one.name.utf8Start, count: one.name.utf8CodeUnitCount))
        }
        return bytes
    }
}
