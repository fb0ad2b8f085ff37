package import Configuration

/// How the https listeners speak TLS.
public struct TLSOptions: Sendable, Equatable {
    public struct Certificate: Sendable, Equatable {
        /// The PEM file of the leaf and its intermediates.
        public var certificate: String
        /// The PEM file of the private key.
        public var key: String
        /// The names it is served for, where they are not to come from its SAN.
        public var names: [String]
        /// Served to clients that name none of ours; without one it is the first.
        public var isDefault: Bool
    }

    public var certificates: [Certificate]
    /// A certificate for localhost from a CA of our own.
    public var usesDevelopmentCA: Bool
    public var profile: TLSProfile
    /// Nil: what the profile says.
    public var minimum: TLSVersion?
    public var givesSessionTickets: Bool
}

extension TLSOptions {
    /// Reads the effective configuration.
    package init(_ configuration: EffectiveConfiguration) {
        certificates = configuration.names("tls.certificates[]").map { number in
            Certificate(
                certificate: configuration.value(Self.certificate, number),
                key: configuration.value(Self.key, number),
                names: configuration.entries(Self.name, number).map(\.value),
                isDefault: configuration.value(Self.isDefault, number))
        }
        usesDevelopmentCA = configuration.value(Self.developmentCA)
        profile = configuration.value(Self.profile)
        minimum = configuration.value(Self.minimum)
        givesSessionTickets = configuration.value(Self.sessionTickets)
    }
}

extension TLSOptions {
    package static let certificate = Setting(
        "tls.certificates[].certificate", .path("a PEM file"),
        "the certificate and its intermediates, leaf first", example: "/etc/proxy/tls/a.pem")
    package static let key = Setting(
        "tls.certificates[].key", .path("a PEM file"),
        "the private key of the certificate", example: "/etc/proxy/tls/a.key")
    package static let name = Setting(
        each: "tls.certificates[].names[]", .serverName,
        "the names to serve it for, in place of those in the certificate",
        example: "www.example.com")
    static let isDefault = Setting(
        "tls.certificates[].default", .boolean, default: "false",
        "serve it to clients that name no server we know; else the first one is",
        example: "true")
    package static let developmentCA = Setting(
        "tls.dev_ca", .boolean, default: "false",
        "make a local CA and a certificate for localhost; the trust store stays untouched",
        example: "true")
    static let profile = Setting(
        "tls.profile", SettingType<TLSProfile>.choice, default: "intermediate",
        "Mozilla's list of versions and ciphers", example: "modern")
    static let minimum = Setting(
        optional: "tls.minimum", .tlsVersion, found: "what the profile says",
        "the lowest TLS version; it raises the profile's own, never lowers it",
        example: "TLSv1.3")
    static let sessionTickets = Setting(
        "tls.session_tickets", .boolean, default: "true",
        "resume sessions with tickets, across edges and reloads", example: "false")

    package static let keys = Keys(
        [
            certificate.declaration, key.declaration, name.declaration, isDefault.declaration,
            developmentCA.declaration, profile.declaration, minimum.declaration,
            sessionTickets.declaration,
        ],
        shapes: [
            Shape("tls", "certificates and how https listeners speak TLS"),
            Shape("tls.certificates[]", "the certificates to serve, chosen by name"),
        ],
        later: [
            "tls.client_auth", "tls.client_ca", "tls.crl", "tls.ocsp", "tls.stapling",
            "tls.strict_sni", "tls.keylog", "tls.hsts", "tls.alpn", "tls.ciphers", "tls.groups",
            "tls.reload_on",
        ])
}

extension TLSOptions {
    /// What keys on their own cannot say: who is the default.
    package static func check(_ configuration: Configuration) -> [Diagnostic] {
        let defaults = configuration.names("tls.certificates[]").filter {
            configuration.value(isDefault, $0) == true
        }
        return defaults.dropFirst().map { number in
            configuration.finding(
                "tls", "certificates", number, "default",
                message:
                    "one certificate is the default; tls.certificates.\(defaults[0]) is already")
        } + checkDoubles(configuration)
    }

    /// A certificate that is listed twice, for the same names.
    private static func checkDoubles(_ configuration: Configuration) -> [Diagnostic] {
        var first: [[String]: String] = [:]
        return configuration.names("tls.certificates[]").compactMap { number in
            guard let file = configuration.value(certificate, number) else { return nil }
            let listed = [file] + configuration.entries(name, number).map(\.value).sorted()
            guard let other = first[listed] else {
                first[listed] = number
                return nil
            }
            return configuration.finding(
                value: "tls", "certificates", number, "certificate", severity: .warning,
                message: "is tls.certificates.\(other) already; once is enough")
        }
    }
}

extension SettingType<TLSVersion> {
    /// `TLSv1.2`, or its number alone.
    static var tlsVersion: Self {
        let names = TLSVersion.allCases.map(\.name.description)
        return Self(
            name: names.joined(separator: " | "),
            schema: "\"enum\":[\(names.map(jsonText).joined(separator: ","))]",
            parse: { (text) throws(Complaint) in
                let version = TLSVersion.allCases.first {
                    $0.name.description == text || $0.name.description.dropFirst(4) == text
                }
                if let version { return version }
                throw Complaint(
                    "takes \(names.joined(separator: ", ")), not \(quoted(text))",
                    suggestion: nearestName(to: text, among: names))
            },
            text: { $0.name.description })
    }
}

extension SettingType<String> {
    /// A DNS name, or `*.` and a DNS name, lower case.
    static var serverName: Self {
        .checkedText("a name such as www.example.com or *.example.com") {
            (text) throws(Complaint) in
            let name = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
            let labels = name.split(separator: ".", omittingEmptySubsequences: false)
            let isGood = labels.allSatisfy { label in
                (1...63).contains(label.utf8.count)
                    && label.utf8.allSatisfy {
                        (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d
                            || $0 == 0x5f
                    }
            }
            guard isGood, name.utf8.count <= 253 else {
                let lower = text.lowercased()
                throw Complaint(
                    "\(quoted(text)) is no server name",
                    suggestion: lower == text ? nil : lower)
            }
        }
    }
}
