public import Configuration

/// One route: which requests it takes, and what becomes of them. The first that matches wins.
public struct RouteOptions: Sendable, Equatable {
    /// A header field's name and value.
    public struct Field: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    public struct Target: Sendable, Equatable {
        public var service: String
        /// 0 takes no requests.
        public var weight: Int
    }

    public enum Action: Sendable, Equatable {
        /// One service, or several by weight.
        case forward([Target])
        case redirect(RedirectTemplate, status: Int)
        case respond(status: Int, body: String, headers: [Field])
    }

    public var host: HostPattern?
    /// `/api/` matches `/api` and `/api/…`; nil matches all.
    public var path: String?
    /// Upper-case method names; empty matches all.
    public var methods: [String]
    /// Fields that have to be there with exactly this value.
    public var headers: [Field]
    public var action: Action
    /// The prefix taken off the path before the service sees it.
    public var strip: String?
    public var setRequestHeaders: [Field]
    public var setResponseHeaders: [Field]
    public var removeRequestHeaders: [String]
    public var removeResponseHeaders: [String]
    /// Not empty: only these peers.
    public var allow: [CIDR]
    /// Never these peers.
    public var deny: [CIDR]
}

extension RouteOptions {
    /// Reads every route; without any, the one service gets everything.
    package static func all(_ configuration: EffectiveConfiguration) -> [RouteOptions] {
        let routes = configuration.names("routes[]").map { RouteOptions(configuration, route: $0) }
        let services = configuration.names("services.*")
        guard routes.isEmpty, services.count == 1 else { return routes }
        return [RouteOptions(everythingTo: services[0])]
    }

    private init(everythingTo service: String) {
        methods = []
        headers = []
        action = .forward([Target(service: service, weight: 1)])
        setRequestHeaders = []
        setResponseHeaders = []
        removeRequestHeaders = []
        removeResponseHeaders = []
        allow = []
        deny = []
    }

    private init(_ configuration: EffectiveConfiguration, route number: String) {
        func fields(_ setting: Setting<String>) -> [Field] {
            configuration.entries(setting, number).map { Field(name: $0.name, value: $0.value) }
        }
        host = configuration.value(Self.host, number)
        path = configuration.value(Self.path, number)
        methods = configuration.entries(Self.method, number).map(\.value)
        headers = fields(Self.header)
        strip = configuration.value(Self.strip, number)
        setRequestHeaders = fields(Self.setRequest)
        setResponseHeaders = fields(Self.setResponse)
        removeRequestHeaders = configuration.entries(Self.removeRequest, number).map(\.value)
        removeResponseHeaders = configuration.entries(Self.removeResponse, number).map(\.value)
        allow = configuration.entries(Self.allow, number).map(\.value)
        deny = configuration.entries(Self.deny, number).map(\.value)
        if configuration.has("routes", number, "redirect") {
            action = .redirect(
                configuration.value(Self.redirectTo, number),
                status: configuration.value(Self.redirectStatus, number).rawValue)
        } else if configuration.has("routes", number, "respond") {
            action = .respond(
                status: configuration.value(Self.respondStatus, number),
                body: configuration.value(Self.respondBody, number),
                headers: fields(Self.respondHeader))
        } else {
            action = .forward(
                configuration.entries(Self.to, number).map {
                    Target(service: $0.name, weight: $0.value)
                })
        }
    }
}
