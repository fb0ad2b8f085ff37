import COpenSSL

/// Owns one `SSL_CTX`, set up as both sides of the proxy need it.
@safe
final class ContextHandle {
    let pointer: OpaquePointer

    /// - Parameter isServer: which of OpenSSL's two methods.
    init(isServer: Bool) {
        guard let pointer = unsafe SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method())
        else { preconditionFailure("OpenSSL gives no SSL_CTX") }
        unsafe self.pointer = pointer
        // Idle connections hold no record buffers; a write may take a part and come back with other
        // memory.
        unsafe copenssl_set_mode(
            pointer,
            Int(SSL_MODE_RELEASE_BUFFERS) | Int(SSL_MODE_ENABLE_PARTIAL_WRITE)
                | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        // A record is one receive, not one for its head and one for the rest.
        unsafe copenssl_set_read_ahead(pointer)
        unsafe _ = SSL_CTX_set_options(pointer, copenssl_op_common)
        unsafe SSL_CTX_set_info_callback(pointer, noteAlert)
    }

    deinit { unsafe SSL_CTX_free(pointer) }
}

/// The memory in which a head and the start of its body become one record; one a context, since one
/// thread uses it.
@safe
final class WriteScratch {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: TLSSession.recordBytesMax)

    deinit { unsafe memory.deallocate() }
}
