public import HTTP
import Memory

/// One route as an edge obeys it.
public struct Route: Sendable {
    public enum Action: Sendable, Equatable {
        /// To a service: see `RouteTable.nextService(of:)`.
        case forward
        /// To another place: see `redirectTemplate`.
        case redirect(status: UInt16)
        /// A fixed answer: see `body` and `responseEdits`.
        case respond(status: UInt16)
    }

    public let action: Action
    /// What is set and removed on the way to the service.
    public let requestEdits: FieldEdits
    /// What is set and removed on the way to the client; of a fixed answer, its fields as well.
    public let responseEdits: FieldEdits
    /// `Location` with its `{target}`, `{path}` and `{host}`; empty unless it redirects.
    public let redirectTemplate: [UInt8]
    /// The body of a fixed answer.
    public let body: [UInt8]

    /// Bytes of the path prefix in its plain view.
    let prefixCount: Int
    /// Places in `RouteConditions`.
    let methods: UInt16
    let otherMethods: Range<Int>
    let fields: Range<Int>
    let strip: ByteRange
    let allow: Range<Int>
    let deny: Range<Int>
    let targets: Range<Int>

    init(_ rule: RouteRule, services: [String], conditions: inout RouteConditions) {
        var fixed: [RouteOptions.Field] = []
        var text = (template: "", body: "")
        switch rule.action {
        case .forward: action = .forward
        case .redirect(let template, let status):
            action = .redirect(status: UInt16(status))
            text.template = template.description
        case .respond(let status, let body, let headers):
            action = .respond(status: UInt16(status))
            text.body = body
            fixed = headers
        }
        redirectTemplate = Array(text.template.utf8)
        body = Array(text.body.utf8)
        requestEdits = Route.edits(rule.setRequestHeaders, rule.removeRequestHeaders)
        responseEdits = Route.edits(rule.setResponseHeaders + fixed, rule.removeResponseHeaders)
        prefixCount = RouteTable.prefix(rule.path).count
        (methods, otherMethods) = conditions.add(methods: rule.methods)
        fields = conditions.add(fields: rule.headers)
        strip = conditions.add(strip: rule.strip)
        allow = conditions.add(blocks: rule.allow)
        deny = conditions.add(blocks: rule.deny)
        targets = conditions.add(rule.action, services: services)
    }

    private static func edits(_ set: [RouteOptions.Field], _ remove: [String]) -> FieldEdits {
        var edits = FieldEdits()
        do throws(FieldEditError) {
            for name in remove { try edits.remove(Array(name.utf8).span) }
            for field in set {
                try edits.set(Array(field.name.utf8).span, to: Array(field.value.utf8).span)
            }
        } catch {
            preconditionFailure("the configuration let a field through: \(error)")
        }
        return edits
    }
}
