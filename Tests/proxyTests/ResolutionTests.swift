import Configuration
import Edge
import Foundation
import Supervision
import TLS
import Testing

@testable import Routing
@testable import Signals
@testable import proxy

/// Every key there is, with a value that is not its default.
let everyKey = """
    listen:
      - { url: "https://*:8443", backlog: 77, reuse_port: false }
      - { url: "http://[::1]:8080", redirect: https }
    edges: 3
    user: daemon
    group: daemon
    trusted_proxies: [10.0.0.0/8, "fd00::/8"]
    directories: { runtime: /tmp/r, state: /tmp/s, spool: /tmp/s/p }
    timeout: { handshake: 1s, header: 2s, body: 3s, body_rate: 4KiB/s,
      idle: 5s, tunnel: 6s, drain: 7s, drain_reload: 8s }
    limits: { connections: 3001, connections_per_address: 12, header: 4KiB, headers: 13,
      target: 1KiB, body: 1MiB, body_memory: 8KiB, response_memory: 16KiB,
      response_file: 2MiB, upstream_header: 5KiB, services: 14, endpoints: 150 }
    tls: { dev_ca: true, profile: modern, minimum: "1.3", session_tickets: false }
    services:
      cmd:
        command: [cat, "{socket}", a b]
        dir: .
        env: { A: "1", B_2: "${HOME} and $${HOME}" }
        workers: 3
        concurrency: 5
        keep_alive: true
        user: daemon
        group: daemon
        balance: least-time
        queue: { length: 10, wait: 1s }
        timeout: { connect: 1s, first_byte: 2s, request: 3s, start: 4s, drain: 5s }
        pool: { size: 1, max_overflow: 2, timeout: 3s, lifetime: 4m, idle: 5s }
        retry: { attempts: 2, budget: 0.5 }
        health: { passive: { failures: 1, window: 2s, pause: 3s } }
        buffer: request
        limits: { body: 5MiB }
      up:
        upstreams:
          - { url: "https://api.internal:8443", weight: 3, server_name: api, verify: false }
          - "unix:/run/a.sock"
        balance: consistent-hash
        hash: cookie:session
      show: { demo: true }
    routes:
      - { host: "*.Example.com", path: /api/, method: [GET, POST], header: { X-A: b },
          to: { cmd: 95, up: 5 }, strip: /api, allow: [10.0.0.0/8], deny: [10.1.0.0/16] }
      - { path: /x, to: show, set_headers: { request: { X-B: c }, response: { X-C: d } },
          remove_headers: { request: [X-D], response: [X-E] } }
      - { host: old.com, redirect: { to: "https://new.com{target}", status: 302 } }
      - { path: /gone, respond: { status: 410, body: "gone\\n", headers: { X-F: e.g } } }
    plugins:
      - { name: tap, command: [cat, -u], events: [request_finished, worker-exited],
          filter: "status >= 500", queue: { length: 9, full: oldest } }
    logs: { access: { path: stdout, format: combined },
      error: { path: /tmp/e.log, level: warning } }
    admin: { socket: /tmp/r/a.sock }
    """

@Suite struct ResolutionTests {
    @Test func `every key reaches its options`() throws {
        let loaded = load(everyKey, host: sampleHost(isRoot: true))
        #expect(loaded.diagnostics.map(\.description) == [])
        let effective = try #require(loaded.effective)
        let front = FrontOptions(effective)
        #expect(front.listeners.map(\.url.description) == ["https://*:8443", "http://[::1]:8080"])
        #expect(front.listeners[0].backlog == 77)
        #expect(!front.listeners[0].reusesPort)
        #expect(front.listeners.map(\.redirectsToHTTPS) == [false, true])
        #expect(front.redirectPort == 8443)
        #expect((front.edges, front.connections, front.connectionsPerEdge) == (3, 3001, 1001))
        #expect((front.services, front.endpoints) == (14, 150))
        #expect((front.drain, front.drainAfterReload) == (7_000_000_000, 8_000_000_000))
        let tls = TLSOptions(effective)
        #expect((tls.profile, tls.minimum) == (.modern, .tls13))
        #expect((tls.usesDevelopmentCA, tls.givesSessionTickets) == (true, false))
        let logs = LogOptions(effective)
        #expect((logs.access, logs.format) == (.standardOutput, .combined))
        #expect((logs.error, logs.level) == (.file("/tmp/e.log"), .warning))
        let plugin = try #require(PluginOptions.all(effective).first)
        #expect((plugin.name, plugin.command) == ("tap", ["cat", "-u"]))
        #expect(plugin.events == SignalSet(.requestFinished).union(SignalSet(.workerExited)))
        #expect((plugin.queueLength, plugin.whenFull) == (9, .oldest))
        let master = MasterOptions(effective)
        #expect(
            (master.user, master.group, master.adminSocket) == ("daemon", "daemon", "/tmp/r/a.sock")
        )
        #expect(master.directories.spool == "/tmp/s/p")
    }

    @Test func `every key of a service reaches its options`() throws {
        let effective = try #require(
            load(everyKey, host: sampleHost(isRoot: true)).effective)
        let services = ServiceOptions.all(effective)
        #expect(services.map(\.name) == ["cmd", "up", "show"])
        let command = services[0]
        #expect((command.kind, command.workers, command.capacity) == (.command, 3, 5))
        #expect(command.keepsConnections)
        #expect(command.balance == .leastTime)
        #expect((command.queue.length, command.queue.wait) == (10, 1_000_000_000))
        #expect(
            (command.timeouts.connect, command.timeouts.drain) == (1_000_000_000, 5_000_000_000))
        #expect((command.pool.size, command.pool.lifetime) == (1, 240_000_000_000))
        #expect((command.retry.attempts, command.retry.budget) == (2, 0.5))
        #expect((command.health.failures, command.health.pause) == (1, 3_000_000_000))
        #expect((command.buffering, command.bodyBytes) == (.request, 5 << 20))
        let up = services[1]
        #expect((up.kind, up.workers, up.capacity, up.upstreams.count) == (.upstreams, 0, 0, 2))
        #expect(up.hash == .cookie("session"))
        #expect(up.upstreams[0].url.description == "https://api.internal:8443")
        #expect((up.upstreams[0].weight, up.upstreams[0].verifies) == (3, false))
        #expect(up.upstreams[1].url.place == .socket("/run/a.sock"))
        #expect((services[2].workers, services[2].buffering) == (4, .none))
        let pool = try #require(PoolOptions(effective, service: "cmd"))
        #expect(pool.program == .command(["cat", "{socket}", "a b"]))
        #expect(pool.environment.map(\.value) == ["1", "/home/me and ${HOME}"])
        #expect((pool.user, pool.dir) == ("daemon", "/"))
        #expect(PoolOptions(effective, service: "up") == nil)
        #expect(PoolOptions.all(effective).map(\.program).last == .demo)
    }

    @Test func `every key of a route reaches its options`() throws {
        let effective = try #require(
            load(everyKey, host: sampleHost(isRoot: true)).effective)
        let routes = RouteOptions.all(effective)
        #expect(routes.count == 4)
        #expect(routes[0].host?.description == "*.example.com")
        #expect((routes[0].path, routes[0].methods) == ("/api/", ["GET", "POST"]))
        #expect(routes[0].headers.map(\.name) == ["X-A"])
        #expect(
            routes[0].action
                == .forward([.init(service: "cmd", weight: 95), .init(service: "up", weight: 5)]))
        #expect((routes[0].strip, routes[0].allow.count, routes[0].deny.count) == ("/api", 1, 1))
        #expect(routes[1].setRequestHeaders.map(\.value) == ["c"])
        #expect(routes[1].setResponseHeaders.map(\.name) == ["X-C"])
        #expect(routes[1].removeRequestHeaders == ["X-D"])
        #expect(routes[1].removeResponseHeaders == ["X-E"])
        guard case .redirect(let template, 302) = routes[2].action else {
            Issue.record("no redirect")
            return
        }
        #expect(template.pieces == [.text("https://new.com"), .target])
        #expect(
            routes[3].action
                == .respond(
                    status: 410, body: "gone\n", headers: [.init(name: "X-F", value: "e.g")]))
    }

    @Test(arguments: [
        everyKey, "listen: auto\ntls: { dev_ca: true }\nservices: { demo: { demo: true } }\n",
    ])
    func `the printed configuration reads back to the same lines`(yaml: String) throws {
        let host = sampleHost(isRoot: true)
        let loaded = load(yaml, host: host)
        let effective = try #require(loaded.effective)
        let printed = Schema.proxy.yaml(effective)
        let again = load(printed, host: host)
        #expect(again.diagnostics.map(\.description) == [], "\(printed)")
        #expect(again.effective?.lines == effective.lines)
        #expect(again.notices == [])
        #expect(EffectiveConfiguration(lines: effective.lines) == effective)
    }

    @Test func `the defaults are those of the contract`() throws {
        let yaml = "listen: \"http://127.0.0.1:0\"\nservices: { demo: { demo: true } }\n"
        let effective = try #require(load(yaml).effective)
        #expect(
            effective.lines
                == """
                listen.0.url http://127.0.0.1:0
                listen.0.backlog 1024
                listen.0.reuse_port true
                edges 4
                limits.connections 20000
                limits.services 512
                limits.endpoints 4096
                limits.connections_per_address 1000
                limits.header 32KiB
                limits.headers 100
                limits.target 8KiB
                limits.body 64MiB
                limits.body_memory 64KiB
                limits.response_memory 256KiB
                limits.response_file 1GiB
                limits.upstream_header 64KiB
                timeout.drain 30s
                timeout.drain_reload 10m
                timeout.handshake 10s
                timeout.header 10s
                timeout.body 30s
                timeout.body_rate 500B/s
                timeout.idle 1m
                timeout.tunnel 1h
                admin.socket /tmp/proxy-UID/admin.sock
                directories.runtime /tmp/proxy-UID
                directories.state /home/me/.local/share/proxy
                directories.spool /home/me/.local/share/proxy/spool
                tls.dev_ca false
                tls.profile intermediate
                tls.session_tickets true
                services.demo.demo true
                services.demo.workers 4
                services.demo.concurrency 1
                services.demo.balance round-robin
                services.demo.queue.length 1000
                services.demo.queue.wait 10s
                services.demo.timeout.connect 2s
                services.demo.timeout.first_byte 1m
                services.demo.timeout.request 5m
                services.demo.timeout.start 30s
                services.demo.timeout.drain 20s
                services.demo.pool.size 32
                services.demo.pool.max_overflow 64
                services.demo.pool.timeout 2s
                services.demo.pool.idle 4s
                services.demo.retry.attempts 1
                services.demo.retry.budget 0.2
                services.demo.health.passive.failures 5
                services.demo.health.passive.window 10s
                services.demo.health.passive.pause 10s
                services.demo.buffer none
                logs.access.format json
                logs.error.path stderr
                logs.error.level info

                """.replacingOccurrences(of: "UID", with: String(getuid())))
    }

    @Test func `the edge's options come from the lines`() throws {
        let effective = try #require(load(everyKey, host: sampleHost(isRoot: true)).effective)
        let options = EdgeOptions(effective)
        #expect(options.timeouts.handshake == 1_000_000_000)
        #expect(options.timeouts.bodyRate == 4096)
        #expect(options.limits.connectionsPerAddress == 12)
        #expect(options.limits.upstreamHeaderBytes == 5 << 10)
        #expect(options.trustedProxies.map(\.description) == ["10.0.0.0/8", "fd00::/8"])
    }

    @Test(arguments: [(true, "443", "80"), (false, "8443", "8080")])
    func `auto takes the usual ports where both may be bound`(
        mayBind: Bool, secure: String, plain: String
    ) throws {
        let loaded = load(
            "listen: auto\ntls: { dev_ca: true }\nservices: { demo: { demo: true } }\n",
            host: sampleHost(mayBindLow: mayBind))
        let front = FrontOptions(try #require(loaded.effective))
        #expect(
            front.listeners.map(\.url.description)
                == ["https://localhost:\(secure)", "http://localhost:\(plain)"])
        #expect(loaded.notices.count == 1)
    }

    @Test func `one service without routes gets everything`() throws {
        let yaml = "listen: \"http://127.0.0.1:0\"\nservices: { demo: { demo: true } }\n"
        let routes = RouteOptions.all(try #require(load(yaml).effective))
        #expect(routes.map(\.action) == [.forward([.init(service: "demo", weight: 1)])])
    }

    @Test func `workers are one a core, at least two`() throws {
        let yaml = "listen: \"http://127.0.0.1:0\"\nservices: { demo: { demo: true } }\n"
        for (cores, workers) in [(1, 2), (2, 2), (8, 8)] {
            let effective = try #require(load(yaml, host: sampleHost(cores: cores)).effective)
            #expect(ServiceOptions.all(effective)[0].workers == workers)
        }
    }

    @Test func `root runs as nobody and uses the system's folders`() throws {
        let yaml = "listen: \"http://127.0.0.1:0\"\nservices: { demo: { demo: true } }\n"
        let master = MasterOptions(
            try #require(load(yaml, host: sampleHost(isRoot: true)).effective))
        #expect(master.user == "nobody")
        #expect(
            master.directories
                == DirectoryOptions(
                    runtime: "/run/proxy", state: "/var/lib/proxy", spool: "/var/lib/proxy/spool"))
        #expect(master.adminSocket == "/run/proxy/admin.sock")
    }
}

@Suite struct FolderTests {
    @Test(arguments: [
        (
            ["XDG_RUNTIME_DIR": "/run/user/7", "XDG_DATA_HOME": "/data"], "/run/user/7/proxy",
            "/data/proxy"
        ),
        (["XDG_RUNTIME_DIR": "/run/user/7"], "/run/user/7/proxy", "/home/me/.local/share/proxy"),
        (["XDG_RUNTIME_DIR": "relative"], "/tmp/proxy-\(getuid())", "/home/me/.local/share/proxy"),
    ])
    func `a user's own folders are those of the desktop's rules`(
        environment: [String: String], runtime: String, state: String
    ) throws {
        let yaml = "listen: \"http://127.0.0.1:0\"\nservices: { demo: { demo: true } }\n"
        let loaded = load(yaml, host: sampleHost(environment: environment))
        let folders = DirectoryOptions(try #require(loaded.effective))
        #expect((folders.runtime, folders.state) == (runtime, state))
        #expect(folders.spool == state + "/spool")
    }
}

@Suite struct ShippedFileTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("conf").path

    private func findings(_ name: String) throws -> [String] {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/\(name)"))
        return ConfigurationLoading(host: sampleHost(isRoot: true)).load(
            yaml: Array(bytes), file: name
        ).diagnostics.map(\.description)
    }

    @Test func `demo is good as it is`() throws {
        #expect(try findings("demo.yaml") == [])
    }

    /// What stands behind the place in each finding.
    private func messages(_ name: String) throws -> [String] {
        try findings(name).map { String($0.drop { $0 != " " }.dropFirst()) }
    }

    private static let noCertificate: [String] = [
        """
        error: tls.certificates.0.certificate: /etc/proxy/tls/example.pem cannot be read: \
        No such file or directory
        """,
        """
        error: tls.certificates.0.key: /etc/proxy/tls/example.key cannot be read: \
        No such file or directory
        """,
    ]

    @Test func `flask lacks nothing but the app and its certificate`() throws {
        // The machine the test runs on has none of these; everything else is good.
        let noApp: [String] = [
            "error: services.shop.dir: the folder /srv/shop is not there",
            """
            error: services.shop.python: /srv/shop/.venv is not there; \
            make a venv: python3 -m venv /srv/shop/.venv
            """,
        ]
        #expect(try messages("flask.yaml") == Self.noCertificate + noApp)
    }

    @Test func `upstreams lacks nothing but its certificate`() throws {
        #expect(try messages("upstreams.yaml") == Self.noCertificate)
    }
}
