import Configuration

/// A URL of nothing but scheme, host and port, as `listen` and `upstreams` take it.
struct URLParts {
    let scheme: String
    /// Without the brackets of an IPv6 address.
    let host: String
    let port: UInt16?

    init(_ text: String, schemes: [String], example: String) throws(Complaint) {
        guard let mark = text.firstIndex(of: ":"), text[mark...].hasPrefix("://") else {
            throw Complaint("takes a URL such as \(example), not \(quoted(text))")
        }
        scheme = String(text[..<mark])
        guard schemes.contains(scheme) else {
            throw Complaint(
                "\(quoted(text)): the scheme is \(schemes.joined(separator: " or "))",
                suggestion: nearestName(to: scheme, among: schemes)
                    .map { "\($0)\(text[mark...])" })
        }
        let authority = text[text.index(mark, offsetBy: 3)...]
        if let end = authority.firstIndex(where: { "/?#".contains($0) }) {
            let rest = authority[end...]
            throw Complaint(
                "\(quoted(text)): nothing goes after host and port, no path, query or fragment",
                suggestion: rest == "/"
                    ? String(text.dropLast()) : "\(scheme)://\(authority[..<end])")
        }
        guard !authority.contains("@") else {
            throw Complaint("\(quoted(text)): a user or password has no place here")
        }
        var rest = authority
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else {
                throw Complaint("\(quoted(text)): the bracket of the IPv6 address is not closed")
            }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            guard host.contains(":"), IPAddress(host) != nil else {
                throw Complaint("\(quoted(text)): \(quoted(host)) is no IPv6 address")
            }
            rest = authority[authority.index(after: end)...]
        } else {
            let end = authority.firstIndex(of: ":") ?? authority.endIndex
            host = String(authority[..<end])
            rest = authority[end...]
            guard rest.filter({ $0 == ":" }).count <= 1 else {
                throw Complaint(
                    "\(quoted(text)): an IPv6 address goes in brackets, http://[::1]:80")
            }
        }
        guard !host.isEmpty else { throw Complaint("\(quoted(text)) has no host") }
        if rest.isEmpty {
            port = nil
        } else {
            guard rest.first == ":", let number = Self.port(rest.dropFirst()) else {
                throw Complaint("\(quoted(text)): a port is a number from 0 to 65535")
            }
            port = number
        }
    }

    private static func port(_ text: Substring) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return UInt16(text)
    }
}
