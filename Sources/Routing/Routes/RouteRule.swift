import Configuration

/// What a `RouteTable` is made from: the same as `RouteOptions`, with defaults.
struct RouteRule {
    var host: HostPattern?
    var path: String?
    var methods: [String] = []
    var headers: [RouteOptions.Field] = []
    var action: RouteOptions.Action
    var strip: String?
    var setRequestHeaders: [RouteOptions.Field] = []
    var setResponseHeaders: [RouteOptions.Field] = []
    var removeRequestHeaders: [String] = []
    var removeResponseHeaders: [String] = []
    var allow: [CIDR] = []
    var deny: [CIDR] = []

    init(action: RouteOptions.Action) { self.action = action }

    init(_ options: RouteOptions) {
        host = options.host
        path = options.path
        methods = options.methods
        headers = options.headers
        action = options.action
        strip = options.strip
        setRequestHeaders = options.setRequestHeaders
        setResponseHeaders = options.setResponseHeaders
        removeRequestHeaders = options.removeRequestHeaders
        removeResponseHeaders = options.removeResponseHeaders
        allow = options.allow
        deny = options.deny
    }
}
