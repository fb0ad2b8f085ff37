import Configuration
import Testing

@testable import proxy

/// What a listener that needs nothing else looks like.
private let listen = "listen: \"http://127.0.0.1:0\"\n"

@Suite struct CheckTests {
    @Test(arguments: cases(serviceAndListenerCases))
    func `a fault in services or listeners is named with its cure`(yaml: String, expected: String) {
        #expect(findings(yaml) == [expected])
    }

    @Test(arguments: cases(routeCases))
    func `a fault in routes is named with its cure`(routes: String, expected: String) {
        let yaml = listen + "services: { web: { demo: true } }\nroutes: \(routes)\n"
        #expect(findings(yaml) == [expected])
    }

    @Test(arguments: cases(pluginCases))
    func `a fault in plug-ins is named with its cure`(plugins: String, expected: String) {
        let yaml = listen + "services: { web: { demo: true } }\nplugins: \(plugins)\n"
        #expect(findings(yaml) == [expected])
    }

    @Test func `dashes and Django's name for a signal are taken`() {
        let yaml =
            listen + "services: { web: { demo: true } }\nplugins: [{ name: a, command: [cat], "
            + "events: [request-finished, got_request_exception], filter: \"status >= 500\" }]\n"
        #expect(findings(yaml) == [])
    }

    @Test(arguments: [
        (
            "limits: { services: 1 }", "a: { demo: true }, b: { demo: true }",
            "2 services do not fit into limits.services: 1"
        ),
        (
            "limits: { endpoints: 7 }", "a: { demo: true }, b: { demo: true }",
            "8 workers and upstreams do not fit into limits.endpoints: 7"
        ),
    ])
    func `shared tables have room for everything`(
        limits: String, services: String, expected: String
    ) {
        let yaml =
            listen + "\(limits)\nservices: { \(services) }\nroutes: [{ to: { a: 1, b: 1 } }]\n"
        #expect(load(yaml).diagnostics.map(\.message) == [expected])
    }

    @Test func `a bad name of a service hides nothing of what is in it`() {
        let yaml = listen + "services:\n  a/b: { demo: true, worker: 4 }\n"
        #expect(
            findings(yaml) == [
                "f:3:3: error: services.a/b: \"a/b\" is no service name: letters, digits, - and _, "
                    + "63 at most, a letter or digit first",
                "f:3:22: error: services.a/b.worker: unknown key; did you mean workers?",
            ])
    }

    @Test(arguments: [
        (
            "upstreams: [\"http://10.0.0.5:80\", { url: \"http://10.0.0.5\", weight: 2 }]",
            "f:2:61: warning: services.web.upstreams.1.url: http://10.0.0.5:80 is upstreams.0 "
                + "already; a server that is to get more has a weight"
        ),
        (
            "upstreams: [\"http://localhost:8099\"]",
            "f:2:32: warning: services.web.upstreams.0.url: http://localhost:8099 is this proxy's "
                + "own listener http://127.0.0.1:8099; requests would go in circles"
        ),
        (
            "command: [/bin/sh, -c, \"x {socke}\"]",
            "f:2:43: error: services.web.command.2: {socke} is not filled in; only {socket}, "
                + "{port} and {worker} are; did you mean {socket}?"
        ),
        (
            "command: [/bin/sh, -c, \"awk '{print}' {socket}\"]",
            "f:2:43: warning: services.web.command.2: {print} is not filled in; only {socket}, "
                + "{port} and {worker} are"
        ),
    ])
    func `what is hardly meant in a service is told`(service: String, expected: String) {
        let yaml = "listen: \"http://127.0.0.1:8099\"\nservices: { web: { \(service) } }\n"
        #expect(findings(yaml) == [expected])
    }

    @Test func `a route with the conditions of one before it never matches`() {
        let yaml =
            listen + """
                services: { web: { demo: true } }
                routes:
                  - { host: a.example, method: [GET, POST], to: web }
                  - { host: a.example, to: web }
                  - { method: [POST, GET], host: a.example, to: web, strip: /x }
                  - { path: /x, to: web }
                """
        #expect(
            findings(yaml) == [
                "f:6:5: warning: routes.2: never matches: the route in line 4 takes the same "
                    + "requests"
            ])
    }

    @Test func `all findings of all kinds come in one pass`() {
        let yaml = """
            listen: ["http://*:80", "http://*:80"]
            services:
              web: { demo: true, worker: 4 }
              api: { demo: true, balance: consistent-hash }
            routes:
              - { host: example.com, to: wep }
            """
        #expect(
            findings(yaml) == [
                "f:1:25: error: listen.1.url: http://*:80 is taken by http://*:80 in line 1",
                "f:3:22: error: services.web.worker: unknown key; did you mean workers?",
                "f:4:3: warning: services.api: no route reaches it; add { to: api } to routes",
                "f:4:22: error: services.api.balance: consistent-hash needs hash: "
                    + "client, path, header:NAME or cookie:NAME",
                "f:6:30: error: routes.0.to.wep: there is no service wep, only web, api; "
                    + "did you mean web?",
            ])
    }
}
