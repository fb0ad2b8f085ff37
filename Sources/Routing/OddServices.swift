internal import Configuration

// What is allowed in a service and hardly meant.
extension ServiceOptions {
    /// Upstreams that are written twice, or are this proxy itself.
    static func checkPlaces(_ configuration: Configuration, _ name: String) -> [Diagnostic] {
        let listeners = configuration.names("listen[]").compactMap { number in
            configuration.value(FrontOptions.url, number) ?? nil
        }
        var found: [Diagnostic] = []
        var seen: [UpstreamURL: String] = [:]
        for number in configuration.names("services.*.upstreams[]", name) {
            guard let url = configuration.value(url, name, number) else { continue }
            func warn(_ message: String) {
                found.append(
                    configuration.finding(
                        value: "services", name, "upstreams", number, "url", severity: .warning,
                        message: message))
            }
            if let first = seen[url] {
                warn(
                    "\(url) is upstreams.\(first) already; a server that is to get more has a "
                        + "weight")
            }
            seen[url] = seen[url] ?? number
            if let own = listeners.first(where: { $0.isReached(by: url) }) {
                warn("\(url) is this proxy's own listener \(own); requests would go in circles")
            }
        }
        return found
    }

    /// What is filled into the words of a command.
    private static let placeholders = ["socket", "port", "worker"]

    /// Words with a placeholder that nobody fills in.
    static func checkWords(_ configuration: Configuration, _ name: String) -> [Diagnostic] {
        configuration.entries(commandWord, name).flatMap { number, word in
            unknownPlaceholders(in: word).map { placeholder in
                let near =
                    nearestName(to: placeholder, among: placeholders)
                    ?? placeholders.first {
                        placeholder.hasPrefix($0)
                            || placeholder.utf8.count > 2 && $0.hasPrefix(placeholder)
                    }
                // Others are an inline script's own, as a rule.
                return configuration.finding(
                    value: "services", name, "command", number,
                    severity: near == nil ? .warning : .error,
                    message: "{\(placeholder)} is not filled in; only {socket}, {port} and "
                        + "{worker} are",
                    suggestion: near.map { "{\($0)}" })
            }
        }
    }

    /// The names in braces, of letters and underscores, that are no placeholders.
    private static func unknownPlaceholders(in word: String) -> [String] {
        let pieces = word.split(separator: "{", omittingEmptySubsequences: false)
        return zip(pieces, pieces.dropFirst()).compactMap { before, piece in
            // ${NAME} is a shell's.
            guard before.last != "$", let end = piece.firstIndex(of: "}"),
                end > piece.startIndex
            else { return nil }
            let name = piece[..<end]
            let isName = name.utf8.allSatisfy {
                (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || $0 == 0x5f
            }
            return isName && !placeholders.contains(String(name)) ? String(name) : nil
        }
    }
}

extension ListenURL {
    /// Whether a connection to an upstream would come in here, as far as addresses tell.
    fileprivate func isReached(by url: UpstreamURL) -> Bool {
        guard port != 0 else { return false }
        let loopback = [IPAddress(ipv4: 0x7f00_0001), IPAddress(high: 0, low: 1)]
        let targets: [IPAddress]
        switch url.place {
        case .address(let address, port: self.port): targets = [address]
        case .name("localhost", port: self.port): targets = loopback
        default: return false
        }
        return targets.contains { target in
            addresses.contains(target) || host == .any && loopback.contains(target)
        }
    }
}
