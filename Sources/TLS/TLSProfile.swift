/// A version of the protocol, by its number on the wire (RFC 8446 section 4.2.1).
public enum TLSVersion: UInt16, Sendable, Comparable, CaseIterable {
    case tls10 = 0x0301
    case tls11 = 0x0302
    case tls12 = 0x0303
    case tls13 = 0x0304

    public static func < (one: TLSVersion, other: TLSVersion) -> Bool {
        one.rawValue < other.rawValue
    }

    /// As the configuration and the log write it: `TLSv1.2`.
    public var name: StaticString {
        switch self {
        case .tls10: "TLSv1"
        case .tls11: "TLSv1.1"
        case .tls12: "TLSv1.2"
        case .tls13: "TLSv1.3"
        }
    }
}

/// One of Mozilla's server-side TLS recommendations, by its own name (guidelines 5.7).
public enum TLSProfile: String, Sendable, CaseIterable {
    /// TLS 1.3 alone: clients from about 2020 on.
    case modern
    /// TLS 1.2 and 1.3, forward secrecy and authenticated ciphers only: clients from about 2014 on.
    case intermediate
    /// TLS 1.0 and up, with CBC, SHA-1 and RSA key exchange: for clients that cannot be mended.
    case old

    /// The lowest version offered unless the configuration names a higher one.
    public var minimum: TLSVersion {
        switch self {
        case .modern: .tls13
        case .intermediate: .tls12
        case .old: .tls10
        }
    }

    /// Whether our order of ciphers counts, and not the client's.
    ///
    /// Where all ciphers are good the client knows better: one without AES in hardware puts
    /// ChaCha20 first.
    var prefersServerOrder: Bool { self == .old }

    /// TLS 1.2 and older, in OpenSSL's names; TLS 1.3's three suites are OpenSSL's default.
    var cipherList: StaticString {
        switch self {
        case .modern, .intermediate:
            """
            ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
            ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
            ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
            DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305
            """
        case .old:
            // TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL 3.0 allows at level 0 alone.
            """
            @SECLEVEL=0:\
            ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
            ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
            ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
            DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305:\
            ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:\
            ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:\
            ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:\
            ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:\
            DHE-RSA-AES128-SHA256:DHE-RSA-AES256-SHA256:\
            AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA
            """
        }
    }
}

/// A protocol that may be agreed by ALPN (RFC 7301).
public enum ApplicationProtocol: UInt8, Sendable, CaseIterable {
    /// The client said nothing, which on a web port means HTTP/1.1.
    case none = 0
    case http11 = 1
    case http10 = 2
    case h2 = 3

    /// The registered name; `-` where nothing was agreed.
    public var name: StaticString {
        switch self {
        case .none: "-"
        case .http11: "http/1.1"
        case .http10: "http/1.0"
        case .h2: "h2"
        }
    }
}

/// What a TLS listener offers, as the configuration decided it (`tls:` without the certificates).
package struct TLSServerSettings: Sendable {
    /// `tls.profile`.
    package var profile: TLSProfile
    /// `tls.minimum`: raises the profile's own lowest version, never lowers it.
    package var minimum: TLSVersion?
    /// `tls.session_tickets`: false makes each handshake a full one.
    package var sessionTickets: Bool
    /// What ALPN may agree on, best first; a client that offers none of these is refused.
    package var applicationProtocols: [ApplicationProtocol]

    package init(
        profile: TLSProfile = .intermediate, minimum: TLSVersion? = nil,
        sessionTickets: Bool = true,
        applicationProtocols: [ApplicationProtocol] = [.http11, .http10]
    ) {
        self.profile = profile
        self.minimum = minimum
        self.sessionTickets = sessionTickets
        self.applicationProtocols = applicationProtocols
    }
}

extension TLSServerSettings {
    /// As `tls:` says it.
    package init(_ options: TLSOptions) {
        self.init(
            profile: options.profile, minimum: options.minimum,
            sessionTickets: options.givesSessionTickets)
    }
}
