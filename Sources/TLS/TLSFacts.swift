public import Memory

/// What a finished handshake agreed on, in eight bytes, so that it can be kept with each connection
/// and copied into records.
///
/// The server name is not here: `TLSSession.serverName` reads it from OpenSSL when a line is
/// written.
public struct TLSFacts: Equatable, Sendable {
    /// The version's number on the wire; `TLSVersion(rawValue:)` names it.
    public var version: UInt16
    /// The cipher suite's number in IANA's registry.
    public var cipher: UInt16
    /// The key exchange group's number in IANA's registry, 0 where there was none (RSA key
    /// exchange, or resumed without one).
    public var group: UInt16
    /// What ALPN agreed on.
    public var applicationProtocol: ApplicationProtocol
    /// True when an earlier session was taken up again, without certificates and signatures.
    public var isResumed: Bool

    public init(
        version: UInt16, cipher: UInt16, group: UInt16, applicationProtocol: ApplicationProtocol,
        isResumed: Bool
    ) {
        self.version = version
        self.cipher = cipher
        self.group = group
        self.applicationProtocol = applicationProtocol
        self.isResumed = isResumed
    }

    /// Writes e.g. `TLSv1.3`.
    public func writeVersion(to writer: inout ByteWriter) {
        guard let known = TLSVersion(rawValue: version) else { return writer.writeNumber(version) }
        writer.write(known.name)
    }

    /// Writes OpenSSL's name of the cipher, e.g. `TLS_AES_128_GCM_SHA256` or
    /// `ECDHE-RSA-AES128-GCM-SHA256`.
    public func writeCipher(to writer: inout ByteWriter) {
        guard let name = TLSFacts.cipherName(cipher) else { return writer.writeNumber(cipher) }
        writer.write(name)
    }

    /// Writes the group's name, e.g. `X25519`, and `-` where there was none.
    public func writeGroup(to writer: inout ByteWriter) {
        guard group != 0 else { return writer.write("-") }
        guard let name = TLSFacts.groupName(group) else { return writer.writeNumber(group) }
        writer.write(name)
    }

    /// Writes the protocol that ALPN agreed on, and `-` where there was none.
    public func writeApplicationProtocol(to writer: inout ByteWriter) {
        writer.write(applicationProtocol.name)
    }

    /// The name of a group by its number in IANA's registry.
    public static func groupName(_ number: UInt16) -> StaticString? {
        switch number {
        case 23: "P-256"
        case 24: "P-384"
        case 25: "P-521"
        case 29: "X25519"
        case 30: "X448"
        case 256: "ffdhe2048"
        case 257: "ffdhe3072"
        case 258: "ffdhe4096"
        case 259: "ffdhe6144"
        case 260: "ffdhe8192"
        default: nil
        }
    }

    /// OpenSSL's name of a cipher that one of the profiles offers, by its number in IANA's
    /// registry.
    public static func cipherName(_ number: UInt16) -> StaticString? {
        switch number {
        case 0x1301: "TLS_AES_128_GCM_SHA256"
        case 0x1302: "TLS_AES_256_GCM_SHA384"
        case 0x1303: "TLS_CHACHA20_POLY1305_SHA256"
        case 0xc02b: "ECDHE-ECDSA-AES128-GCM-SHA256"
        case 0xc02f: "ECDHE-RSA-AES128-GCM-SHA256"
        case 0xc02c: "ECDHE-ECDSA-AES256-GCM-SHA384"
        case 0xc030: "ECDHE-RSA-AES256-GCM-SHA384"
        case 0xcca9: "ECDHE-ECDSA-CHACHA20-POLY1305"
        case 0xcca8: "ECDHE-RSA-CHACHA20-POLY1305"
        case 0x009e: "DHE-RSA-AES128-GCM-SHA256"
        case 0x009f: "DHE-RSA-AES256-GCM-SHA384"
        case 0xccaa: "DHE-RSA-CHACHA20-POLY1305"
        case 0xc023: "ECDHE-ECDSA-AES128-SHA256"
        case 0xc027: "ECDHE-RSA-AES128-SHA256"
        case 0xc009: "ECDHE-ECDSA-AES128-SHA"
        case 0xc013: "ECDHE-RSA-AES128-SHA"
        case 0xc024: "ECDHE-ECDSA-AES256-SHA384"
        case 0xc028: "ECDHE-RSA-AES256-SHA384"
        case 0xc00a: "ECDHE-ECDSA-AES256-SHA"
        case 0xc014: "ECDHE-RSA-AES256-SHA"
        case 0x0067: "DHE-RSA-AES128-SHA256"
        case 0x006b: "DHE-RSA-AES256-SHA256"
        case 0x009c: "AES128-GCM-SHA256"
        case 0x009d: "AES256-GCM-SHA384"
        case 0x003c: "AES128-SHA256"
        case 0x003d: "AES256-SHA256"
        case 0x002f: "AES128-SHA"
        case 0x0035: "AES256-SHA"
        default: nil
        }
    }
}

extension ByteWriter {
    /// A number that has no name: `0x` and hexadecimal digits.
    fileprivate mutating func writeNumber(_ number: UInt16) {
        write("0x")
        write(hexadecimal: UInt64(number))
    }
}
