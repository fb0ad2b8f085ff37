public import Configuration
public import HTTP
import Memory

/// What a request's head, path and peer lead to.
@frozen
public enum RouteMatch: Equatable, Sendable {
    /// The first route that takes the request, and how many leading bytes of its path (as sent) are
    /// stripped.
    case route(Int, strippedBytes: Int)
    /// No route takes it: 404.
    case none
    /// The route takes it and not this peer: 403.
    case denied(Int)
    /// The path can be read in ways that lead to different routes, or climbs out of what its route
    /// stands for: 400.
    case ambiguous
}

/// The routes, indexed by host and path prefix, so that a match costs the same among ten and ten
/// thousand; the first that matches wins.
///
/// A path is matched by its plain view (see `PathViews`). All its readings have to lead to the same
/// route, and none may climb above the route's prefix; else it is refused. So no spelling of a path
/// reaches a service by another route than the one made for it. The path that goes on is the one
/// that was sent.
///
/// Prefixes are whole segments: `/api/` and `/api` are the same and match `/api` and `/api/…`,
/// never `/apix`. They tell case apart, hosts do not.
public struct RouteTable: ~Copyable {
    private let place = Immobile()
    /// In order of the configuration; a match names its number.
    public let routes: [Route]
    private let conditions: RouteConditions
    private let hosts: RouteIndex
    private let hasHosts: Bool
    private let prefixes: RouteIndex
    /// Bytes of the longest configured prefix: no boundary behind it is looked up.
    private let prefixMax: Int
    /// For lower-case hosts and views of paths.
    private var hostText: [UInt8]
    private var plain: [UInt8]
    private var resolved: [UInt8]
    /// How far each route is in spreading requests over its services.
    private var turns: [UInt64]

    /// Bytes of a host that is looked up; longer ones match only routes without a host.
    private static let hostMax = 255
    /// The group of routes without a host.
    private static let anyHost: UInt32 = 0

    /// - Parameters:
    ///   - options: the routes in order.
    ///   - services: names of the services; routes name them by their place here.
    ///   - targetBytes: the longest request target there can be (`limits.target`).
    public init(_ options: [RouteOptions], services: [String], targetBytes: Int) {
        self.init(
            rules: options.map { RouteRule($0) }, services: services, targetBytes: targetBytes)
    }

    init(rules: [RouteRule], services: [String], targetBytes: Int) {
        var conditions = RouteConditions()
        routes = rules.map { Route($0, services: services, conditions: &conditions) }
        self.conditions = conditions
        turns = Array(repeating: 0, count: rules.count)
        hostText = Array(repeating: 0, count: Self.hostMax)
        plain = Array(repeating: 0, count: targetBytes + 2)
        resolved = Array(repeating: 0, count: targetBytes + 2)
        var groups: [[UInt8]: UInt32] = [:]
        var lists: [PrefixKey: [UInt32]] = [:]
        for (number, rule) in rules.enumerated() {
            var group = Self.anyHost
            if let host = rule.host {
                let name = Array(host.description.utf8)
                group = groups[name] ?? UInt32(groups.count) + 1
                groups[name] = group
            }
            lists[
                PrefixKey(group: group, name: RouteTable.prefix(rule.path)), default: []
            ].append(UInt32(number))
        }
        hasHosts = !groups.isEmpty
        hosts = RouteIndex(groups.map { (0, $0.key, [$0.value]) })
        prefixes = RouteIndex(lists.map { ($0.key.group, $0.key.name, $0.value) })
        prefixMax = lists.keys.map(\.name.count).max() ?? 0
    }

    private struct PrefixKey: Hashable {
        var group: UInt32
        var name: [UInt8]
    }

    /// A configured path as it is matched: in its plain view, without slashes at the end.
    static func prefix(_ path: String?) -> [UInt8] {
        let sent = Array((path ?? "/").utf8)
        var plain = sent
        var name = Array(plain[..<PathViews.writePlain(sent.span, into: &plain)])
        while name.last == 0x2f { name.removeLast() }
        return name
    }

    // MARK: matching

    /// Finds the route of a request.
    ///
    /// - Parameters:
    ///   - bytes: the span `head` was parsed from.
    ///   - peer: who asks, for `allow` and `deny`.
    public mutating func match(
        _ head: borrowing RequestHead, in bytes: Span<UInt8>, peer: IPAddress
    ) -> RouteMatch {
        let path = bytes.extracting(head.path.indices)
        guard path.count + 2 <= plain.count else { return .none }
        let groups = hostGroups(bytes.extracting(head.hostName.indices))
        let traits = PathViews.traits(of: path)
        guard traits.hasEscapes || traits.isTricky else {
            guard let found = first(path, groups, head, bytes) else { return .none }
            return finish(found, path, peer)
        }
        return matchUnusual(head, in: bytes, groups, isTricky: traits.isTricky, peer)
    }

    /// Matches a path that is not its own view.
    private mutating func matchUnusual(
        _ head: borrowing RequestHead, in bytes: Span<UInt8>, _ groups: HostGroups,
        isTricky: Bool, _ peer: IPAddress
    ) -> RouteMatch {
        let path = bytes.extracting(head.path.indices)
        // Out of `self` meanwhile, so that one can be written while the other is read.
        var (text, scratch): ([UInt8], [UInt8]) = ([], [])
        swap(&text, &plain)
        swap(&scratch, &resolved)
        defer {
            swap(&text, &plain)
            swap(&scratch, &resolved)
        }
        let count = PathViews.writePlain(path, into: &text)
        let view = text.span.extracting(0..<count)
        let found = first(view, groups, head, bytes)
        guard isTricky else { return found.map { finish($0, path, peer) } ?? .none }
        for number in 0..<PathViews.Reading.count {
            let reading = PathViews.Reading(rawValue: number)
            guard let count = PathViews.write(reading, of: view, into: &scratch),
                first(scratch.span.extracting(0..<count), groups, head, bytes) == found
            else { return .ambiguous }
        }
        guard let found else { return .none }
        // What follows the prefix, on its own, must not climb above where it begins.
        let rest = view.extracting(droppingFirst: prefixCount(found))
        for number in 0..<PathViews.Reading.count {
            let reading = PathViews.Reading(rawValue: number)
            guard PathViews.write(reading, of: rest, into: &scratch) != nil else {
                return .ambiguous
            }
        }
        return finish(found, path, peer)
    }

    /// Bytes of the plain view that the route's path or its strip stands for.
    private func prefixCount(_ route: Int) -> Int {
        max(routes[route].prefixCount, Int(routes[route].strip.count))
    }

    private func finish(_ route: Int, _ path: Span<UInt8>, _ peer: IPAddress) -> RouteMatch {
        guard conditions.allows(peer, routes[route]) else { return .denied(route) }
        return .route(
            route, strippedBytes: conditions.strippedBytes(of: path, routes[route]))
    }

    /// The groups of prefixes a host can match: by its name, by a wildcard, and those without a
    /// host.
    private struct HostGroups {
        var exact: UInt32?
        var wildcard: UInt32?
    }

    private mutating func hostGroups(_ host: Span<UInt8>) -> HostGroups {
        var groups = HostGroups()
        guard hasHosts else { return groups }
        var count = host.count
        // A final dot only says that the name is whole (RFC 3986, section 3.2.2).
        if count > 1 && host[count - 1] == 0x2e { count -= 1 }
        guard count > 0 && count < Self.hostMax else { return groups }
        var hash = RouteIndex.seed(0)
        var dot = count
        for index in 0..<count {
            var byte = host[index]
            if byte >= 0x41 && byte <= 0x5a { byte |= 0x20 }
            hostText[index] = byte
            hash = RouteIndex.adding(byte, to: hash)
            if byte == 0x2e && dot == count { dot = index }
        }
        groups.exact = group(hash: hash, from: 0, count: count)
        guard dot > 0 && dot < count else { return groups }
        // `*` in place of the first label: one byte before the dot, which was at least one byte
        // long.
        hostText[dot - 1] = 0x2a
        hash = RouteIndex.seed(0)
        for index in dot - 1..<count { hash = RouteIndex.adding(hostText[index], to: hash) }
        groups.wildcard = group(hash: hash, from: dot - 1, count: count - dot + 1)
        return groups
    }

    private func group(hash: UInt64, from start: Int, count: Int) -> UInt32? {
        let list = hosts.list(hash: hash, text: hostText.span, from: start, count: count)
        return list.isEmpty ? nil : UInt32(hosts[list.lowerBound])
    }

    /// The first route that takes a path, whatever host it was found by.
    private func first(
        _ path: Span<UInt8>, _ groups: HostGroups, _ head: borrowing RequestHead,
        _ bytes: Span<UInt8>
    ) -> Int? {
        var best = Int.max
        search(Self.anyHost, path, head, bytes, &best)
        if let group = groups.exact { search(group, path, head, bytes, &best) }
        if let group = groups.wildcard { search(group, path, head, bytes, &best) }
        return best == Int.max ? nil : best
    }

    /// Looks up the path's prefixes at every end of a segment, and keeps the earliest route that
    /// takes the request.
    private func search(
        _ group: UInt32, _ path: Span<UInt8>, _ head: borrowing RequestHead,
        _ bytes: Span<UInt8>, _ best: inout Int
    ) {
        var hash = RouteIndex.seed(group)
        var index = 0
        let end = min(path.count, prefixMax + 1)
        while true {
            if index == path.count || index < end && path[index] == 0x2f {
                let list = prefixes.list(hash: hash, text: path, from: 0, count: index)
                for place in list where prefixes[place] < best {
                    if conditions.hold(routes[prefixes[place]], head, bytes) {
                        best = prefixes[place]
                        break
                    }
                }
            }
            guard index < end else { return }
            hash = RouteIndex.adding(path[index], to: hash)
            index += 1
        }
    }

    // MARK: spreading

    /// The service that the next request of a route goes to, by the weights of `to`; its place
    /// among the names given to `init`.
    ///
    /// A low-discrepancy sequence (multiples of the golden ratio) keeps every service within one or
    /// two requests of its share.
    ///
    /// - Precondition: the route forwards.
    public mutating func nextService(of route: Int) -> Int {
        let targets = routes[route].targets
        if targets.count == 1 { return conditions.targets[targets.lowerBound].service }
        let total = conditions.targets[targets.upperBound - 1].until
        turns[route] &+= 0x9e37_79b9_7f4a_7c15
        let share = UInt32(turns[route].multipliedFullWidth(by: UInt64(total)).high)
        for target in targets where share < conditions.targets[target].until {
            return conditions.targets[target].service
        }
        preconditionFailure("weights above 0 have a share")
    }
}
