import Memory

/// A field name this proxy knows, as one byte; every other name is `other`.
///
/// Computed once while a head is parsed, so that nobody compares names afterwards (RFC 9110 section
/// 5.1). Fewer than 64, so that a set of names is one word (`FieldNameSet`).
public enum FieldName: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    /// A name that means nothing to this proxy; compare its bytes.
    case other
    case host, connection, contentLength, transferEncoding, te, trailer, upgrade, keepAlive
    case proxyConnection, expect, date, server, via, forwarded, xForwardedFor, xForwardedProto
    case xForwardedHost, xForwardedPort, xForwardedPrefix, xRequestID, userAgent, referer, cookie
    case setCookie, contentType, contentEncoding, contentRange, retryAfter, location
    case authorization, proxyAuthorization, proxyAuthenticate, wwwAuthenticate, proxyPeer
    case proxyException, proxyStatus, proxy, accept, acceptEncoding, acceptLanguage, cacheControl
    case pragma, range, ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifRange
    case maxForwards, age, expires, vary, warning, origin, http2Settings, webSocketKey
    case webSocketVersion, webSocketAccept, xAccelBuffering, lastModified, entityTag

    /// The name in small letters; empty for `other`.
    public var spelling: StaticString {
        switch self {
        case .other: ""
        case .host: "host"
        case .connection: "connection"
        case .contentLength: "content-length"
        case .transferEncoding: "transfer-encoding"
        case .te: "te"
        case .trailer: "trailer"
        case .upgrade: "upgrade"
        case .keepAlive: "keep-alive"
        case .proxyConnection: "proxy-connection"
        case .expect: "expect"
        case .date: "date"
        case .server: "server"
        case .via: "via"
        case .forwarded: "forwarded"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedProto: "x-forwarded-proto"
        case .xForwardedHost: "x-forwarded-host"
        case .xForwardedPort: "x-forwarded-port"
        case .xForwardedPrefix: "x-forwarded-prefix"
        case .xRequestID: "x-request-id"
        case .userAgent: "user-agent"
        case .referer: "referer"
        case .cookie: "cookie"
        case .setCookie: "set-cookie"
        case .contentType: "content-type"
        case .contentEncoding: "content-encoding"
        case .contentRange: "content-range"
        case .retryAfter: "retry-after"
        case .location: "location"
        case .authorization: "authorization"
        case .proxyAuthorization: "proxy-authorization"
        case .proxyAuthenticate: "proxy-authenticate"
        case .wwwAuthenticate: "www-authenticate"
        case .proxyPeer: "proxy-peer"
        case .proxyException: "proxy-exception"
        case .proxyStatus: "proxy-status"
        case .proxy: "proxy"
        case .accept: "accept"
        case .acceptEncoding: "accept-encoding"
        case .acceptLanguage: "accept-language"
        case .cacheControl: "cache-control"
        case .pragma: "pragma"
        case .range: "range"
        case .ifMatch: "if-match"
        case .ifNoneMatch: "if-none-match"
        case .ifModifiedSince: "if-modified-since"
        case .ifUnmodifiedSince: "if-unmodified-since"
        case .ifRange: "if-range"
        case .maxForwards: "max-forwards"
        case .age: "age"
        case .expires: "expires"
        case .vary: "vary"
        case .warning: "warning"
        case .origin: "origin"
        case .http2Settings: "http2-settings"
        case .webSocketKey: "sec-websocket-key"
        case .webSocketVersion: "sec-websocket-version"
        case .webSocketAccept: "sec-websocket-accept"
        case .xAccelBuffering: "x-accel-buffering"
        case .lastModified: "last-modified"
        case .entityTag: "etag"
        }
    }
}

extension FieldName {
    /// Finds the name's code.
    ///
    /// - Parameters:
    ///   - tail: the name's last eight bytes (or all) in small letters, the last one in the lowest
    ///     byte.
    ///   - name: where the name is in `bytes`; not empty. Known names are tokens; of another one
    ///     nothing is said.
    @inline(__always)
    static func recognised(tail: UInt64, name: ByteRange, in bytes: Span<UInt8>) -> FieldName {
        let count = UInt64(name.count)
        let key = tail ^ (count > 8 ? count << 56 : 0)
        let candidate = names[Int(truncatingIfNeeded: (key &* factor) >> 56)]
        let place = 4 &* Int(candidate.rawValue)
        guard words[place] == tail, words[place &+ 3] == count else { return .other }
        guard count > 8 else { return candidate }
        let first = Characters.lowercased(word: bytes.word(at: Int(name.start)))
        guard words[place &+ 1] == first else { return .other }
        // No known name is longer than 24 bytes.
        guard count > 16 else { return candidate }
        let next = Characters.lowercased(word: bytes.word(at: Int(name.start) &+ 8))
        return words[place &+ 2] == next ? candidate : .other
    }

    /// Finds the name's code, given the last eight bytes up to its end, the first one lowest.
    @inline(__always)
    static func recognised(
        _ name: ByteRange, lastBytes: UInt64, in bytes: Span<UInt8>
    ) -> FieldName {
        let last = Characters.lowercased(word: lastBytes).byteSwapped
        let tail = name.count >= 8 ? last : last & (1 &<< UInt64(8 &* name.count) &- 1)
        return recognised(tail: tail, name: name, in: bytes)
    }

    /// Gives the keys of all known names different hashes (found by trying; a test looks each name
    /// up).
    private static let factor: UInt64 = 0xe372_ed98_08c1_aa2d

    /// The known name whose key has this hash, if one does.
    private static let names: InlineArray<256, FieldName> = [
        .age, .other, .userAgent, .other, .proxyAuthenticate, .other, .other, .other, .other,
        .other, .other, .other, .xAccelBuffering, .other, .other, .warning, .other, .other, .other,
        .other, .contentType, .other, .other, .referer, .other, .other, .other, .acceptLanguage,
        .other, .contentEncoding, .lastModified, .other, .other, .contentRange, .other, .other,
        .other, .ifMatch, .other, .other, .xForwardedProto, .other, .other, .other, .other, .other,
        .acceptEncoding, .other, .other, .xForwardedHost, .other, .other, .other, .maxForwards,
        .other, .other, .other, .other, .date, .other, .other, .other, .other, .other, .other,
        .other, .other, .other, .other, .expect, .other, .other, .other, .other, .other, .other,
        .server, .other, .other, .other, .other, .other, .other, .other, .other, .other, .other,
        .other, .other, .other, .other, .other, .other, .proxyAuthorization, .other, .other, .other,
        .other, .upgrade, .other, .other, .other, .connection, .other, .other, .proxyStatus, .other,
        .webSocketKey, .ifNoneMatch, .expires, .webSocketAccept, .other, .other, .other, .other,
        .other, .other, .other, .other, .other, .ifModifiedSince, .host, .other, .proxyPeer, .other,
        .other, .xForwardedPort, .other, .other, .other, .other, .other, .other, .other, .other,
        .other, .other, .other, .other, .other, .other, .other, .other, .other, .other, .other,
        .range, .other, .other, .other, .other, .other, .other, .other, .other, .other, .other,
        .other, .other, .keepAlive, .other, .other, .other, .authorization, .accept, .other,
        .cacheControl, .other, .other, .other, .wwwAuthenticate, .other, .other, .other, .other,
        .xForwardedPrefix, .other, .origin, .http2Settings, .entityTag, .other, .other, .other,
        .other, .other, .other, .xRequestID, .other, .other, .other, .other, .other, .other,
        .forwarded, .other, .other, .other, .other, .other, .other, .xForwardedFor, .vary, .cookie,
        .other, .other, .other, .other, .other, .te, .other, .ifUnmodifiedSince, .other, .other,
        .other, .via, .other, .other, .other, .setCookie, .other, .other, .other, .proxyException,
        .other, .ifRange, .other, .other, .location, .trailer, .other, .webSocketVersion, .other,
        .other, .other, .contentLength, .other, .other, .retryAfter, .proxy, .other,
        .transferEncoding, .pragma, .other, .other, .other, .other, .other, .other,
        .proxyConnection, .other, .other, .other, .other, .other, .other, .other,
    ]

    /// Four words for each name, by its code, generated from the spellings: the last eight bytes
    /// (the last one lowest), the first eight of a name above eight and the next eight of one above
    /// sixteen (the first one lowest), and the length.
    private static let words: InlineArray<248, UInt64> = [
        0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 0,
        0x0000_0000_686f_7374, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 4,
        0x6e6e_6563_7469_6f6e, 0x6974_6365_6e6e_6f63, 0x0000_0000_0000_0000, 10,
        0x742d_6c65_6e67_7468, 0x2d74_6e65_746e_6f63, 0x0000_0000_0000_0000, 14,
        0x656e_636f_6469_6e67, 0x7265_6673_6e61_7274, 0x6e69_646f_636e_652d, 17,
        0x0000_0000_0000_7465, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 2,
        0x0074_7261_696c_6572, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 7,
        0x0075_7067_7261_6465, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 7,
        0x6570_2d61_6c69_7665, 0x696c_612d_7065_656b, 0x0000_0000_0000_0000, 10,
        0x6e6e_6563_7469_6f6e, 0x6f63_2d79_786f_7270, 0x0000_0000_0000_0000, 16,
        0x0000_6578_7065_6374, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 6,
        0x0000_0000_6461_7465, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 4,
        0x0000_7365_7276_6572, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 6,
        0x0000_0000_0076_6961, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 3,
        0x6f72_7761_7264_6564, 0x6564_7261_7772_6f66, 0x0000_0000_0000_0000, 9,
        0x7264_6564_2d66_6f72, 0x7261_7772_6f66_2d78, 0x0000_0000_0000_0000, 15,
        0x6564_2d70_726f_746f, 0x7261_7772_6f66_2d78, 0x746f_7270_2d64_6564, 17,
        0x6465_642d_686f_7374, 0x7261_7772_6f66_2d78, 0x0000_0000_0000_0000, 16,
        0x6465_642d_706f_7274, 0x7261_7772_6f66_2d78, 0x0000_0000_0000_0000, 16,
        0x642d_7072_6566_6978, 0x7261_7772_6f66_2d78, 0x6665_7270_2d64_6564, 18,
        0x7175_6573_742d_6964, 0x7365_7571_6572_2d78, 0x0000_0000_0000_0000, 12,
        0x6572_2d61_6765_6e74, 0x6567_612d_7265_7375, 0x0000_0000_0000_0000, 10,
        0x0072_6566_6572_6572, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 7,
        0x0000_636f_6f6b_6965, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 6,
        0x742d_636f_6f6b_6965, 0x6b6f_6f63_2d74_6573, 0x0000_0000_0000_0000, 10,
        0x656e_742d_7479_7065, 0x2d74_6e65_746e_6f63, 0x0000_0000_0000_0000, 12,
        0x656e_636f_6469_6e67, 0x2d74_6e65_746e_6f63, 0x0000_0000_0000_0000, 16,
        0x6e74_2d72_616e_6765, 0x2d74_6e65_746e_6f63, 0x0000_0000_0000_0000, 13,
        0x7279_2d61_6674_6572, 0x6661_2d79_7274_6572, 0x0000_0000_0000_0000, 11,
        0x6c6f_6361_7469_6f6e, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 8,
        0x7269_7a61_7469_6f6e, 0x7a69_726f_6874_7561, 0x0000_0000_0000_0000, 13,
        0x7269_7a61_7469_6f6e, 0x7561_2d79_786f_7270, 0x7461_7a69_726f_6874, 19,
        0x656e_7469_6361_7465, 0x7561_2d79_786f_7270, 0x6163_6974_6e65_6874, 18,
        0x656e_7469_6361_7465, 0x6874_7561_2d77_7777, 0x0000_0000_0000_0000, 16,
        0x6f78_792d_7065_6572, 0x6570_2d79_786f_7270, 0x0000_0000_0000_0000, 10,
        0x7863_6570_7469_6f6e, 0x7865_2d79_786f_7270, 0x0000_0000_0000_0000, 15,
        0x792d_7374_6174_7573, 0x7473_2d79_786f_7270, 0x0000_0000_0000_0000, 12,
        0x0000_0070_726f_7879, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 5,
        0x0000_6163_6365_7074, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 6,
        0x656e_636f_6469_6e67, 0x652d_7470_6563_6361, 0x0000_0000_0000_0000, 15,
        0x6c61_6e67_7561_6765, 0x6c2d_7470_6563_6361, 0x0000_0000_0000_0000, 15,
        0x2d63_6f6e_7472_6f6c, 0x6f63_2d65_6863_6163, 0x0000_0000_0000_0000, 13,
        0x0000_7072_6167_6d61, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 6,
        0x0000_0072_616e_6765, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 5,
        0x6966_2d6d_6174_6368, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 8,
        0x6e65_2d6d_6174_6368, 0x2d65_6e6f_6e2d_6669, 0x0000_0000_0000_0000, 13,
        0x6564_2d73_696e_6365, 0x6669_646f_6d2d_6669, 0x636e_6973_2d64_6569, 17,
        0x6564_2d73_696e_6365, 0x646f_6d6e_752d_6669, 0x6973_2d64_6569_6669, 19,
        0x6966_2d72_616e_6765, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 8,
        0x666f_7277_6172_6473, 0x7772_6f66_2d78_616d, 0x0000_0000_0000_0000, 12,
        0x0000_0000_0061_6765, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 3,
        0x0065_7870_6972_6573, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 7,
        0x0000_0000_7661_7279, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 4,
        0x0077_6172_6e69_6e67, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 7,
        0x0000_6f72_6967_696e, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 6,
        0x7365_7474_696e_6773, 0x6573_2d32_7074_7468, 0x0000_0000_0000_0000, 14,
        0x636b_6574_2d6b_6579, 0x7362_6577_2d63_6573, 0x656b_2d74_656b_636f, 17,
        0x2d76_6572_7369_6f6e, 0x7362_6577_2d63_6573, 0x6576_2d74_656b_636f, 21,
        0x742d_6163_6365_7074, 0x7362_6577_2d63_6573, 0x6361_2d74_656b_636f, 20,
        0x7566_6665_7269_6e67, 0x2d6c_6563_6361_2d78, 0x6e69_7265_6666_7562, 17,
        0x6d6f_6469_6669_6564, 0x646f_6d2d_7473_616c, 0x0000_0000_0000_0000, 13,
        0x0000_0000_6574_6167, 0x0000_0000_0000_0000, 0x0000_0000_0000_0000, 4,
    ]
}
