package import Configuration

// The keys of `services.*` that edges and the master have to agree on.
extension ServiceOptions {
    /// Most workers of a service. Each is a process; some hundreds are far beyond any machine's
    /// cores.
    package static let workersMax = 1024
    /// Most places of a worker that are leases, one word each.
    package static let placesMax = 64
    /// Most requests at once for a program of its own kind; beyond `placesMax` they are counted,
    /// not leased.
    package static let concurrencyMax = 65_535
    /// Most words of a command line.
    package static let wordsMax = 1024
    private static let ownWorkers = ["app", "command", "demo"]

    package static let app = Setting(
        optional: "services.*.app", .appName,
        "a Python app as module:attribute or module:factory()", example: "shop.wsgi:app")
    package static let commandWord = Setting(
        each: "services.*.command[]", .text("a word"),
        "a program that speaks HTTP, word by word; {socket}, {port} and {worker} are filled in",
        example: "bin/searchd")
    package static let isDemo = Setting(
        optional: "services.*.demo", .onlyTrue, "the built-in demo app", example: "true")
    package static let workerCount = Setting(
        optional: "services.*.workers", .integer(1...workersMax), found: "one a core, at least 2",
        with: ownWorkers, "worker processes", example: "4")
    static let threads = Setting(
        "services.*.threads", .integer(1...placesMax), default: "1", with: ["app"],
        "threads of each worker; it gets as many requests at once", example: "2")
    static let concurrency = Setting(
        "services.*.concurrency", .integer(1...concurrencyMax), default: "1",
        with: ["command", "demo"], "requests a worker gets at once; for demo at most 64",
        example: "16")
    static let keepAlive = Setting(
        "services.*.keep_alive", .boolean, default: "false", with: ["command"],
        "use a connection to the program again for the next request", example: "true")

    static let url = Setting(
        "services.*.upstreams[].url", .upstreamURL, "where the server is reached",
        example: "http://10.0.0.5:8080")
    static let weight = Setting(
        "services.*.upstreams[].weight", .integer(0...1000), default: "1",
        "its share of the requests; 0 takes none", example: "2")
    package static let ca = Setting(
        optional: "services.*.upstreams[].ca", .path("a PEM file"),
        found: "the system's", "the CAs that may have signed its certificate",
        example: "/etc/proxy/tls/internal-ca.pem")
    static let serverName = Setting(
        optional: "services.*.upstreams[].server_name", .hostName, found: "the host of the URL",
        "the name its certificate has to carry", example: "api.internal")
    static let verify = Setting(
        "services.*.upstreams[].verify", .boolean, default: "true",
        "verify its certificate; false lets anybody answer in its place", example: "false")

    static let balance = Setting(
        "services.*.balance", SettingType<Balance>.choice, default: "round-robin",
        "how requests are spread over the service's workers or upstreams",
        example: "least-connections")
    static let hash = Setting(
        optional: "services.*.hash", .hashKey,
        "what consistent-hash keeps together", example: "cookie:session")
    static let queueLength = Setting(
        "services.*.queue.length", .integer(0...1_000_000), default: "1000",
        "requests that may wait for a worker, over all edges; beyond it 503", example: "100")
    static let queueWait = Setting(
        "services.*.queue.wait", .duration(), default: "10s",
        "how long a request may wait for a worker; then 503", example: "2s")
    static let connect = Setting(
        "services.*.timeout.connect", .duration(), default: "2s",
        "to open a connection; then 504", example: "500ms")
    static let firstByte = Setting(
        "services.*.timeout.first_byte", .duration(), default: "60s",
        "from the end of the request to the first byte of its answer; then 504", example: "30s")
    static let request = Setting(
        "services.*.timeout.request", .duration(), default: "5m",
        "from the choice of the worker to the end of its answer; then 504, and the worker "
            + "is replaced",
        example: "1m")
    static let start = Setting(
        "services.*.timeout.start", .duration(), default: "30s",
        "from a worker's start to its being ready", example: "2m")
    static let drain = Setting(
        "services.*.timeout.drain", .duration(0...Nanoseconds.most), default: "20s",
        "how long a worker that is to end may finish what it has", example: "1m")
    static let poolSize = Setting(
        "services.*.pool.size", .integer(0...65_536), default: "32",
        "connections that each edge keeps to each upstream", example: "8")
    static let poolOverflow = Setting(
        "services.*.pool.max_overflow", .integer(0...65_536), default: "64",
        "connections beyond pool.size while they are needed", example: "0")
    static let poolTimeout = Setting(
        "services.*.pool.timeout", .duration(), default: "2s",
        "how long a request waits for a connection; then 503", example: "500ms")
    static let poolLifetime = Setting(
        optional: "services.*.pool.lifetime", .duration(), found: "no limit",
        "a connection older than this is not used again", example: "5m")
    static let poolIdle = Setting(
        "services.*.pool.idle", .duration(), default: "4s",
        "a connection idle for longer is closed", example: "30s")
    static let retryAttempts = Setting(
        "services.*.retry.attempts", .integer(0...10), default: "1",
        "further attempts for a request that may be repeated and got no byte of an answer",
        example: "2")
    static let retryBudget = Setting(
        "services.*.retry.budget", .decimal(0...1), default: "0.2",
        "retries for each request there may be, over all", example: "0.1")
    static let healthFailures = Setting(
        "services.*.health.passive.failures", .integer(1...10_000), default: "5",
        "failures within the window that take an endpoint out, never the last one", example: "3")
    static let healthWindow = Setting(
        "services.*.health.passive.window", .duration(), default: "10s",
        "the time in which they are counted", example: "30s")
    static let healthPause = Setting(
        "services.*.health.passive.pause", .duration(), default: "10s",
        "how long an endpoint is out before one trial request", example: "30s")
    package static let buffer = Setting(
        optional: "services.*.buffer", SettingType<Buffering>.choice,
        found: "request for app, else none",
        "read a request whole before a worker is taken, or stream it", example: "none")
    static let bodySize = Setting(
        optional: "services.*.limits.body", .size(0...(1 << 40)), found: "limits.body",
        "bytes of a request body for this service; beyond it 413", example: "1GiB")
}

extension ServiceOptions {
    package static let keys = Keys(
        [
            app.declaration, commandWord.declaration, url.declaration, weight.declaration,
            ca.declaration, serverName.declaration, verify.declaration, isDemo.declaration,
            workerCount.declaration, threads.declaration, concurrency.declaration,
            keepAlive.declaration, balance.declaration, hash.declaration,
            queueLength.declaration, queueWait.declaration, connect.declaration,
            firstByte.declaration, request.declaration, start.declaration, drain.declaration,
            poolSize.declaration, poolOverflow.declaration, poolTimeout.declaration,
            poolLifetime.declaration, poolIdle.declaration, retryAttempts.declaration,
            retryBudget.declaration, healthFailures.declaration, healthWindow.declaration,
            healthPause.declaration, buffer.declaration, bodySize.declaration,
        ],
        shapes: [
            Shape(
                "services", "who answers requests, by name", isRequired: true,
                counts: 1...4096),
            Shape(
                "services.*", "one service", oneOf: ["app", "command", "upstreams", "demo"],
                checkName: checkName),
            Shape(
                "services.*.command", "a program that speaks HTTP on the socket it is given",
                counts: 1...wordsMax),
            Shape(
                "services.*.upstreams[]", "servers that run already",
                shorthand: .value(of: "url"), counts: 1...4096),
            Shape("services.*.queue", "requests that wait for a worker"),
            Shape("services.*.timeout", "times towards workers and upstreams"),
            Shape("services.*.pool", "connections to each upstream"),
            Shape("services.*.retry", "what is tried again"),
            Shape("services.*.health", "which endpoints are well"),
            Shape("services.*.health.passive", "health as the requests show it"),
            Shape("services.*.limits", "limits of this service"),
        ],
        later: [
            "mode", "interface", "recycle", "reload_on", "fork_check", "shared", "scale",
            "slow_start", "warm", "proxy_protocol", "dev", "health.path", "health.interval",
            "health.timeout", "health.fail", "health.pass", "health.status", "health.active",
            "workers.min", "workers.max", "retry.on", "upstreams[].max_connections",
            "upstreams[].backup", "upstreams[].proxy_protocol", "upstreams[].srv",
        ].map { "services.*.\($0)" })

    /// A service's name is part of file names, log lines and endpoint names such as `web/3`.
    private static func checkName(_ name: String) throws(Complaint) {
        let isGood = name.utf8.enumerated().allSatisfy { place, byte in
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte)
                || (0x30...0x39).contains(byte)
                || (place > 0 && (byte == 0x2d || byte == 0x5f))
        }
        guard isGood, (1...63).contains(name.utf8.count) else {
            throw Complaint(
                "\(quoted(name)) is no service name: letters, digits, - and _, "
                    + "63 at most, a letter or digit first")
        }
    }
}

extension SettingType<Bool> {
    /// `true`; its contrary is to leave the key out.
    static var onlyTrue: Self {
        Self(
            name: "true", schema: "\"const\":true",
            parse: { (text) throws(Complaint) in
                guard try SettingType<Bool>.boolean.parse(text) else {
                    throw Complaint("takes true only; leave the key out instead")
                }
                return true
            },
            text: { _ in "true" })
    }
}

extension SettingType<String> {
    /// `module:attribute` or `module:factory()`.
    static var appName: Self {
        .checkedText("module:attribute, such as shop.wsgi:app") { (text) throws(Complaint) in
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2 else {
                let why = parts.count < 2 ? "has no colon" : "has more than one colon"
                throw Complaint(
                    "\(quoted(text)) \(why); write module:attribute",
                    suggestion: parts.count < 2 && isDottedName(parts[0])
                        ? "\"\(text):app\"" : nil)
            }
            let attribute = parts[1].hasSuffix("()") ? parts[1].dropLast(2) : parts[1]
            guard isDottedName(parts[0]) else {
                throw Complaint(
                    "\(quoted(text)): \(quoted(String(parts[0]))) is no module name, "
                        + "such as shop.wsgi for the file shop/wsgi.py")
            }
            guard isDottedName(attribute) else {
                throw Complaint("\(quoted(text)): after the colon goes a name, such as app")
            }
        }
    }

    static var hostName: Self {
        .checkedText("a host name") { (text) throws(Complaint) in
            guard HostPattern.isHostName(text.lowercased()) else {
                throw Complaint("\(quoted(text)) is no host name")
            }
        }
    }
}

/// Python identifiers with dots between them.
private func isDottedName(_ text: some StringProtocol) -> Bool {
    text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
        guard let first = part.unicodeScalars.first else { return false }
        return (first == "_" || first.properties.isXIDStart)
            && part.unicodeScalars.allSatisfy { $0.properties.isXIDContinue }
    }
}
