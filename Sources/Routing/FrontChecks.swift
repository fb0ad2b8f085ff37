package import Configuration

extension FrontOptions {
    /// What listeners cannot say each on its own: addresses taken twice, redirects to nowhere.
    package static func check(_ configuration: Configuration) -> [Diagnostic] {
        let numbers = configuration.names("listen[]")
        let listeners = numbers.compactMap { number in
            (configuration.value(url, number) ?? nil).map { (number: number, url: $0) }
        }
        // Where one could not be read, it may have been the one that is missed.
        let isComplete = listeners.count == configuration.values.node(["listen"])?.childNames.count
        var found: [Diagnostic] = []
        for (place, listener) in listeners.enumerated() {
            if let other = listeners[..<place].first(where: { $0.url.collides(with: listener.url) })
            {
                let line = configuration.position(["listen", other.number])?.line
                found.append(
                    configuration.finding(
                        value: "listen", listener.number, "url",
                        message: "\(listener.url) is taken by \(other.url)"
                            + (line.map { " in line \($0)" } ?? "")))
            }
            guard (configuration.value(redirect, listener.number) ?? nil) != nil else { continue }
            if listener.url.scheme == .https {
                found.append(
                    configuration.finding(
                        "listen", listener.number, "redirect",
                        message: "this listener speaks https already"))
            } else if isComplete, !listeners.contains(where: { $0.url.scheme == .https }) {
                found.append(
                    configuration.finding(
                        "listen", listener.number, "redirect",
                        message: "there is no https listener to redirect to; add one, https://*:443"
                    ))
            }
        }
        return found
    }
}
