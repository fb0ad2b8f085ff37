import COpenSSL

/// The socket as OpenSSL sees it: a `BIO` of our own instead of `BIO_s_socket`.
///
/// It sends with `MSG_NOSIGNAL`, so that a vanished peer is an error and never a signal; it
/// remembers whether the last receive emptied the socket, which saves a system call a request; and
/// it counts the bytes on the wire.
@safe
struct SocketState {
    let descriptor: Int32
    /// True until a receive brought less than was asked for.
    var mayHoldMore = true
    /// The peer sends no more.
    var hasEnded = false
    /// `errno` of the last call that failed for another reason than that it would block.
    var lastError: Int32 = 0
    /// The number of the fatal alert that we sent, 0 before.
    var alertSent: UInt8 = 0
    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0

    /// All that says what to wait for, for clearing.
    static let retryFlags =
        BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// A new `BIO` over `state`, which has to outlive it.
    @unsafe
    static func makeBIO(_ state: UnsafeMutablePointer<SocketState>) -> OpaquePointer? {
        guard let bio = unsafe BIO_new(method) else { return nil }
        unsafe BIO_set_data(bio, state)
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    /// Made once a process; the functions below are its whole behaviour.
    private nonisolated(unsafe) static let method: OpaquePointer = {
        let type = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
        guard let method = unsafe BIO_meth_new(type, "proxy socket") else {
            preconditionFailure("no memory for BIO_METHOD")
        }
        unsafe BIO_meth_set_read_ex(method, socketReceive)
        unsafe BIO_meth_set_write_ex(method, socketSend)
        unsafe BIO_meth_set_ctrl(method, socketControl)
        return unsafe method
    }()
}

/// OpenSSL tells of alerts here, the only place where it does; set for each context.
func noteAlert(_ ssl: OpaquePointer?, _ event: Int32, _ value: Int32) {
    guard event & SSL_CB_WRITE_ALERT == SSL_CB_WRITE_ALERT, value >> 8 == SSL3_AL_FATAL,
        let data = unsafe BIO_get_data(SSL_get_rbio(ssl))
    else { return }
    let state = unsafe data.assumingMemoryBound(to: SocketState.self)
    unsafe state.pointee.alertSent = UInt8(truncatingIfNeeded: value)
}

private func socketReceive(
    _ bio: OpaquePointer?, _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int,
    _ count: UnsafeMutablePointer<Int>?
) -> Int32 {
    let state = unsafe BIO_get_data(bio).assumingMemoryBound(to: SocketState.self)
    unsafe BIO_clear_flags(bio, SocketState.retryFlags)
    var received = unsafe copenssl_receive(state.pointee.descriptor, buffer, size)
    while received < 0, copenssl_errno() == EINTR {
        received = unsafe copenssl_receive(state.pointee.descriptor, buffer, size)
    }
    unsafe state.pointee.mayHoldMore = received == size
    if received > 0 {
        unsafe state.pointee.bytesReceived += UInt64(received)
        unsafe count!.pointee = received
        return 1
    }
    unsafe count!.pointee = 0
    if received == 0 {
        unsafe state.pointee.hasEnded = true
        return 0
    }
    let number = copenssl_errno()
    if number == EAGAIN {
        unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
    } else {
        unsafe state.pointee.lastError = number
    }
    return 0
}

private func socketSend(
    _ bio: OpaquePointer?, _ buffer: UnsafePointer<CChar>?, _ size: Int,
    _ count: UnsafeMutablePointer<Int>?
) -> Int32 {
    let state = unsafe BIO_get_data(bio).assumingMemoryBound(to: SocketState.self)
    unsafe BIO_clear_flags(bio, SocketState.retryFlags)
    var sent = unsafe copenssl_send(state.pointee.descriptor, buffer, size)
    while sent < 0, copenssl_errno() == EINTR {
        sent = unsafe copenssl_send(state.pointee.descriptor, buffer, size)
    }
    if sent >= 0 {
        unsafe state.pointee.bytesSent += UInt64(sent)
        unsafe count!.pointee = sent
        return 1
    }
    unsafe count!.pointee = 0
    let number = copenssl_errno()
    if number == EAGAIN {
        unsafe BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
    } else {
        unsafe state.pointee.lastError = number
    }
    return 0
}

private func socketControl(
    _ bio: OpaquePointer?, _ command: Int32, _ number: Int, _ pointer: UnsafeMutableRawPointer?
) -> Int {
    switch command {
    case BIO_CTRL_FLUSH, BIO_CTRL_DUP: return 1
    case BIO_CTRL_EOF:
        let state = unsafe BIO_get_data(bio).assumingMemoryBound(to: SocketState.self)
        return unsafe state.pointee.hasEnded ? 1 : 0
    default: return 0
    }
}
