import Configuration
import HTTP
import Memory
import Testing

@testable import Routing

/// A request as a test writes it.
struct Ask {
    var method = "GET"
    var path = "/"
    var host = "example.com"
    var fields: [String] = []
    var peer = IPAddress(ipv4: 0x7f00_0001)
}

/// Rules on services `0`, `1`, …, each forwarding to its own number.
func forwarding(_ rules: [(inout RouteRule) -> Void]) -> [RouteRule] {
    rules.enumerated().map { number, change in
        var rule = RouteRule(action: .forward([.init(service: "\(number)", weight: 1)]))
        change(&rule)
        return rule
    }
}

func table(_ rules: [RouteRule], services: Int? = nil) -> RouteTable {
    RouteTable(
        rules: rules, services: (0..<(services ?? rules.count)).map { "\($0)" },
        targetBytes: 8192)
}

func match(_ table: inout RouteTable, _ ask: Ask) -> RouteMatch {
    let lines = ["\(ask.method) \(ask.path) HTTP/1.1", "Host: \(ask.host)"] + ask.fields
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
    var head = RequestHead(fieldCapacity: 20)
    var parser = RequestHeadParser()
    let result = parser.parse(bytes.span, limits: HeadLimits(), into: &head)
    guard case .complete = result else {
        Issue.record("the parser refused \(ask.path): \(result)")
        return .none
    }
    return table.match(head, in: bytes.span, peer: ask.peer)
}

func match(_ rules: [RouteRule], _ ask: Ask) -> RouteMatch {
    var table = table(rules)
    return match(&table, ask)
}

@Suite struct RouteTableTests {
    @Test(arguments: [
        ("/api/", "/api", true), ("/api/", "/api/", true), ("/api/", "/api/x/y", true),
        ("/api/", "/api?q", true), ("/api/", "/apix", false), ("/api/", "/ap", false),
        ("/api/", "/x/api/", false), ("/api", "/api/x", true), ("/api", "/API", false),
        ("/", "/", true), ("/", "/anything", true), ("/a/b/c", "/a/b", false),
        ("/a/b/c", "/a/b/c/d", true), ("/caf%C3%A9/", "/caf%c3%a9/x", true),
        ("/a%20b/", "/a%20b", true), ("/api/", "/%61pi/x", true), ("/~me/", "/%7Eme/", true),
    ])
    func `a prefix matches whole segments`(prefix: String, path: String, matches: Bool) {
        let rules = forwarding([{ $0.path = prefix }])
        let expected: RouteMatch = matches ? .route(0, strippedBytes: 0) : .none
        #expect(match(rules, Ask(path: path)) == expected)
    }

    @Test(arguments: [
        ("example.com", 0), ("EXAMPLE.com", 0), ("example.com:8443", 0), ("example.com.", 0),
        ("a.example.com", 1), ("A.Example.Com", 1), ("b.a.example.com", 2), ("other", 2),
        ("xexample.com", 2), ("[::1]:80", 3), ("10.0.0.1", 2),
    ])
    func `hosts are exact, wildcards one label, else any`(host: String, route: Int) throws {
        let rules = forwarding([
            { $0.host = try? HostPattern("example.com") },
            { $0.host = try? HostPattern("*.example.com") },
            { _ in }, { $0.host = try? HostPattern("[::1]") },
        ])
        let order = route == 3 ? [rules[3], rules[0], rules[1], rules[2]] : rules
        let found = match(order, Ask(host: host))
        #expect(found == .route(route == 3 ? 0 : route, strippedBytes: 0))
    }

    @Test func `the first that matches wins, however it is found`() throws {
        let host = try HostPattern("example.com")
        for first in 0..<3 {
            var rules = forwarding([
                { $0.path = "/a/b/" }, { $0.host = host }, { $0.path = "/a/" },
            ])
            rules.swapAt(0, first)
            #expect(match(rules, Ask(path: "/a/b/c")) == .route(0, strippedBytes: 0))
        }
    }

    @Test(arguments: [
        ("GET", 0), ("HEAD", 0), ("PURGE", 1), ("PURG", 2), ("POST", 2),
    ])
    func `methods select`(method: String, route: Int) {
        let rules = forwarding([
            { $0.methods = ["GET", "HEAD"] }, { $0.methods = ["PURGE", "PUT"] }, { _ in },
        ])
        #expect(match(rules, Ask(method: method)) == .route(route, strippedBytes: 0))
    }

    @Test(arguments: [
        (["X-Beta: yes"], 0), (["x-BETA:yes"], 0), (["X-Beta: no", "X-Beta: yes"], 0),
        (["X-Beta: Yes"], 1), (["X-Betas: yes"], 1), ([], 1),
    ])
    func `header fields select`(fields: [String], route: Int) {
        let rules = forwarding([
            { $0.headers = [.init(name: "X-Beta", value: "yes")] }, { _ in },
        ])
        #expect(match(rules, Ask(fields: fields)) == .route(route, strippedBytes: 0))
    }

    @Test(arguments: [
        ("10.0.0.5", ["10.0.0.0/8"], [String](), true),
        ("11.0.0.5", ["10.0.0.0/8"], [], false),
        ("10.0.0.5", ["10.0.0.0/8"], ["10.0.0.5"], false),
        ("10.0.0.6", ["10.0.0.0/8"], ["10.0.0.5"], true),
        ("10.0.0.6", [], ["10.0.0.5"], true), ("10.0.0.5", [], ["10.0.0.5"], false),
        ("fd00::1", ["fd00::/8"], [], true), ("::ffff:10.0.0.5", ["10.0.0.0/8"], [], true),
        ("fe80::1", ["10.0.0.0/8", "fd00::/8"], [], false),
    ])
    func `deny is never, allow is only`(
        peer: String, allow: [String], deny: [String], passes: Bool
    ) throws {
        var rules = forwarding([{ $0.path = "/a/" }, { _ in }])
        rules[0].allow = try allow.map { try CIDR($0) }
        rules[0].deny = try deny.map { try CIDR($0) }
        let found = match(rules, Ask(path: "/a/x", peer: try #require(IPAddress(peer))))
        #expect(found == (passes ? .route(0, strippedBytes: 0) : .denied(0)))
    }

    @Test(arguments: [
        ("/search/x", 7), ("/search", 7), ("/search/", 7), ("/searchx", 0), ("/other", 0),
        ("/%73earch/x", 9), ("/search%2Fx", 0),
    ])
    func `strip takes off what means the prefix`(path: String, count: Int) {
        let rules = forwarding([{ $0.strip = "/search/" }])
        #expect(match(rules, Ask(path: path)) == .route(0, strippedBytes: count))
    }

    /// Routes: 0 `/admin/`, 1 `/api/admin/`, 2 `/api/`, 3 all.
    @Test(arguments: [
        ("//admin/", RouteMatch.ambiguous), ("/admin//x", .route(0, strippedBytes: 0)),
        ("/./admin/", .ambiguous), ("/x/../admin", .ambiguous), ("/x/%2e%2e/admin", .ambiguous),
        ("/x/..%2fadmin", .ambiguous), ("/x%2f..%2fadmin", .ambiguous),
        ("/%2fadmin", .ambiguous), ("/%5cadmin", .ambiguous),
        ("/admin/..;/x", .ambiguous), ("/x/..;a=b/admin/", .ambiguous),
        ("/api/x/../admin/", .ambiguous), ("/api/../admin/", .ambiguous),
        ("/api/../api/x", .ambiguous), ("/api/x/../y", .route(2, strippedBytes: 0)),
        ("/api/%2e/y", .route(2, strippedBytes: 0)), ("/api/..", .ambiguous),
        ("/api/x%2f../../../y", .ambiguous), ("/api/a%2fb", .route(2, strippedBytes: 0)),
        ("/api/x//../../y", .ambiguous), ("/..", .ambiguous), ("/../x", .ambiguous),
        ("/%2e%2e/x", .ambiguous), ("/a/../../x", .ambiguous),
        ("/a/..", .route(3, strippedBytes: 0)),
        ("/.well-known/x", .route(3, strippedBytes: 0)), ("/a/...", .route(3, strippedBytes: 0)),
        ("/a/..b", .route(3, strippedBytes: 0)), ("/api;v=1/x", .route(3, strippedBytes: 0)),
        ("/%61dmin/x", .route(0, strippedBytes: 0)), ("/admin%2fx", .ambiguous),
        ("/%2561dmin/", .route(3, strippedBytes: 0)), ("/api/%zz", .route(2, strippedBytes: 0)),
        ("/x%00/../admin", .ambiguous),
    ])
    func `no spelling of a path goes round its route`(path: String, expected: RouteMatch) {
        let rules = forwarding([
            { $0.path = "/admin/" }, { $0.path = "/api/admin/" }, { $0.path = "/api/" },
            { _ in },
        ])
        #expect(match(rules, Ask(path: path)) == expected)
    }

    /// Every path of a small alphabet: if it goes to a route, so does each reading of it by a
    /// service.
    @Test func `each reading of a path that is passed leads to the same route`() {
        let pieces = ["/", "a", "b", "..", ".", "%2f", "%2e", ";", "%61"]
        let rules = forwarding([{ $0.path = "/a/" }, { $0.path = "/b/a/" }, { _ in }])
        var table = table(rules)
        var passed = 0
        var refused = 0
        func visit(_ path: String, _ depth: Int) {
            if path.hasPrefix("/") {
                let found = match(&table, Ask(path: path))
                if case .route(let route, _) = found {
                    passed += 1
                    for reading in readings(path) {
                        let other =
                            reading.hasPrefix("/a/") || reading == "/a"
                            ? 0
                            : reading.hasPrefix("/b/a/") || reading == "/b/a" ? 1 : 2
                        if other != route {
                            Issue.record("\(path) goes to \(route), but \(reading) is \(other)")
                        }
                    }
                } else {
                    refused += 1
                }
            }
            if depth > 0 { for piece in pieces { visit(path + piece, depth - 1) } }
        }
        for piece in pieces { visit("/" + piece, 3) }
        #expect(passed > 1000 && refused > 300)
    }

    /// How servers might read a path: decoded or not, with empty segments or without, resolved.
    private func readings(_ path: String) -> [String] {
        var readings: [String] = []
        for decodesSlash in [false, true] {
            for merges in [false, true] {
                var text = path.replacing("%2e", with: ".").replacing("%61", with: "a")
                if decodesSlash { text = text.replacing("%2f", with: "/") }
                var segments: [Substring] = []
                let all = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
                for (place, segment) in all.enumerated() {
                    let isLast = place == all.count - 1
                    switch segment {
                    case "": if !merges || isLast { segments.append("") }
                    case ".": if isLast { segments.append("") }
                    case "..":
                        if !segments.isEmpty { segments.removeLast() }
                        if isLast { segments.append("") }
                    default: segments.append(segment)
                    }
                }
                readings.append("/" + segments.joined(separator: "/"))
            }
        }
        return readings
    }

    @Test(arguments: [[1, 1], [3, 1], [1, 2, 5], [1000, 1], [7, 7, 0]])
    func `weights share requests, each within two of its part`(weights: [Int]) {
        var table = RouteTable(
            rules: [
                RouteRule(
                    action: .forward(
                        weights.enumerated().map { .init(service: "\($0)", weight: $1) }))
            ], services: weights.indices.map { "\($0)" }, targetBytes: 100)
        var counts = Array(repeating: 0, count: weights.count)
        let sum = weights.reduce(0, +)
        for turn in 1...2000 {
            counts[table.nextService(of: 0)] += 1
            for (place, weight) in weights.enumerated() {
                let part = Double(turn * weight) / Double(sum)
                #expect(abs(Double(counts[place]) - part) < 2.5)
            }
        }
    }

    @Test func `answers and edits are at hand`() throws {
        var redirect = RouteRule(
            action: .redirect(try RedirectTemplate("https://a.example{target}"), status: 308))
        redirect.path = "/old/"
        let respond = RouteRule(
            action: .respond(
                status: 410, body: "gone", headers: [.init(name: "X-A", value: "b")]))
        let table = table([redirect, respond], services: 0)
        #expect(table.routes[0].action == .redirect(status: 308))
        #expect(table.routes[0].redirectTemplate == Array("https://a.example{target}".utf8))
        #expect(table.routes[1].action == .respond(status: 410))
        #expect(table.routes[1].body == Array("gone".utf8))
        #expect(!table.routes[1].responseEdits.isEmpty && table.routes[0].responseEdits.isEmpty)
    }

    @Test func `thousands of routes are told apart`() throws {
        var rules: [RouteRule] = []
        for number in 0..<10_000 {
            var rule = RouteRule(action: .forward([.init(service: "0", weight: 1)]))
            rule.host = number % 2 == 0 ? try HostPattern("h\(number / 4).example.com") : nil
            rule.path = "/p\(number)/"
            rules.append(rule)
        }
        var table = table(rules, services: 1)
        for number in stride(from: 0, to: 10_000, by: 97) {
            let ask = Ask(path: "/p\(number)/x", host: "h\(number / 4).example.com")
            #expect(match(&table, ask) == .route(number, strippedBytes: 0))
            #expect(match(&table, Ask(path: "/p\(number)x")) == .none)
        }
    }

    @Test(arguments: FieldName.allCases.filter { $0 != .other })
    func `what the check of a name lets through a route can set and remove`(name: FieldName) {
        let text = "\(name.spelling)"
        var edits = FieldEdits()
        let isTaken: Bool
        do throws(FieldEditError) {
            try edits.remove(Array(text.utf8).span)
            isTaken = true
        } catch {
            isTaken = false
        }
        #expect(isTaken == ((try? FieldRule.checkOwnName(text.uppercased())) != nil))
    }
}
