package import Configuration

extension ServiceOptions {
    /// What the keys of services cannot say each on its own, and the capacities they have to fit
    /// into.
    package static func check(_ configuration: Configuration) -> [Diagnostic] {
        let names = configuration.names("services.*")
        let checks = [
            checkBalance, checkUpstreams, checkPlaces, checkWords, checkPool, checkDemo,
        ]
        let found = names.flatMap { name in checks.flatMap { $0(configuration, name) } }
        return found + checkCapacities(configuration, names)
    }

    /// Requests that can be at a service's workers or upstreams at once, as far as it could be
    /// read.
    package static func capacity(of name: String, _ configuration: Configuration) -> Int {
        let upstreams = configuration.names("services.*.upstreams[]", name).count
        let pool =
            (configuration.value(poolSize, name) ?? 0)
            + (configuration.value(poolOverflow, name) ?? 0)
        let workers = (configuration.value(workerCount, name) ?? nil) ?? 0
        let places =
            configuration.value(threads, name) ?? configuration.value(concurrency, name) ?? 1
        return upstreams * pool + workers * places
    }

    private static func checkBalance(
        _ configuration: Configuration, _ name: String
    ) -> [Diagnostic] {
        guard let balance = configuration.value(balance, name) else { return [] }
        let hasHash = configuration.isWritten("services", name, "hash")
        if balance == .consistentHash, !hasHash {
            return [
                configuration.finding(
                    "services", name, "balance",
                    message: "consistent-hash needs hash: client, path, header:NAME or cookie:NAME")
            ]
        }
        if balance != .consistentHash, hasHash {
            return [
                configuration.finding(
                    "services", name, "hash",
                    message: "goes with balance: consistent-hash only, not with \(balance.rawValue)"
                )
            ]
        }
        return []
    }

    private static func checkUpstreams(
        _ configuration: Configuration, _ name: String
    ) -> [Diagnostic] {
        var found: [Diagnostic] = []
        let numbers = configuration.names("services.*.upstreams[]", name)
        let weights = numbers.compactMap { configuration.value(weight, name, $0) }
        if !numbers.isEmpty, weights.count == numbers.count, weights.allSatisfy({ $0 == 0 }) {
            found.append(
                configuration.finding(
                    "services", name, "upstreams",
                    message: "all weights are 0; nothing would ever be sent"))
        }
        for number in numbers {
            guard let url = configuration.value(url, name, number), !url.usesTLS else { continue }
            var keys = ["ca", "server_name"].filter {
                configuration.isWritten("services", name, "upstreams", number, $0)
            }
            if configuration.value(verify, name, number) == false { keys.append("verify") }
            for key in keys {
                found.append(
                    configuration.finding(
                        "services", name, "upstreams", number, key,
                        message: "goes with https only; \(url) is not verified"))
            }
        }
        return found
    }

    private static func checkPool(_ configuration: Configuration, _ name: String) -> [Diagnostic] {
        guard configuration.value(poolSize, name) == 0,
            configuration.value(poolOverflow, name) == 0
        else { return [] }
        return [
            configuration.finding(
                "services", name, "pool",
                message: "size and max_overflow are both 0; no connection could be opened")
        ]
    }

    /// Our own workers have a busy byte for each place, and no more than that.
    private static func checkDemo(_ configuration: Configuration, _ name: String) -> [Diagnostic] {
        guard configuration.has("services", name, "demo"),
            let concurrency = configuration.value(concurrency, name), concurrency > placesMax
        else { return [] }
        return [
            configuration.finding(
                value: "services", name, "concurrency",
                message: "a demo worker gets at most \(placesMax) requests at once")
        ]
    }

    private static func checkCapacities(
        _ configuration: Configuration, _ names: [String]
    ) -> [Diagnostic] {
        var found: [Diagnostic] = []
        if let most = configuration.value(FrontOptions.servicesMax), names.count > most {
            found.append(
                configuration.finding(
                    "services",
                    message: "\(names.count) services do not fit into limits.services: \(most)"))
        }
        let endpoints = names.map { name in
            let upstreams = configuration.names("services.*.upstreams[]", name).count
            return max(upstreams, (configuration.value(workerCount, name) ?? nil) ?? 0)
        }.reduce(0, +)
        if let most = configuration.value(FrontOptions.endpointsMax), endpoints > most {
            found.append(
                configuration.finding(
                    "services",
                    message:
                        "\(endpoints) workers and upstreams do not fit into "
                        + "limits.endpoints: \(most)"
                ))
        }
        return found
    }
}
