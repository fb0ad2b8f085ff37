import COpenSSL
public import Memory

/// What the socket has to become before a call makes sense again.
public enum TLSWant: UInt8, Sendable {
    case read
    case write
}

/// How far a handshake has come.
public enum TLSHandshake: Equatable, Sendable {
    /// Agreed. A request may have come along: read at once, no readiness event need follow.
    case done
    case wantsRead
    case wantsWrite
    /// The peer went away in the middle, without an error of its own.
    case closed
    case failed(TLSFailure)
}

/// What a read brought.
public enum TLSRead: Equatable, Sendable {
    /// So many bytes, at least one.
    case bytes(Int)
    /// Nothing yet. `.write` only while a key update is being answered.
    case wouldBlock(TLSWant)
    /// The peer said that it sends no more (close_notify).
    case closed
    /// The connection ended without close_notify: what came may be cut short (RFC 8446 section
    /// 6.1).
    case truncated
    case failed(TLSFailure)
}

/// What a write achieved.
public enum TLSWrite: Equatable, Sendable {
    /// So many bytes were taken. Fewer than given: the socket is full; go on when it is writable.
    case wrote(Int)
    /// Nothing was taken.
    case wouldBlock(TLSWant)
    case failed(TLSFailure)
}

/// What became of our close_notify.
public enum TLSShutdown: Equatable, Sendable {
    /// It is on its way.
    case sent
    /// The socket is full; call again when it is writable, or give it up.
    case wantsWrite
    /// The connection is past such courtesies (failed, in the middle of a record, or of the
    /// handshake).
    case impossible
}

/// One TLS connection on a socket that somebody else owns, non-blocking, server or client side.
///
/// Every call returns at once. After a failure the session stays failed and says the same again.
/// Where a `write` would block, the next `write` has to begin with the same bytes, and at least as
/// many (they may have moved): a part of them may be encrypted already. The socket has to stay open
/// as long as the session lives; a single thread uses it.
@safe
public struct TLSSession: ~Copyable {
    private let ssl: OpaquePointer
    private let socket: UnsafeMutablePointer<SocketState>
    private let scratch: UnsafeMutablePointer<UInt8>
    /// The context or upstream, whose callbacks OpenSSL calls during handshakes; never touched on
    /// reads and writes.
    private let keeper: AnyObject
    private var failure: TLSFailure?
    /// A record is half on its way: only the same bytes may follow.
    private var hasUnfinishedWrite = false

    /// The most plain bytes in one record (RFC 8446 section 5.1).
    static let recordBytesMax = 16384

    /// - Parameters:
    ///   - context: an `SSL_CTX` that `keeper` keeps alive.
    ///   - scratch: `recordBytesMax` bytes that `keeper` keeps alive.
    @unsafe
    init(
        context: OpaquePointer, isServer: Bool, descriptor: Int32, keeper: AnyObject,
        scratch: UnsafeMutablePointer<UInt8>
    ) {
        guard let ssl = unsafe SSL_new(context) else { preconditionFailure("no memory for SSL") }
        let socket = UnsafeMutablePointer<SocketState>.allocate(capacity: 1)
        unsafe socket.initialize(to: SocketState(descriptor: descriptor))
        guard let bio = unsafe SocketState.makeBIO(socket) else {
            preconditionFailure("no memory for BIO")
        }
        unsafe SSL_set_bio(ssl, bio, bio)
        if isServer {
            unsafe SSL_set_accept_state(ssl)
        } else {
            unsafe SSL_set_connect_state(ssl)
        }
        unsafe self.ssl = ssl
        unsafe self.socket = socket
        unsafe self.scratch = scratch
        self.keeper = keeper
    }

    deinit {
        // Else OpenSSL takes the lack of a close_notify as a sign that the session must not be
        // resumed.
        if failure == nil {
            unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        }
        unsafe SSL_free(ssl)
        unsafe socket.deallocate()
    }

    /// For the client side's settings before its handshake.
    @unsafe
    var pointer: OpaquePointer { unsafe ssl }

    /// Bytes taken off the socket and given to it so far, as they lay on the wire.
    var socketCounts: (received: UInt64, sent: UInt64) {
        unsafe (socket.pointee.bytesReceived, socket.pointee.bytesSent)
    }

    /// Bytes taken off the socket so far, those of an unfinished record as well.
    public var bytesReceived: UInt64 { socketCounts.received }

    /// Goes on with the handshake as far as the socket allows.
    public mutating func handshake() -> TLSHandshake {
        if let failure { return .failed(failure) }
        clearErrorQueue()
        let status = unsafe SSL_do_handshake(ssl)
        if status == 1 { return .done }
        switch unsafe SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN:
            failure = TLSFailure(.closed)
            return .closed
        case let error:
            var failure = takeFailure(error)
            if failure.isCertificateError {
                failure = unsafe .certificate(
                    verdict: SSL_get_verify_result(ssl), alert: failure.alert)
            }
            self.failure = failure
            (keeper as? TLSUpstream)?.forgetSession()
            return failure.reason == .closed ? .closed : .failed(failure)
        }
    }

    /// Reads decrypted bytes: those of one record at most.
    ///
    /// - Parameter buffer: at least one byte; what lies behind the bytes read is undefined.
    public mutating func read(into buffer: inout MutableSpan<UInt8>) -> TLSRead {
        if let failure { return .failed(failure) }
        clearErrorQueue()
        var count = 0
        let ssl = unsafe self.ssl
        let status = unsafe buffer.withUnsafeMutableBufferPointer { bytes in
            unsafe SSL_read_ex(ssl, bytes.baseAddress, bytes.count, &count)
        }
        return status == 1 ? .bytes(count) : endOfRead(status)
    }

    /// Reads decrypted bytes into the room behind a block's last byte: those of one record at most.
    public mutating func read(into block: BlockID, of pool: BlockPool) -> TLSRead {
        if let failure { return .failed(failure) }
        clearErrorQueue()
        let room = unsafe pool.unsafeRoom(in: block)
        var count = 0
        let status = unsafe SSL_read_ex(ssl, room.baseAddress, room.count, &count)
        guard status == 1 else { return endOfRead(status) }
        pool.commit(count, to: block)
        return .bytes(count)
    }

    private mutating func endOfRead(_ status: Int32) -> TLSRead {
        switch unsafe SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return .wouldBlock(.read)
        case SSL_ERROR_WANT_WRITE: return .wouldBlock(.write)
        case SSL_ERROR_ZERO_RETURN: return .closed
        case let error:
            let failure = takeFailure(error)
            self.failure = failure
            return failure.reason == .closed ? .truncated : .failed(failure)
        }
    }

    /// True while bytes wait inside that are off the socket already: no readiness event will tell
    /// of them.
    var hasPending: Bool { unsafe SSL_has_pending(ssl) == 1 }

    /// True where another `read` may bring something before the next readiness event.
    ///
    /// With an edge-triggered poller: read until this is false or a read would block. False means
    /// that the last receive emptied the socket, so that trying again would be one system call for
    /// nothing. (After an event that said "peer closed", read on until `closed` or `truncated` all
    /// the same.)
    public var mayReadMore: Bool { unsafe socket.pointee.mayHoldMore || SSL_has_pending(ssl) == 1 }

    /// Encrypts and sends, record by record, until everything is taken or the socket is full.
    public mutating func write(_ bytes: Span<UInt8>) -> TLSWrite {
        if let failure { return .failed(failure) }
        clearErrorQueue()
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            unsafe write(buffer, after: 0)
        }
    }

    /// Sends two pieces as if they were one, so that a head and its body share their first record
    /// and system call.
    ///
    /// The count in the answer runs over both. Up to 16 KiB are copied for that.
    public mutating func write(_ head: Span<UInt8>, _ body: Span<UInt8>) -> TLSWrite {
        if let failure { return .failed(failure) }
        clearErrorQueue()
        return unsafe head.withUnsafeBufferPointer { head in
            unsafe body.withUnsafeBufferPointer { body in
                unsafe write(head, body)
            }
        }
    }

    private mutating func write(
        _ head: UnsafeBufferPointer<UInt8>, _ body: UnsafeBufferPointer<UInt8>
    ) -> TLSWrite {
        var sent = 0
        while sent < head.count {
            let fromHead = min(head.count - sent, TLSSession.recordBytesMax)
            let fromBody = min(body.count, TLSSession.recordBytesMax - fromHead)
            unsafe scratch.update(from: head.baseAddress! + sent, count: fromHead)
            if fromBody > 0 {
                unsafe (scratch + fromHead).update(from: body.baseAddress!, count: fromBody)
            }
            var count = 0
            let status = unsafe SSL_write_ex(ssl, scratch, fromHead + fromBody, &count)
            guard status == 1 else { return endOfWrite(status, after: sent) }
            sent += count
        }
        let fromBody = sent - head.count
        let rest = unsafe UnsafeBufferPointer(rebasing: body[fromBody...])
        return unsafe write(rest, after: sent)
    }

    private mutating func write(
        _ bytes: UnsafeBufferPointer<UInt8>, after earlier: Int
    ) -> TLSWrite {
        var sent = 0
        while sent < bytes.count {
            var count = 0
            let status = unsafe SSL_write_ex(
                ssl, bytes.baseAddress! + sent, bytes.count - sent, &count)
            guard status == 1 else { return endOfWrite(status, after: earlier + sent) }
            sent += count
        }
        hasUnfinishedWrite = false
        return .wrote(earlier + sent)
    }

    /// A hard error after some progress is told with the next call.
    private mutating func endOfWrite(_ status: Int32, after sent: Int) -> TLSWrite {
        switch unsafe SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return sent > 0 ? .wrote(sent) : .wouldBlock(.read)
        case SSL_ERROR_WANT_WRITE:
            hasUnfinishedWrite = true
            return sent > 0 ? .wrote(sent) : .wouldBlock(.write)
        case let error:
            let failure = takeFailure(error)
            self.failure = failure
            return sent > 0 ? .wrote(sent) : .failed(failure)
        }
    }

    /// Sends close_notify, without waiting for the peer's (RFC 8446 section 6.1).
    ///
    /// Reading goes on working, for what the peer still sends. While a write is unfinished it is
    /// impossible, and should be: what was cut short has to look cut short.
    public mutating func shutdown() -> TLSShutdown {
        guard failure == nil, !hasUnfinishedWrite, unsafe SSL_is_init_finished(ssl) == 1 else {
            return .impossible
        }
        clearErrorQueue()
        let status = unsafe SSL_shutdown(ssl)
        if status >= 0 { return .sent }
        switch unsafe SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return .sent
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case let error:
            failure = takeFailure(error)
            return .impossible
        }
    }

    private func takeFailure(_ error: Int32) -> TLSFailure {
        guard error == SSL_ERROR_SYSCALL else {
            return unsafe TLSFailure.fromErrorQueue(alertSent: socket.pointee.alertSent)
        }
        ERR_clear_error()
        let number = unsafe socket.pointee.lastError
        return number == 0 ? TLSFailure(.closed) : TLSFailure(.reset, code: UInt32(number))
    }
}

/// OpenSSL reads its verdicts from a queue that has to be empty before each call.
///
/// Looking is cheaper than clearing, and nearly always there is nothing.
@inline(__always)
func clearErrorQueue() {
    if ERR_peek_error() != 0 { ERR_clear_error() }
}
