internal import Board
internal import Configuration
internal import Linux
internal import Routing
internal import Signals

/// The endpoints of a service whose servers run already: one row for each address of each upstream.
final class UpstreamSet {
    private let site: MasterSite
    private let resolver: Resolver
    private let service: Int
    private let name: String
    let upstreams: [ServiceOptions.Upstream]
    /// Connections to each of them, over all edges.
    let capacity: Int
    private var rows: [Row] = []
    /// Names that have not been answered once.
    private var awaited: Set<String> = []
    private var hasBegun = false
    private var hasEnded = false
    /// Called once, when every name has been answered, good or bad.
    var settled: () -> Void = {}

    private struct Row {
        var position: Int
        var address: EndpointAddress
        var reference: EndpointReference
    }

    init(
        _ upstreams: [ServiceOptions.Upstream], capacity: Int,
        name: String, service: Int, site: MasterSite, resolver: Resolver
    ) {
        self.upstreams = upstreams
        self.capacity = capacity
        self.name = name
        self.service = service
        self.site = site
        self.resolver = resolver
    }

    var hasSettled: Bool { hasBegun && awaited.isEmpty }

    /// Adds what is known and asks for the rest.
    func begin() {
        var names: [(name: String, position: Int, port: UInt16)] = []
        for (position, upstream) in upstreams.enumerated() {
            switch upstream.url.place {
            case .address(let address, let port): add(Self.endpoint(address, port), position)
            case .socket(let path): add(.unix(path: Array(path.utf8)), position)
            case .name(let name, let port): names.append((name, position, port))
            }
        }
        awaited = Set(names.map(\.name))
        hasBegun = true
        if awaited.isEmpty { settled() }
        for (name, position, port) in names {
            resolver.listen(self, to: name) { [unowned self] outcome in
                if case .addresses(let addresses) = outcome { update(addresses, position, port) }
                if awaited.remove(name) != nil, awaited.isEmpty { settled() }
            }
        }
    }

    /// Takes every row away. Requests in flight go on.
    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        resolver.forget(self)
        for row in rows { site.memory.table.retire(row.reference) }
        rows = []
    }

    /// Makes the rows of a name those of its addresses now.
    private func update(_ addresses: [String], _ position: Int, _ port: UInt16) {
        let wanted = addresses.compactMap { IPAddress($0) }.map { Self.endpoint($0, port) }
        let old = rows.filter { $0.position == position }
        for address in wanted where !old.contains(where: { $0.address == address }) {
            add(address, position)
        }
        for row in old where !wanted.contains(row.address) {
            site.memory.table.retire(row.reference)
            rows.removeAll { $0.reference == row.reference }
        }
        if !old.isEmpty, Set(old.map { "\($0.address)" }) != Set(wanted.map { "\($0)" }) {
            site.log.info("name_resolved") { line in
                line.add("service", text: name)
                line.add("addresses", texts: addresses)
            }
        }
    }

    private func add(_ address: EndpointAddress, _ position: Int) {
        let upstream = upstreams[position]
        let plan = EndpointPlan(
            service: service, kind: upstream.url.usesTLS ? [.upstream, .tls] : .upstream,
            capacity: capacity, weight: UInt32(upstream.weight), number: position, address: address)
        do throws(BoardError) {
            let reference = try site.memory.table.addEndpoint(plan)
            rows.append(Row(position: position, address: address, reference: reference))
            site.memory.wake(edges: site.memory.table.setState(.ready, of: reference))
        } catch {
            site.log.error("endpoint_failed") { line in
                line.add("service", text: name)
                line.add("error", text: "limits.endpoints are used up")
            }
        }
    }

    private static func endpoint(_ address: IPAddress, _ port: UInt16) -> EndpointAddress {
        func bytes(_ word: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * (count - 1 - $0))) }
        }
        return address.isIPv4
            ? .ipv4(address: bytes(address.low & 0xffff_ffff, 4), port: port)
            : .ipv6(address: bytes(address.high, 8) + bytes(address.low, 8), port: port, scope: 0)
    }
}
