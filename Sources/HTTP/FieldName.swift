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
    ///   - name: where the name is in `bytes`; not empty, token characters only.
    static func recognised(tail: UInt64, name: Range<Int>, in bytes: Span<UInt8>) -> FieldName {
        let length = name.count > 8 ? UInt64(truncatingIfNeeded: name.count) << 56 : 0
        let candidate = withKey(tail ^ length)
        guard candidate != .other else { return .other }
        let spelling = candidate.spelling.bytes
        guard spelling.count == name.count else { return .other }
        guard name.count > 8 else { return candidate }
        for offset in 0..<name.count - 8
        where Characters.lowercased(bytes[name.lowerBound + offset]) != spelling[offset] {
            return .other
        }
        return candidate
    }

    /// The only known name with this key: its last eight bytes, and above eight the length mixed
    /// into the highest one (generated from the spellings; a test compares them).
    private static func withKey(_ key: UInt64) -> FieldName {
        switch key {
        case 0x0000_0000_686f_7374: .host
        case 0x646e_6563_7469_6f6e: .connection
        case 0x7a2d_6c65_6e67_7468: .contentLength
        case 0x746e_636f_6469_6e67: .transferEncoding
        case 0x0000_0000_0000_7465: .te
        case 0x0074_7261_696c_6572: .trailer
        case 0x0075_7067_7261_6465: .upgrade
        case 0x6f70_2d61_6c69_7665: .keepAlive
        case 0x7e6e_6563_7469_6f6e: .proxyConnection
        case 0x0000_6578_7065_6374: .expect
        case 0x0000_0000_6461_7465: .date
        case 0x0000_7365_7276_6572: .server
        case 0x0000_0000_0076_6961: .via
        case 0x6672_7761_7264_6564: .forwarded
        case 0x7d64_6564_2d66_6f72: .xForwardedFor
        case 0x7464_2d70_726f_746f: .xForwardedProto
        case 0x7465_642d_686f_7374: .xForwardedHost
        case 0x7465_642d_706f_7274: .xForwardedPort
        case 0x762d_7072_6566_6978: .xForwardedPrefix
        case 0x7d75_6573_742d_6964: .xRequestID
        case 0x6f72_2d61_6765_6e74: .userAgent
        case 0x0072_6566_6572_6572: .referer
        case 0x0000_636f_6f6b_6965: .cookie
        case 0x7e2d_636f_6f6b_6965: .setCookie
        case 0x696e_742d_7479_7065: .contentType
        case 0x756e_636f_6469_6e67: .contentEncoding
        case 0x6374_2d72_616e_6765: .contentRange
        case 0x7979_2d61_6674_6572: .retryAfter
        case 0x6c6f_6361_7469_6f6e: .location
        case 0x7f69_7a61_7469_6f6e: .authorization
        case 0x6169_7a61_7469_6f6e: .proxyAuthorization
        case 0x776e_7469_6361_7465: .proxyAuthenticate
        case 0x756e_7469_6361_7465: .wwwAuthenticate
        case 0x6578_792d_7065_6572: .proxyPeer
        case 0x7763_6570_7469_6f6e: .proxyException
        case 0x752d_7374_6174_7573: .proxyStatus
        case 0x0000_0070_726f_7879: .proxy
        case 0x0000_6163_6365_7074: .accept
        case 0x6a6e_636f_6469_6e67: .acceptEncoding
        case 0x6361_6e67_7561_6765: .acceptLanguage
        case 0x2063_6f6e_7472_6f6c: .cacheControl
        case 0x0000_7072_6167_6d61: .pragma
        case 0x0000_0072_616e_6765: .range
        case 0x6966_2d6d_6174_6368: .ifMatch
        case 0x6365_2d6d_6174_6368: .ifNoneMatch
        case 0x7464_2d73_696e_6365: .ifModifiedSince
        case 0x7664_2d73_696e_6365: .ifUnmodifiedSince
        case 0x6966_2d72_616e_6765: .ifRange
        case 0x6a6f_7277_6172_6473: .maxForwards
        case 0x0000_0000_0061_6765: .age
        case 0x0065_7870_6972_6573: .expires
        case 0x0000_0000_7661_7279: .vary
        case 0x0077_6172_6e69_6e67: .warning
        case 0x0000_6f72_6967_696e: .origin
        case 0x7d65_7474_696e_6773: .http2Settings
        case 0x726b_6574_2d6b_6579: .webSocketKey
        case 0x3876_6572_7369_6f6e: .webSocketVersion
        case 0x602d_6163_6365_7074: .webSocketAccept
        case 0x6466_6665_7269_6e67: .xAccelBuffering
        case 0x606f_6469_6669_6564: .lastModified
        case 0x0000_0000_6574_6167: .entityTag
        default: .other
        }
    }
}
