import Memory

/// What was agreed on in a TLS handshake, as small values; the name the client asked for lies in
/// the text beside them.
public struct TLSFacts: Equatable, Sendable {
    /// The protocol's version on the wire: 0x0303 is TLS 1.2, 0x0304 TLS 1.3; 0 when there was
    /// none.
    public var version: UInt16
    /// The cipher suite's IANA number.
    public var cipher: UInt16
    /// The key exchange group's IANA number, 0 when none was used.
    public var group: UInt16
    /// A session was taken up again.
    public var isResumed: Bool
    /// The protocol agreed on by ALPN.
    public var alpn: ALPN

    /// The protocols that this proxy offers.
    public enum ALPN: UInt8, Sendable {
        case none = 0
        case http1
        case http2
    }

    /// - Parameters: as the handshake gave them.
    @inlinable
    public init(version: UInt16, cipher: UInt16, group: UInt16, isResumed: Bool, alpn: ALPN) {
        self.version = version
        self.cipher = cipher
        self.group = group
        self.isResumed = isResumed
        self.alpn = alpn
    }

    /// No TLS: a plain connection.
    public static let none = TLSFacts(
        version: 0, cipher: 0, group: 0, isResumed: false, alpn: .none)

    /// True for a plain connection.
    @inlinable public var isNone: Bool { version == 0 }

    /// The object of version, cipher, group, resumed, sni and alpn, or null without TLS.
    func writeJSON(sni: Span<UInt8>, to writer: inout ByteWriter) {
        guard !isNone else { return writer.write("null") }
        writer.write("{")
        writeMembers(sni: sni, to: &writer)
        writer.write("}")
    }

    /// The same without the braces, as part of a larger object.
    func writeMembers(sni: Span<UInt8>, to writer: inout ByteWriter) {
        writer.write("\"version\":\"")
        Self.write(version: version, to: &writer)
        writer.write("\",\"cipher\":\"")
        Self.write(cipher: cipher, to: &writer)
        writer.write("\",\"group\":")
        Self.write(group: group, to: &writer)
        writer.write(isResumed ? ",\"resumed\":true,\"sni\":" : ",\"resumed\":false,\"sni\":")
        writer.writeJSON(textOrNull: sni, cutAt: RequestLine.hostBytesMax)
        switch alpn {
        case .none: writer.write(",\"alpn\":null")
        case .http1: writer.write(",\"alpn\":\"http/1.1\"")
        case .http2: writer.write(",\"alpn\":\"h2\"")
        }
    }

    private static func write(version: UInt16, to writer: inout ByteWriter) {
        switch version {
        case 0x0301: writer.write("TLSv1")
        case 0x0302: writer.write("TLSv1.1")
        case 0x0303: writer.write("TLSv1.2")
        case 0x0304: writer.write("TLSv1.3")
        default: write(number: version, to: &writer)
        }
    }

    /// The names of `openssl ciphers`, as every other tool on the machine shows them.
    private static func write(cipher: UInt16, to writer: inout ByteWriter) {
        switch cipher {
        case 0x1301: writer.write("TLS_AES_128_GCM_SHA256")
        case 0x1302: writer.write("TLS_AES_256_GCM_SHA384")
        case 0x1303: writer.write("TLS_CHACHA20_POLY1305_SHA256")
        case 0xC02B: writer.write("ECDHE-ECDSA-AES128-GCM-SHA256")
        case 0xC02C: writer.write("ECDHE-ECDSA-AES256-GCM-SHA384")
        case 0xC02F: writer.write("ECDHE-RSA-AES128-GCM-SHA256")
        case 0xC030: writer.write("ECDHE-RSA-AES256-GCM-SHA384")
        case 0xCCA8: writer.write("ECDHE-RSA-CHACHA20-POLY1305")
        case 0xCCA9: writer.write("ECDHE-ECDSA-CHACHA20-POLY1305")
        case 0xCCAA: writer.write("DHE-RSA-CHACHA20-POLY1305")
        case 0x009E: writer.write("DHE-RSA-AES128-GCM-SHA256")
        case 0x009F: writer.write("DHE-RSA-AES256-GCM-SHA384")
        case 0xC009: writer.write("ECDHE-ECDSA-AES128-SHA")
        case 0xC00A: writer.write("ECDHE-ECDSA-AES256-SHA")
        case 0xC013: writer.write("ECDHE-RSA-AES128-SHA")
        case 0xC014: writer.write("ECDHE-RSA-AES256-SHA")
        case 0xC023: writer.write("ECDHE-ECDSA-AES128-SHA256")
        case 0xC024: writer.write("ECDHE-ECDSA-AES256-SHA384")
        case 0xC027: writer.write("ECDHE-RSA-AES128-SHA256")
        case 0xC028: writer.write("ECDHE-RSA-AES256-SHA384")
        case 0x009C: writer.write("AES128-GCM-SHA256")
        case 0x009D: writer.write("AES256-GCM-SHA384")
        case 0x002F: writer.write("AES128-SHA")
        case 0x0035: writer.write("AES256-SHA")
        case 0x003C: writer.write("AES128-SHA256")
        case 0x003D: writer.write("AES256-SHA256")
        default: write(number: cipher, to: &writer)
        }
    }

    private static func write(group: UInt16, to writer: inout ByteWriter) {
        switch group {
        case 0: writer.write("null")
        case 23: writer.write("\"P-256\"")
        case 24: writer.write("\"P-384\"")
        case 25: writer.write("\"P-521\"")
        case 29: writer.write("\"X25519\"")
        case 30: writer.write("\"X448\"")
        case 256: writer.write("\"ffdhe2048\"")
        case 257: writer.write("\"ffdhe3072\"")
        case 4588: writer.write("\"X25519MLKEM768\"")
        default:
            writer.write(0x22)
            write(number: group, to: &writer)
            writer.write(0x22)
        }
    }

    private static func write(number: UInt16, to writer: inout ByteWriter) {
        writer.write("0x")
        writer.write(hexadecimal: UInt64(number))
    }
}
