package import Configuration

/// What a route's `host` matches: one name, or every name right below one.
public struct HostPattern: Hashable, Sendable {
    /// Lower case, without `*.`.
    public let name: String
    /// True for `*.example.com`, which matches `a.example.com` and neither `example.com` nor
    /// `b.a.example.com`.
    public let isWildcard: Bool

    package init(_ text: String) throws(Complaint) {
        let lower = text.lowercased()
        isWildcard = lower.hasPrefix("*.")
        name = isWildcard ? String(lower.dropFirst(2)) : lower
        if name.contains("*") {
            throw Complaint("\(quoted(text)): * stands alone before the first dot, *.example.com")
        }
        if !isWildcard, lower.hasPrefix("[") {
            guard lower.hasSuffix("]"), IPAddress(lower.dropFirst().dropLast()) != nil else {
                throw Complaint("\(quoted(text)) is no IPv6 address in brackets")
            }
            return
        }
        if name.contains(":") {
            throw Complaint("\(quoted(text)): a host has no port and no scheme here")
        }
        guard HostPattern.isHostName(name) else {
            throw Complaint("\(quoted(text)) is no host name such as example.com or *.example.com")
        }
    }

    /// Letters, digits, dashes and underscores in labels of 1 to 63, 253 in all; lower case.
    static func isHostName(_ text: String) -> Bool {
        text.utf8.count <= 253
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count)
                    && label.utf8.allSatisfy { byte in
                        (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte)
                            || byte == 0x2d || byte == 0x5f
                    }
            }
    }
}

extension HostPattern: CustomStringConvertible {
    public var description: String { isWildcard ? "*.\(name)" : name }
}

extension SettingType<HostPattern> {
    package static var hostPattern: Self {
        Self(
            name: "a host name such as example.com or *.example.com",
            schema: "\"type\":\"string\"",
            parse: { (text) throws(Complaint) in try HostPattern(text) },
            text: { $0.description })
    }
}
