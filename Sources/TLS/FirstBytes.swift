/// What a connection's first bytes announce, told before anything has been taken off the socket.
///
/// The edge peeks (`MSG_PEEK`) at a new connection: a plain request on the TLS port gets a readable
/// answer, and a ClientHello on the plain port gets one log line, since neither could make sense of
/// the other.
public enum FirstBytes: Sendable {
    /// A TLS record with a handshake message (RFC 8446 section 5.1).
    case tls
    /// A letter of a method, as each HTTP request begins.
    case http
    /// Neither.
    case other

    /// - Parameter bytes: one or more; the first decides alone between TLS and HTTP, more make it
    ///   surer.
    public init(of bytes: Span<UInt8>) {
        if FirstBytes.looksLikeTLS(bytes) {
            self = .tls
        } else if FirstBytes.looksLikeHTTP(bytes) {
            self = .http
        } else {
            self = .other
        }
    }

    /// Whether these could be the start of a TLS connection: handshake record, version 3.x,
    /// ClientHello.
    ///
    /// Bytes that have not come yet count as fitting; no bytes at all do not.
    public static func looksLikeTLS(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count > 0, bytes[0] == 0x16 else { return false }
        guard bytes.count > 1 else { return true }
        guard bytes[1] == 3 else { return false }
        guard bytes.count > 5 else { return true }
        return bytes[5] == 1
    }

    /// Whether these could be the start of an HTTP request: letters, then at most one blank and a
    /// target.
    ///
    /// It only has to tell people's mistakes from TLS, so a method longer than 32 bytes is no HTTP.
    public static func looksLikeHTTP(_ bytes: Span<UInt8>) -> Bool {
        let methodBytesMax = 32
        for index in bytes.indices {
            switch bytes[index] {
            case 0x41...0x5a, 0x61...0x7a: continue
            case 0x2d where index > 0: continue
            case 0x20 where index > 0 && index <= methodBytesMax: return true
            default: return false
            }
        }
        return bytes.count > 0 && bytes.count <= methodBytesMax
    }
}
