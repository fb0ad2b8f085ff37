package import Configuration

extension RouteOptions {
    enum RedirectStatus: Int, CaseIterable, Sendable {
        case movedPermanently = 301
        case found = 302
        case seeOther = 303
        case temporary = 307
        case permanent = 308
    }

    static let host = Setting(
        optional: "routes[].host", .hostPattern,
        "the Host it takes; *.example.com is every name right below", example: "example.com")
    static let path = Setting(
        optional: "routes[].path", .routePath,
        "the path it takes; /api/ matches /api and /api/…, never /apix", example: "/api/")
    static let method = Setting(
        each: "routes[].method[]", .methodName, "the methods it takes", example: "GET")
    static let header = Setting(
        each: "routes[].header.*", .fieldValue,
        "header fields that have to have exactly this value", example: "beta")
    package static let to = Setting(
        each: "routes[].to.*", .integer(0...1000),
        "the service that answers, or several with their shares", example: "web")
    static let redirectTo = Setting(
        "routes[].redirect.to", .redirectTemplate,
        "where to send the client; {target}, {path} and {host} are those of the request",
        example: "https://example.com{target}")
    static let redirectStatus = Setting(
        "routes[].redirect.status", SettingType<RedirectStatus>.numberChoice, default: "308",
        "301, 302, 303, 307 or 308", example: "302")
    static let respondStatus = Setting(
        "routes[].respond.status", .integer(200...599), default: "200",
        "the status of a fixed answer", example: "410")
    static let respondBody = Setting(
        "routes[].respond.body", .text(countMax: 65_536, mayBeEmpty: true), default: "",
        "the body of a fixed answer", example: "gone")
    static let respondHeader = Setting(
        each: "routes[].respond.headers.*", .fieldValue,
        "header fields of a fixed answer", example: "text/plain")
    static let strip = Setting(
        optional: "routes[].strip", .routePath, with: ["to"],
        "a prefix taken off the path; the app sees it as SCRIPT_NAME or X-Forwarded-Prefix",
        example: "/search")
    static let setRequest = Setting(
        each: "routes[].set_headers.request.*", .fieldValue,
        "header fields set on the way to the service", example: "yes")
    static let setResponse = Setting(
        each: "routes[].set_headers.response.*", .fieldValue,
        "header fields set on the way to the client", example: "nosniff")
    static let removeRequest = Setting(
        each: "routes[].remove_headers.request[]", .fieldName,
        "header fields taken off on the way to the service", example: "X-Debug")
    static let removeResponse = Setting(
        each: "routes[].remove_headers.response[]", .fieldName,
        "header fields taken off on the way to the client", example: "Server")
    static let allow = Setting(
        each: "routes[].allow[]", .cidr, "only these peers; others get 403",
        example: "10.0.0.0/8")
    static let deny = Setting(
        each: "routes[].deny[]", .cidr, "never these peers; they get 403",
        example: "192.0.2.7")

    package static let keys = Keys(
        [
            host.declaration, path.declaration, method.declaration, header.declaration,
            to.declaration, redirectTo.declaration, redirectStatus.declaration,
            respondStatus.declaration, respondBody.declaration, respondHeader.declaration,
            strip.declaration, setRequest.declaration, setResponse.declaration,
            removeRequest.declaration, removeResponse.declaration, allow.declaration,
            deny.declaration,
        ],
        shapes: [
            Shape(
                "routes[]", "which service gets which requests; the first match wins",
                counts: 0...10_000, oneOf: ["to", "redirect", "respond"]),
            Shape("routes[].method", "the methods it takes", counts: 1...32),
            Shape(
                "routes[].header", "header fields it asks for",
                checkName: FieldRule.checkName),
            Shape(
                "routes[].to", "the service that answers", shorthand: .name(value: "1"),
                counts: 1...64),
            Shape("routes[].redirect", "answer with a redirect", isOptional: true),
            Shape("routes[].respond", "answer with a fixed response", isOptional: true),
            Shape(
                "routes[].respond.headers", "header fields of a fixed answer",
                checkName: FieldRule.checkOwnName),
            Shape("routes[].set_headers", "header fields that are set"),
            Shape(
                "routes[].set_headers.request", "on the way to the service",
                checkName: FieldRule.checkOwnName),
            Shape(
                "routes[].set_headers.response", "on the way to the client",
                checkName: FieldRule.checkOwnName),
            Shape("routes[].remove_headers", "header fields that are taken off"),
        ],
        later: [
            "sticky", "mirror", "rewrite", "auth", "files", "compress", "cache", "rate",
            "query", "timeout", "limits", "cors",
        ].map { "routes[].\($0)" })
}

extension SettingType<String> {
    /// A path prefix as it stands in a request: absolute, visible ASCII, no query.
    static var routePath: Self {
        .checkedText("a path such as /api/") { (text) throws(Complaint) in
            guard text.hasPrefix("/") else {
                throw Complaint(
                    "\(quoted(text)): a path begins with a slash", suggestion: "/\(text)")
            }
            guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                throw Complaint("\(quoted(text)): blanks and letters beyond ASCII go as %20")
            }
            guard !text.contains(where: { "?#".contains($0) }) else {
                throw Complaint("\(quoted(text)): a path has no query or fragment")
            }
            guard !text.contains("*") else {
                throw Complaint("\(quoted(text)): there is no *; /api/ matches all below")
            }
        }
    }

    /// A method as clients send it; they tell case apart (RFC 9110, section 9.1).
    static var methodName: Self {
        .checkedText("a method such as GET") { (text) throws(Complaint) in
            guard FieldRule.isToken(text), text.utf8.count <= 32 else {
                throw Complaint("\(quoted(text)) is no method")
            }
            let upper = text.uppercased()
            guard upper == text else {
                throw Complaint(
                    "\(quoted(text)): methods are written in capitals", suggestion: upper)
            }
        }
    }
}

extension SettingType where Value: CaseIterable & RawRepresentable<Int> {
    /// One number of an enumeration.
    static var numberChoice: Self {
        let numbers = Value.allCases.map { String($0.rawValue) }
        return Self(
            name: numbers.joined(separator: " | "),
            schema: "\"enum\":[\(numbers.joined(separator: ","))]",
            parse: { (text) throws(Complaint) in
                if let number = Int(text), let value = Value(rawValue: number) { return value }
                throw Complaint(
                    "takes \(numbers.joined(separator: ", ")), not \(quoted(text))")
            },
            text: { String($0.rawValue) })
    }
}
