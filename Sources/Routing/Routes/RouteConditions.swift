import Configuration
import HTTP
import Memory

/// The conditions of all routes, in flat arrays that routes name ranges of.
struct RouteConditions: Sendable {
    struct Target: Sendable {
        /// The service's place among the names.
        var service: Int
        /// The sum of the weights up to and with this one.
        var until: UInt32
    }

    private struct FieldCondition: Sendable {
        /// Lower case.
        var name: ByteRange
        var value: ByteRange
    }

    private var bytes: [UInt8] = []
    private var methodNames: [ByteRange] = []
    private var fields: [FieldCondition] = []
    private var blocks: [CIDR] = []
    private(set) var targets: [Target] = []

    /// Every method.
    private static let anyMethod = UInt16.max

    // MARK: making

    private mutating func add(_ text: [UInt8]) -> ByteRange {
        let range = ByteRange(start: bytes.count, count: text.count)
        bytes += text
        return range
    }

    /// - Returns: a bit for each known method, and the names of the others.
    mutating func add(methods: [String]) -> (UInt16, Range<Int>) {
        let start = methodNames.count
        guard !methods.isEmpty else { return (Self.anyMethod, start..<start) }
        let known: [String: Method] = [
            "GET": .get, "HEAD": .head, "POST": .post, "PUT": .put, "DELETE": .delete,
            "CONNECT": .connect, "OPTIONS": .options, "TRACE": .trace, "PATCH": .patch,
        ]
        var bits: UInt16 = 0
        for name in methods {
            if let method = known[name] {
                bits |= 1 << UInt16(method.rawValue)
            } else {
                methodNames.append(add(Array(name.utf8)))
            }
        }
        return (bits, start..<methodNames.count)
    }

    mutating func add(fields conditions: [RouteOptions.Field]) -> Range<Int> {
        let start = fields.count
        for field in conditions {
            fields.append(
                FieldCondition(
                    name: add(Array(field.name.lowercased().utf8)),
                    value: add(Array(field.value.utf8))))
        }
        return start..<fields.count
    }

    mutating func add(strip: String?) -> ByteRange {
        strip.map { add(RouteTable.prefix($0)) } ?? .empty
    }

    mutating func add(blocks more: [CIDR]) -> Range<Int> {
        let start = blocks.count
        blocks += more
        return start..<blocks.count
    }

    mutating func add(_ action: RouteOptions.Action, services: [String]) -> Range<Int> {
        let start = targets.count
        guard case .forward(let list) = action else { return start..<start }
        var until: UInt32 = 0
        for target in list where target.weight > 0 {
            guard let service = services.firstIndex(of: target.service) else {
                preconditionFailure("the configuration let an unknown service through")
            }
            until += UInt32(target.weight)
            targets.append(Target(service: service, until: until))
        }
        precondition(targets.count > start)
        return start..<targets.count
    }

    // MARK: asking

    /// Whether a route takes the request, as far as method and fields go.
    @inline(__always)
    func hold(_ route: borrowing Route, _ head: borrowing RequestHead, _ text: Span<UInt8>) -> Bool
    {
        if route.methods != Self.anyMethod || !route.fields.isEmpty {
            return hasMethod(route, head, text) && hasFields(route, head, text)
        }
        return true
    }

    private func hasMethod(
        _ route: borrowing Route, _ head: borrowing RequestHead, _ text: Span<UInt8>
    ) -> Bool {
        if route.methods == Self.anyMethod { return true }
        guard head.method == .other else {
            return route.methods & (1 << UInt16(head.method.rawValue)) != 0
        }
        for place in route.otherMethods
        where isEqual(methodNames[place], text, head.methodName, lowercased: false) {
            return true
        }
        return false
    }

    private func hasFields(
        _ route: borrowing Route, _ head: borrowing RequestHead, _ text: Span<UInt8>
    ) -> Bool {
        for place in route.fields where !hasField(fields[place], head, text) { return false }
        return true
    }

    private func hasField(
        _ condition: FieldCondition, _ head: borrowing RequestHead, _ text: Span<UInt8>
    ) -> Bool {
        for index in 0..<head.fields.count {
            let field = head.fields[index]
            if isEqual(condition.name, text, field.name, lowercased: true)
                && isEqual(condition.value, text, field.value, lowercased: false)
            {
                return true
            }
        }
        return false
    }

    private func isEqual(
        _ own: ByteRange, _ text: Span<UInt8>, _ range: ByteRange, lowercased: Bool
    ) -> Bool {
        guard own.count == range.count else { return false }
        for offset in 0..<Int(own.count) {
            var byte = text[Int(range.start) + offset]
            if lowercased && byte >= 0x41 && byte <= 0x5a { byte |= 0x20 }
            if bytes[Int(own.start) + offset] != byte { return false }
        }
        return true
    }

    /// `deny` never, else `allow` only, if it is there.
    @inline(__always)
    func allows(_ peer: IPAddress, _ route: borrowing Route) -> Bool {
        if route.allow.isEmpty && route.deny.isEmpty { return true }
        for place in route.deny where blocks[place].contains(peer) { return false }
        if route.allow.isEmpty { return true }
        for place in route.allow where blocks[place].contains(peer) { return true }
        return false
    }

    /// Leading bytes of the path as sent that mean the route's `strip`; 0 if it does not begin with
    /// that.
    @inline(__always)
    func strippedBytes(of path: Span<UInt8>, _ route: borrowing Route) -> Int {
        route.strip.isEmpty ? 0 : strippedBytes(of: path, route.strip)
    }

    private func strippedBytes(of path: Span<UInt8>, _ strip: ByteRange) -> Int {
        var index = 0
        for place in strip.indices {
            guard index < path.count else { return 0 }
            var byte = path[index]
            var width = 1
            if byte == 0x25, let decoded = PathViews.decodedByte(path, at: index) {
                // As in the plain view, an escaped slash is none.
                guard decoded != 0x2f, decoded != 0x5c, decoded != 0x00 else { return 0 }
                byte = decoded
                width = 3
            }
            guard byte == bytes[place] else { return 0 }
            index += width
        }
        return index == path.count || path[index] == 0x2f ? index : 0
    }
}
