import COpenSSL
import Memory

/// A certificate chain and its key as the master read them, with what the configuration says about
/// them.
package struct TLSCertificate: Sendable {
    /// The chain as PEM text, the leaf first.
    package var certificate: [UInt8]
    /// The private key as PEM text, without passphrase.
    package var key: [UInt8]
    /// The server names it answers to; empty: those of its SAN.
    package var names: [String]
    /// Answers where no name fits. Without any such mark the first certificate does.
    package var isDefault: Bool
    /// The certificate's path, for messages.
    package var label: String

    package init(
        certificate: [UInt8], key: [UInt8], names: [String] = [], isDefault: Bool = false,
        label: String
    ) {
        self.certificate = certificate
        self.key = key
        self.names = names
        self.isDefault = isDefault
        self.label = label
    }
}

/// Certificates that a context cannot be built from: which one, and why.
package struct TLSContextError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The certificate's label; empty where none is to blame.
    package let label: String
    package let problem: CertificateProblem

    package var description: String { label.isEmpty ? "\(problem)" : "\(label): \(problem)" }
}

/// The server side of TLS for all listeners of one edge: certificates, versions, ciphers, ALPN,
/// tickets.
///
/// It never changes once built; a reload builds another. One thread uses it and its sessions, which
/// keep it alive.
@safe
public final class TLSContext {
    private let sets: [ContextHandle]
    private let names: ServerNames
    private let ticketKeys: (() -> TicketKeys)?
    private let applicationProtocols: [UInt8]
    private let scratch = WriteScratch()

    /// How long a ticket is good for, in seconds: no longer than the key that sealed it is kept
    /// (rotated every 12 h, and open for one period more).
    static let ticketSecondsMax = 12 * 3600

    /// Tickets after each TLS 1.3 handshake. OpenSSL's own default is 2; each costs an encryption
    /// and a system call of its own, and a client that resumes gets a new one, so one keeps the
    /// chain going.
    static let ticketsPerHandshake = 1

    /// - Parameters:
    ///   - certificates: at least one; several for one name may stand side by side when their keys
    ///     are of different kinds.
    ///   - ticketKeys: called in handshakes for the keys of the moment; without it, this context
    ///     has keys of its own, and sessions resume nowhere else.
    /// - Throws: for the first certificate that cannot serve.
    package init(
        certificates: [TLSCertificate], settings: TLSServerSettings,
        ticketKeys: (() -> TicketKeys)? = nil
    ) throws(TLSContextError) {
        let plan = try CertificatePlan(certificates)
        var sets: [ContextHandle] = []
        for members in plan.sets {
            let handle = ContextHandle(isServer: true)
            for member in members { try handle.use(certificates[member]) }
            try handle.configure(settings)
            sets.append(handle)
        }
        self.sets = sets
        names = plan.names
        self.ticketKeys = ticketKeys
        applicationProtocols = ApplicationProtocol.wireList(settings.applicationProtocols)
        install(settings)
    }

    /// Callbacks find this object through each `SSL_CTX`, unretained: sessions keep it alive.
    private func install(_ settings: TLSServerSettings) {
        let this = unsafe Unmanaged.passUnretained(self).toOpaque()
        for set in sets {
            unsafe _ = SSL_CTX_set_ex_data(set.pointer, 0, this)
            unsafe copenssl_set_servername_callback(set.pointer, chooseCertificate, this)
            if !applicationProtocols.isEmpty {
                unsafe SSL_CTX_set_alpn_select_cb(set.pointer, chooseProtocol, this)
            }
            if settings.sessionTickets, ticketKeys != nil {
                unsafe _ = SSL_CTX_set_tlsext_ticket_key_evp_cb(set.pointer, sealOrOpenTicket)
            }
        }
    }

    /// Begins the server side of a connection.
    ///
    /// - Parameter descriptor: a connected non-blocking socket, which stays the caller's.
    public func accept(_ descriptor: Int32) -> TLSSession {
        unsafe TLSSession(
            context: sets[0].pointer, isServer: true, descriptor: descriptor, keeper: self,
            scratch: scratch.memory)
    }

    /// The context for a server name, nil where the default stands already.
    @unsafe
    fileprivate func context(for name: UnsafePointer<CChar>) -> OpaquePointer? {
        let bytes = unsafe Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
        guard let index = names.find(bytes), index != 0 else { return nil }
        return unsafe sets[index].pointer
    }

    fileprivate var currentKeys: TicketKeys? { ticketKeys?() }

    /// Our first protocol that the client lists too, as a place in our own list (RFC 7301 section
    /// 3.2).
    @unsafe
    fileprivate func choose(
        from offered: UnsafeBufferPointer<UInt8>
    ) -> UnsafeBufferPointer<UInt8>? {
        unsafe applicationProtocols.withUnsafeBufferPointer { ours in
            var position = 0
            while position < ours.count {
                let size = unsafe Int(ours[position])
                let name = unsafe UnsafeBufferPointer(
                    rebasing: ours[position + 1..<position + 1 + size])
                if unsafe list(offered, contains: name) { return unsafe name }
                position += 1 + size
            }
            return nil
        }
    }
}

/// Whether an ALPN list, which OpenSSL has checked to be well-formed, has `name`.
private func list(
    _ list: UnsafeBufferPointer<UInt8>, contains name: UnsafeBufferPointer<UInt8>
) -> Bool {
    var position = 0
    while position < list.count {
        let size = unsafe Int(list[position])
        guard position + 1 + size <= list.count else { return false }
        if size == name.count,
            unsafe memcmp(list.baseAddress! + position + 1, name.baseAddress!, size) == 0
        {
            return true
        }
        position += 1 + size
    }
    return false
}

private func chooseCertificate(
    _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?,
    _ context: UnsafeMutableRawPointer?
) -> Int32 {
    let context = unsafe Unmanaged<TLSContext>.fromOpaque(context!).takeUnretainedValue()
    if let name = unsafe SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name),
        let other = unsafe context.context(for: name)
    {
        unsafe _ = SSL_set_SSL_CTX(ssl, other)
    }
    return SSL_TLSEXT_ERR_OK
}

private func chooseProtocol(
    _ ssl: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ chosenCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?,
    _ offeredCount: UInt32, _ context: UnsafeMutableRawPointer?
) -> Int32 {
    let context = unsafe Unmanaged<TLSContext>.fromOpaque(context!).takeUnretainedValue()
    let list = unsafe UnsafeBufferPointer(start: offered, count: Int(offeredCount))
    guard let name = unsafe context.choose(from: list) else {
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }
    // The list lives as long as the context, and never changes.
    unsafe chosen!.pointee = name.baseAddress
    unsafe chosenCount!.pointee = UInt8(name.count)
    return SSL_TLSEXT_ERR_OK
}

/// Answers of the ticket callback (SSL_CTX_set_tlsext_ticket_key_cb(3)).
private enum TicketAnswer {
    static let failed: Int32 = -1
    static let unknown: Int32 = 0
    static let good: Int32 = 1
    static let goodButRenew: Int32 = 2
}

private func sealOrOpenTicket(
    _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?,
    _ vector: UnsafeMutablePointer<UInt8>?, _ cipher: OpaquePointer?, _ mac: OpaquePointer?,
    _ isSealing: Int32
) -> Int32 {
    let context = unsafe Unmanaged<TLSContext>.fromOpaque(
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0)
    ).takeUnretainedValue()
    guard let keys = context.currentKeys else { return TicketAnswer.unknown }
    if isSealing == 1 {
        let key = keys.current
        unsafe UnsafeMutableRawPointer(name!).storeBytes(of: key.words[0], as: UInt64.self)
        unsafe UnsafeMutableRawPointer(name! + 8).storeBytes(of: key.words[1], as: UInt64.self)
        guard unsafe RAND_bytes(vector, 16) == 1,
            unsafe start(cipher, mac, with: key, vector, isSealing: true)
        else { return TicketAnswer.failed }
        return TicketAnswer.good
    }
    let first = unsafe UnsafeRawPointer(name!).loadUnaligned(as: UInt64.self)
    let second = unsafe UnsafeRawPointer(name!).loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    let isCurrent = keys.current.hasName(first, second)
    let key: TicketKey
    if isCurrent {
        key = keys.current
    } else if keys.previous.hasName(first, second) {
        key = keys.previous
    } else if keys.next.hasName(first, second) {
        key = keys.next
    } else {
        return TicketAnswer.unknown
    }
    guard unsafe start(cipher, mac, with: key, vector, isSealing: false) else {
        return TicketAnswer.failed
    }
    // Clients use a ticket of TLS 1.3 once (RFC 8446 appendix C.4), so each resumption needs a new
    // one.
    let isSpent = unsafe SSL_version(ssl) == TLS1_3_VERSION
    return isCurrent && !isSpent ? TicketAnswer.good : TicketAnswer.goodButRenew
}

/// Readies OpenSSL's cipher and authenticator: encrypt, then authenticate, with two keys.
private func start(
    _ cipher: OpaquePointer?, _ mac: OpaquePointer?, with key: TicketKey,
    _ vector: UnsafeMutablePointer<UInt8>?, isSealing: Bool
) -> Bool {
    unsafe withUnsafeBytes(of: key.words) { bytes in
        let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
        guard unsafe copenssl_hmac_sha256_init(mac, start + 16, 32) == 1 else { return false }
        return unsafe EVP_CipherInit_ex(
            cipher, EVP_aes_256_cbc(), nil, start + 48, vector, isSealing ? 1 : 0) == 1
    }
}

extension ContextHandle {
    /// Adds a certificate beside those of other kinds of key.
    fileprivate func use(_ certificate: TLSCertificate) throws(TLSContextError) {
        do throws(CertificateProblem) {
            let chain = try CertificateChain(pem: certificate.certificate)
            let key = try PrivateKey(pem: certificate.key)
            guard key.belongs(to: chain) else { throw CertificateProblem.keyMismatch }
            try use(chain, key)
        } catch {
            throw TLSContextError(label: certificate.label, problem: error)
        }
    }

    func use(
        _ chain: borrowing CertificateChain, _ key: borrowing PrivateKey
    ) throws(CertificateProblem) {
        clearErrorQueue()
        let status = unsafe SSL_CTX_use_cert_and_key(
            pointer, chain.leaf, key.pointer, chain.intermediates, 1)
        if status != 1 { throw .refused(detail: takeErrorText()) }
    }

    /// Versions, ciphers, groups and tickets. After the certificates, whose kind of key does not
    /// matter here.
    fileprivate func configure(_ settings: TLSServerSettings) throws(TLSContextError) {
        let profile = settings.profile
        let minimum = max(profile.minimum, settings.minimum ?? profile.minimum)
        var isGood = unsafe copenssl_set_min_version(pointer, Int32(minimum.rawValue)) == 1
        isGood = unsafe copenssl_set_max_version(pointer, TLS1_3_VERSION) == 1 && isGood
        isGood = unsafe SSL_CTX_set_cipher_list(pointer, "\(profile.cipherList)") == 1 && isGood
        isGood = unsafe copenssl_set_groups(pointer, "X25519:P-256:P-384") == 1 && isGood
        precondition(isGood, "OpenSSL refuses the profile \(profile): \(takeErrorText())")
        unsafe copenssl_set_dh_auto(pointer)
        if profile.prefersServerOrder {
            unsafe _ = SSL_CTX_set_options(pointer, copenssl_op_server_preference)
        }
        // Sessions live in tickets alone: nothing to share between edges, nothing to fill up.
        unsafe copenssl_set_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        let identity = Array("proxy".utf8)
        unsafe _ = SSL_CTX_set_session_id_context(pointer, identity, UInt32(identity.count))
        if settings.sessionTickets {
            unsafe _ = SSL_CTX_set_timeout(pointer, TLSContext.ticketSecondsMax)
            unsafe _ = SSL_CTX_set_num_tickets(pointer, TLSContext.ticketsPerHandshake)
        } else {
            unsafe _ = SSL_CTX_set_options(pointer, copenssl_op_no_ticket)
            unsafe _ = SSL_CTX_set_num_tickets(pointer, 0)
        }
    }
}
