package import Configuration

extension RouteOptions {
    /// What routes say about services and about each other.
    package static func check(_ configuration: Configuration) -> [Diagnostic] {
        let services = writtenServices(configuration)
        let routes = configuration.names("routes[]")
        var found = routes.flatMap { checkTargets(configuration, $0, services) }
        found += routes.flatMap { checkAnswer(configuration, $0) }
        found += routes.flatMap { checkStrip(configuration, $0) }
        found += checkOrder(configuration, routes)
        found += checkDoubles(configuration, routes)
        return found + checkReach(configuration, routes, services)
    }

    /// The services that are there, those with faults too.
    private static func writtenServices(_ configuration: Configuration) -> [String] {
        configuration.writtenNames(below: ["services"])
    }

    private static func checkTargets(
        _ configuration: Configuration, _ route: String, _ services: [String]
    ) -> [Diagnostic] {
        let targets = configuration.entries(to, route)
        var found: [Diagnostic] = []
        for target in targets where !services.contains(target.name) {
            found.append(
                configuration.finding(
                    "routes", route, "to", target.name,
                    message: services.isEmpty
                        ? "there is no service \(target.name)"
                        : "there is no service \(target.name), only "
                            + services.prefix(10).joined(separator: ", "),
                    suggestion: nearestName(to: target.name, among: services)))
        }
        if !targets.isEmpty, targets.allSatisfy({ $0.value == 0 }) {
            found.append(
                configuration.finding(
                    "routes", route, "to", message: "all weights are 0; nothing would ever be sent")
            )
        }
        return found
    }

    private static func checkAnswer(
        _ configuration: Configuration, _ route: String
    ) -> [Diagnostic] {
        guard let status = configuration.value(respondStatus, route),
            [204, 205, 304].contains(status),
            configuration.value(respondBody, route)?.isEmpty == false
        else { return [] }
        return [
            configuration.finding(
                "routes", route, "respond", "body",
                message: "an answer with status \(status) has no body")
        ]
    }

    private static func checkStrip(
        _ configuration: Configuration, _ route: String
    ) -> [Diagnostic] {
        guard let strip = configuration.value(strip, route) ?? nil,
            let path = configuration.value(path, route) ?? nil
        else { return [] }
        let prefix = strip.hasSuffix("/") ? String(strip.dropLast()) : strip
        if path == prefix || path.hasPrefix(prefix + "/") { return [] }
        return [
            configuration.finding(
                value: "routes", route, "strip",
                message: "\(strip) is not the beginning of path \(path)")
        ]
    }

    private static let conditions = ["host", "path", "method", "header"]

    /// A route with the conditions of one before it leaves that one everything.
    private static func checkDoubles(
        _ configuration: Configuration, _ routes: [String]
    ) -> [Diagnostic] {
        var first: [[String]: String] = [:]
        return routes.compactMap { route in
            guard let taken = conditionTexts(configuration, route) else { return nil }
            guard let other = first[taken] else {
                first[taken] = route
                return nil
            }
            let line = configuration.position(["routes", other])?.line
            return configuration.finding(
                "routes", route, severity: .warning,
                message: "never matches: the route "
                    + (line.map { "in line \($0)" } ?? "before it") + " takes the same requests")
        }
    }

    /// The conditions of a route in one order; nil where there is none, or one was refused.
    private static func conditionTexts(
        _ configuration: Configuration, _ route: String
    ) -> [String]? {
        let written = conditions.filter { configuration.isWritten("routes", route, $0) }
        guard !written.isEmpty, written.allSatisfy({ configuration.has("routes", route, $0) }),
            !configuration.groupsWithUnknownKeys.contains("routes.\(route)")
        else { return nil }
        let methods = configuration.entries(method, route).map { "method \($0.value)" }
        let headers = configuration.entries(header, route).map {
            "header \($0.name.lowercased()) \($0.value)"
        }
        return [
            configuration.values.node(["routes", route, "host"])?.text ?? "",
            configuration.values.node(["routes", route, "path"])?.text ?? "",
        ] + methods.sorted() + headers.sorted()
    }

    /// A route that takes everything leaves nothing for those behind it.
    private static func checkOrder(
        _ configuration: Configuration, _ routes: [String]
    ) -> [Diagnostic] {
        let greedy = routes.firstIndex { route in
            !conditions.contains { configuration.isWritten("routes", route, $0) }
                && !configuration.groupsWithUnknownKeys.contains("routes.\(route)")
        }
        guard let greedy, greedy + 1 < routes.count else { return [] }
        let line = configuration.position(["routes", routes[greedy]])?.line
        return [
            configuration.finding(
                "routes", routes[greedy + 1], severity: .warning,
                message: "never matches: the route "
                    + (line.map { "in line \($0)" } ?? "before it") + " takes every request")
        ]
    }

    private static func checkReach(
        _ configuration: Configuration, _ routes: [String], _ services: [String]
    ) -> [Diagnostic] {
        if routes.isEmpty, services.count <= 1 { return [] }
        // A route that could not be read may be the one that reaches it.
        let isReadable = configuration.writtenNames(below: ["routes"]).allSatisfy { route in
            ["redirect", "respond"].contains { configuration.isWritten("routes", route, $0) }
                || !configuration.entries(to, route).isEmpty
        }
        guard isReadable else { return [] }
        let named = routes.flatMap { configuration.entries(to, $0).map(\.name) }
        let reached = named.map { name in
            services.contains(name) ? name : nearestName(to: name, among: services)
        }
        return services.filter { !reached.contains($0) }.map { name in
            configuration.finding(
                "services", name, severity: .warning,
                message: "no route reaches it; add { to: \(name) } to routes")
        }
    }
}
