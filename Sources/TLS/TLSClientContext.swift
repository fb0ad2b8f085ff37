import COpenSSL
import Memory

/// Whom an upstream's certificate has to come from.
package enum TLSTrust: Sendable {
    /// The machine's own trust store.
    case system
    /// These certificates (PEM), roots or not, and those they signed; `label` is their file, for
    /// messages.
    case authorities(pem: [UInt8], label: String)
    /// Anyone at all (`verify: false`): encrypted, and open to whoever stands in between.
    case anyone
}

/// The client side of TLS for all upstreams with the same trust.
///
/// The trust store is the heavy part; one context for each distinct `ca` is enough. One thread uses
/// it.
@safe
public final class TLSClientContext {
    let handle = ContextHandle(isServer: false)
    let scratch = WriteScratch()

    /// The machine's trust store, read once a process and shared: it is more than a hundred roots.
    private nonisolated(unsafe) static let systemStore: OpaquePointer = {
        guard let store = unsafe X509_STORE_new() else { preconditionFailure("no memory") }
        unsafe _ = X509_STORE_set_default_paths(store)
        ERR_clear_error()
        return unsafe store
    }()

    /// - Parameter applicationProtocols: offered by ALPN, best first; empty offers none.
    /// - Throws: where the authorities are no certificates.
    package init(
        trust: TLSTrust, applicationProtocols: [ApplicationProtocol] = [.http11]
    ) throws(TLSContextError) {
        let context = unsafe handle.pointer
        unsafe _ = copenssl_set_min_version(context, TLS1_2_VERSION)
        let offered = ApplicationProtocol.wireList(applicationProtocols)
        if !offered.isEmpty {
            unsafe _ = SSL_CTX_set_alpn_protos(context, offered, UInt32(offered.count))
        }
        // Sessions are handed to their upstream; OpenSSL keeps none.
        unsafe copenssl_set_cache_mode(
            context, Int(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL))
        unsafe SSL_CTX_sess_set_new_cb(context, keepSession)
        switch trust {
        case .system:
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            unsafe SSL_CTX_set1_cert_store(context, TLSClientContext.systemStore)
        case .authorities(let pem, let label):
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            do throws(CertificateProblem) {
                let roots = try CertificateChain(pem: pem)
                let store = unsafe SSL_CTX_get_cert_store(context)
                unsafe _ = X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
                for index in 0..<roots.count {
                    unsafe _ = X509_STORE_add_cert(store, roots.at(index))
                }
            } catch {
                throw TLSContextError(label: label, problem: error)
            }
        case .anyone:
            unsafe SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        }
        ERR_clear_error()
    }
}

/// One upstream endpoint as TLS sees it: its name, and the last session, to be taken up again.
@safe
public final class TLSUpstream {
    private let context: TLSClientContext
    private let name: [CChar]
    private let isAddress: Bool
    private var session: OpaquePointer?

    /// - Parameter serverName: what the certificate has to carry and SNI asks for: a DNS name, or
    ///   an IP address without brackets (which SNI leaves out, RFC 6066 section 3).
    package init(_ context: TLSClientContext, serverName: String) {
        self.context = context
        name = Array(serverName.utf8CString)
        let octets = unsafe a2i_IPADDRESS(serverName)
        isAddress = unsafe octets != nil
        unsafe ASN1_OCTET_STRING_free(octets)
        ERR_clear_error()
    }

    deinit { unsafe SSL_SESSION_free(session) }

    /// Begins the client side of a connection; the handshake verifies the certificate and the name
    /// in it.
    ///
    /// - Parameter descriptor: a connected (or connecting) non-blocking socket, which stays the
    ///   caller's.
    public func connect(_ descriptor: Int32) -> TLSSession {
        let connection = unsafe TLSSession(
            context: context.handle.pointer, isServer: false, descriptor: descriptor,
            keeper: self, scratch: context.scratch.memory)
        let ssl = unsafe connection.pointer
        let this = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe _ = SSL_set_ex_data(ssl, 0, this)
        if isAddress {
            unsafe _ = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name)
        } else {
            unsafe SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            unsafe _ = SSL_set1_host(ssl, name)
            unsafe _ = copenssl_set_host_name(ssl, name)
        }
        if let session = unsafe session, unsafe SSL_SESSION_is_resumable(session) == 1 {
            unsafe _ = SSL_set_session(ssl, session)
        }
        return connection
    }

    /// Drops the session, so that the next handshake is a full one; done by itself after a failed
    /// handshake.
    public func forgetSession() {
        unsafe SSL_SESSION_free(session)
        unsafe session = nil
    }

    @unsafe
    fileprivate func keep(_ newer: OpaquePointer) {
        unsafe SSL_SESSION_free(session)
        unsafe session = newer
    }
}

/// OpenSSL hands over each new session; returning 1 keeps the reference.
private func keepSession(_ ssl: OpaquePointer?, _ session: OpaquePointer?) -> Int32 {
    guard let upstream = unsafe SSL_get_ex_data(ssl, 0), let session = unsafe session else {
        return 0
    }
    unsafe Unmanaged<TLSUpstream>.fromOpaque(upstream).takeUnretainedValue().keep(session)
    return 1
}
