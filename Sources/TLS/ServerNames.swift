/// Which certificate set answers to which server name: exact names first, then wildcards, then the
/// default.
///
/// A plain value without OpenSSL. Names are kept in lower case; a wildcard stands for exactly one
/// label (RFC 9525 section 6.3).
struct ServerNames {
    /// Keys are whole names, and for wildcards what follows the star, with its dot: `.example.com`.
    private var exact: [[UInt8]: Int] = [:]
    private var wildcard: [[UInt8]: Int] = [:]

    /// Lets `name` lead to set `index`; the first one to claim a name keeps it.
    mutating func add(_ name: String, _ index: Int) {
        let key = ServerNames.canonical(Array(name.utf8))
        guard !key.isEmpty else { return }
        if key.starts(with: [0x2a, 0x2e]) {
            let suffix = Array(key.dropFirst())
            if wildcard[suffix] == nil { wildcard[suffix] = index }
        } else if exact[key] == nil {
            exact[key] = index
        }
    }

    /// The set for the name that a client sent, or nil for the default.
    func find(_ name: [UInt8]) -> Int? {
        let key = ServerNames.canonical(name)
        if let index = exact[key] { return index }
        guard !wildcard.isEmpty, let dot = key.firstIndex(of: 0x2e), dot > 0 else { return nil }
        return wildcard[Array(key[dot...])]
    }

    /// Lower case, without the dot that may end a name.
    static func canonical(_ name: [UInt8]) -> [UInt8] {
        var key = name.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }
        if key.last == 0x2e { key.removeLast() }
        return key
    }
}
