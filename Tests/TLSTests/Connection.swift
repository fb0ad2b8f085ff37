import COpenSSL
import Memory

@testable import TLS

/// A client and a server session over one wire, driven by turns in one thread.
struct Connection: ~Copyable {
    let wire: Wire
    var client: TLSSession
    var server: TLSSession

    init(_ upstream: TLSUpstream, _ context: TLSContext) {
        let wire = Wire()
        client = upstream.connect(wire.client)
        server = context.accept(wire.server)
        self.wire = wire
    }

    init(_ tuned: TunedClient, _ context: TLSContext) {
        let wire = Wire()
        client = tuned.connect(wire.client)
        server = context.accept(wire.server)
        self.wire = wire
    }

    /// Lets both go on until each has come to an end.
    mutating func shakeHands() -> (client: TLSHandshake, server: TLSHandshake) {
        var result: (client: TLSHandshake, server: TLSHandshake) = (.wantsRead, .wantsRead)
        for _ in 0..<20 {
            if !result.client.isFinal { result.client = client.handshake() }
            if !result.server.isFinal { result.server = server.handshake() }
            if result.client.isFinal, result.server.isFinal { break }
        }
        return result
    }
}

extension TLSHandshake {
    var isFinal: Bool { self != .wantsRead && self != .wantsWrite }

    var failure: TLSFailure? {
        guard case .failed(let failure) = self else { return nil }
        return failure
    }
}

/// A client with OpenSSL's settings laid open, for what our own client never does.
@safe final class TunedClient {
    let handle = ContextHandle(isServer: false)
    private let scratch = WriteScratch()
    /// To be taken up again.
    private var session: OpaquePointer?
    private var serverName: String?

    init(
        versions: ClosedRange<TLSVersion> = .tls10 ... .tls13, ciphers: String? = nil,
        groups: String? = nil, protocols: [String] = [], serverName: String? = nil
    ) {
        self.serverName = serverName
        let context = unsafe handle.pointer
        unsafe _ = SSL_CTX_set_cipher_list(context, ciphers ?? "ALL:@SECLEVEL=0")
        unsafe _ = copenssl_set_min_version(context, Int32(versions.lowerBound.rawValue))
        unsafe _ = copenssl_set_max_version(context, Int32(versions.upperBound.rawValue))
        if let groups { unsafe _ = copenssl_set_groups(context, groups) }
        if !protocols.isEmpty {
            let list = protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            unsafe _ = SSL_CTX_set_alpn_protos(context, list, UInt32(list.count))
        }
        unsafe _ = SSL_CTX_clear_options(context, copenssl_op_common)
    }

    /// Keeps the session for the next connection, with the ticket that came last.
    func keepSession(of connection: borrowing TLSSession) {
        unsafe SSL_SESSION_free(session)
        unsafe session = SSL_get1_session(connection.pointer)
    }

    deinit { unsafe SSL_SESSION_free(session) }

    func connect(_ descriptor: Int32) -> TLSSession {
        let connection = unsafe TLSSession(
            context: handle.pointer, isServer: false, descriptor: descriptor, keeper: self,
            scratch: scratch.memory)
        let ssl = unsafe connection.pointer
        if let serverName { unsafe _ = copenssl_set_host_name(ssl, serverName) }
        if let session = unsafe session { unsafe _ = SSL_set_session(ssl, session) }
        return connection
    }
}

/// Reads until nothing more comes: all bytes, and what ended it.
func readAll(_ session: inout TLSSession) -> (bytes: [UInt8], end: TLSRead) {
    var bytes: [UInt8] = []
    var room = [UInt8](repeating: 0, count: 20000)
    for _ in 0..<10000 {
        var span = room.mutableSpan
        let result = session.read(into: &span)
        guard case .bytes(let count) = result else { return (bytes, result) }
        bytes += room[..<count]
    }
    return (bytes, .wouldBlock(.read))
}

func write(_ bytes: [UInt8], _ session: inout TLSSession) -> TLSWrite {
    session.write(bytes.span)
}

func write(_ text: String, _ session: inout TLSSession) -> TLSWrite {
    write(Array(text.utf8), &session)
}

/// What `body` writes, as text.
func written(_ body: (inout ByteWriter) -> Void) -> String {
    let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 256)
    defer { unsafe memory.deallocate() }
    var writer = unsafe ByteWriter(unsafeInto: memory)
    body(&writer)
    return text(writer.written)
}

func text(_ bytes: Span<UInt8>) -> String {
    var copy: [UInt8] = []
    for index in bytes.indices { copy.append(bytes[index]) }
    return String(decoding: copy, as: UTF8.self)
}
