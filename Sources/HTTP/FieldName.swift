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
    static func recognised(tail: UInt64, name: Range<Int>, in bytes: Span<UInt8>) -> FieldName {
        let length = name.count > 8 ? UInt64(truncatingIfNeeded: name.count) << 56 : 0
        let key = tail ^ length
        let candidate = names[Int(truncatingIfNeeded: (key &* factor) >> 56)]
        guard keys[Int(candidate.rawValue)] == key else { return .other }
        return candidate.isSpelt(as: name, in: bytes) ? candidate : .other
    }

    /// Finds the name's code, given the last eight bytes up to its end, the first one lowest.
    @inline(__always)
    static func recognised(
        _ name: ByteRange, lastBytes: UInt64, in bytes: Span<UInt8>
    ) -> FieldName {
        let last = Characters.lowercased(word: lastBytes).byteSwapped
        let tail = name.count >= 8 ? last : last & (1 &<< UInt64(8 &* name.count) &- 1)
        return recognised(tail: tail, name: name.indices, in: bytes)
    }

    /// Whether a name with this one's key is this one: its length, and what stands before the last
    /// eight bytes.
    private func isSpelt(as name: Range<Int>, in bytes: Span<UInt8>) -> Bool {
        let spelling = spelling.bytes
        guard spelling.count == name.count else { return false }
        guard name.count > 8 else { return name.count > 0 }
        var offset = 0
        while offset < name.count - 8 {
            // Eight at a time; the last ones reach into what is known to be equal.
            let word = Characters.lowercased(word: bytes.word(at: name.lowerBound + offset))
            guard word == spelling.word(at: offset) else { return false }
            offset += 8
        }
        return true
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

    /// Each name's key, by its code.
    private static let keys: InlineArray<62, UInt64> = [
        0x0000_0000_0000_0000, 0x0000_0000_686f_7374, 0x646e_6563_7469_6f6e,
        0x7a2d_6c65_6e67_7468, 0x746e_636f_6469_6e67, 0x0000_0000_0000_7465,
        0x0074_7261_696c_6572, 0x0075_7067_7261_6465, 0x6f70_2d61_6c69_7665,
        0x7e6e_6563_7469_6f6e, 0x0000_6578_7065_6374, 0x0000_0000_6461_7465,
        0x0000_7365_7276_6572, 0x0000_0000_0076_6961, 0x6672_7761_7264_6564,
        0x7d64_6564_2d66_6f72, 0x7464_2d70_726f_746f, 0x7465_642d_686f_7374,
        0x7465_642d_706f_7274, 0x762d_7072_6566_6978, 0x7d75_6573_742d_6964,
        0x6f72_2d61_6765_6e74, 0x0072_6566_6572_6572, 0x0000_636f_6f6b_6965,
        0x7e2d_636f_6f6b_6965, 0x696e_742d_7479_7065, 0x756e_636f_6469_6e67,
        0x6374_2d72_616e_6765, 0x7979_2d61_6674_6572, 0x6c6f_6361_7469_6f6e,
        0x7f69_7a61_7469_6f6e, 0x6169_7a61_7469_6f6e, 0x776e_7469_6361_7465,
        0x756e_7469_6361_7465, 0x6578_792d_7065_6572, 0x7763_6570_7469_6f6e,
        0x752d_7374_6174_7573, 0x0000_0070_726f_7879, 0x0000_6163_6365_7074,
        0x6a6e_636f_6469_6e67, 0x6361_6e67_7561_6765, 0x2063_6f6e_7472_6f6c,
        0x0000_7072_6167_6d61, 0x0000_0072_616e_6765, 0x6966_2d6d_6174_6368,
        0x6365_2d6d_6174_6368, 0x7464_2d73_696e_6365, 0x7664_2d73_696e_6365,
        0x6966_2d72_616e_6765, 0x6a6f_7277_6172_6473, 0x0000_0000_0061_6765,
        0x0065_7870_6972_6573, 0x0000_0000_7661_7279, 0x0077_6172_6e69_6e67,
        0x0000_6f72_6967_696e, 0x7d65_7474_696e_6773, 0x726b_6574_2d6b_6579,
        0x3876_6572_7369_6f6e, 0x602d_6163_6365_7074, 0x6466_6665_7269_6e67,
        0x606f_6469_6669_6564, 0x0000_0000_6574_6167,
    ]
}
