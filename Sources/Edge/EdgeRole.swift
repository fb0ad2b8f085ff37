import Board
import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals
import TLS

/// The edge process: takes over what the master gave it, drops its privileges, and runs the loop
/// until it is told to end.
///
/// - Returns: the exit code.
package func runEdge() -> Int32 {
    do {
        let sheet = try RoleSheet.ofThisProcess()
        var edge = try makeEdge(sheet)
        edge.run()
        return 0
    } catch {
        print("edge: \(error)")
        return 1
    }
}

/// What is wrong with a role sheet: a fault of this program.
struct RoleSheetError: Error, CustomStringConvertible {
    let name: String
    var description: String { "the role sheet has no \(name)" }
}

extension RoleSheet {
    func number(_ name: String) throws -> Int {
        guard let number = integer(name) else { throw RoleSheetError(name: name) }
        return number
    }

    func descriptor(_ name: String) throws -> Int32 {
        guard let descriptor = takeDescriptor(name) else {
            throw RoleSheetError(name: "fd.\(name)")
        }
        return descriptor.release()
    }

    func descriptorIfGiven(_ name: String) -> Int32 {
        guard let descriptor = takeDescriptor(name) else { return -1 }
        return descriptor.release()
    }
}

/// Puts the edge together from what its role sheet names.
private func makeEdge(_ sheet: RoleSheet) throws -> EdgeLoop<KernelNetwork> {
    let lines = try Descriptor(owning: sheet.descriptor("configuration")).readAll()
    guard let configuration = EffectiveConfiguration(lines: String(decoding: lines, as: UTF8.self))
    else { throw RoleSheetError(name: "readable configuration") }
    // Before anything of the network is touched; what root alone may open has been inherited.
    try sheet.settle(as: "proxy: edge \(try sheet.number("edge"))")
    let identity = EdgeIdentity(
        slot: try sheet.number("slot"),
        generation: UInt32(try sheet.number("slot_generation")))
    let table = try Table(
        SharedRegion(mapping: sheet.descriptor("table"), access: .readWrite))
    let board = try MetricsBoard(
        SharedRegion(mapping: sheet.descriptor("board"), access: .readWrite))
    let rings = try SignalRings(
        SharedRegion(mapping: sheet.descriptor("rings"), access: .readWrite))
    let readers = try SleepingReaders(
        SharedRegion(mapping: sheet.descriptor("readers"), access: .readWrite))
    let keys = try Board.TicketKeys(
        SharedRegion(mapping: sheet.descriptor("keys"), access: .readOnly))

    let (sockets, descriptors) = try boundListeners(sheet)
    var slots: [String: Int] = [:]
    for name in sheet.names(after: "service.") { slots[name] = sheet.integer("service.\(name)") }
    let routes = RouteTable(configuration)
    let settings = EdgeSettings(
        configuration, routes: routes.routes, sockets: sockets, slots: slots)
    let capacities = EdgeCapacities(FrontOptions(configuration))
    let wakers = (0..<edgeSlotsMax).map { sheet.descriptorIfGiven("wake.\($0)") }
    let server: TLSContext?
    let upstreams: [TLSUpstream?]
    do {
        var bundle = try certificateBundle(sheet)
        defer { bundle.wipeKeys() }
        server = try serverContext(bundle, TLSOptions(configuration), keys)
        upstreams = try upstreamContexts(ServiceOptions.all(configuration), bundle)
    }
    let network = try KernelNetwork(
        listeners: descriptors, wakers: wakers, server: server,
        upstreams: upstreams,
        streamsMax: capacities.clients + capacities.upstreams,
        descriptorsMax: capacities.descriptors)
    let control = MessageSocket(owning: Descriptor(owning: try sheet.descriptor("control")))
    try network.report(control.number, token: Token(.control, 0))
    try network.report(wakers[identity.slot], token: Token(.wake, 0))

    let logs = LogOptions(configuration)
    let counters = board.block(identity.slot)
    let journal = EdgeJournal(
        signals: SignalWriter(rings, ring: identity.slot), readers: readers,
        hostWakers: sheet.names(after: "fd.reader_wake.").indices.map {
            sheet.descriptorIfGiven("reader_wake.\($0)")
        },
        access: AccessLogBuffer(format: logs.format == .json ? RequestLine.Format.json : .combined),
        accessFile: sheet.descriptorIfGiven("access"),
        errorFile: sheet.descriptorIfGiven("errors"), level: eventLevel(logs.level),
        counters: counters)
    let services = ServiceOptions.all(configuration)
    let seed = try randomWords()
    let balancer = Balancer(
        table: table, edge: identity,
        services: services.map { ServicePlan(service: slots[$0.name] ?? 0, $0) },
        waiters: capacities.clients, seed: seed.0)
    return EdgeLoop(
        network: network, settings: settings, routes: routes, services: services,
        identity: identity, table: table, counters: counters, journal: journal, balancer: balancer,
        capacities: capacities,
        orders: Orders(control, wake: wakers[identity.slot], drain: FrontOptions(configuration)),
        seed: seed)
}

private func eventLevel(_ level: LogOptions.Level) -> EventLevel {
    switch level {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
}

private func boundListeners(_ sheet: RoleSheet) throws -> ([BoundListener], [Int32]) {
    var sockets: [BoundListener] = []
    var descriptors: [Int32] = []
    for index in sheet.names(after: "listener.").indices {
        let parts = (sheet["listener.\(index)"] ?? "").split(separator: " ")
        guard parts.count == 3, let number = Int(parts[0]), let port = UInt16(parts[1]) else {
            throw RoleSheetError(name: "listener.\(index)")
        }
        sockets.append(BoundListener(number: number, port: port, url: String(parts[2])))
        descriptors.append(try sheet.descriptor("listener.\(index)"))
    }
    guard !sockets.isEmpty else { throw RoleSheetError(name: "listener.0") }
    return (sockets, descriptors)
}

private func randomWords() throws(SystemError) -> (UInt64, UInt64) {
    let bytes = try Randomness.bytes(16)
    var words: (UInt64, UInt64) = (0, 0)
    for index in 0..<8 {
        words.0 = words.0 << 8 | UInt64(bytes[index])
        words.1 = words.1 << 8 | UInt64(bytes[index + 8])
    }
    return words
}

/// Every file of certificates that the configuration names, as the master read it.
private func certificateBundle(_ sheet: RoleSheet) throws -> CertificateBundle {
    guard let file = sheet.takeDescriptor("certificates") else {
        return CertificateBundle(certificates: [])
    }
    return try CertificateBundle(decoding: file.readAll())
}

/// The context of the TLS listeners, with the ticket keys that all edges share; nil without any.
private func serverContext(
    _ bundle: CertificateBundle, _ options: TLSOptions, _ keys: Board.TicketKeys
) throws -> TLSContext? {
    guard !bundle.certificates.isEmpty else { return nil }
    let cache = TicketKeyCache(keys)
    return try TLSContext(
        certificates: bundle.certificates,
        settings: TLSServerSettings(options), ticketKeys: { cache.current })
}

/// A context for each upstream that speaks TLS, in the order of services and their upstreams; nil
/// for the others.
private func upstreamContexts(
    _ services: [ServiceOptions], _ bundle: CertificateBundle
) throws -> [TLSUpstream?] {
    try services.flatMap(\.upstreams).map { upstream in
        guard upstream.url.usesTLS else { return nil }
        let trust: TLSTrust
        if !upstream.verifies {
            trust = .anyone
        } else if let file = upstream.ca {
            guard let pem = bundle.authorities[file] else {
                throw RoleSheetError(name: "authorities of \(file)")
            }
            trust = .authorities(pem: pem, label: file)
        } else {
            trust = .system
        }
        return TLSUpstream(
            try TLSClientContext(trust: trust),
            serverName: upstream.serverName ?? hostName(upstream.url))
    }
}

private func hostName(_ url: UpstreamURL) -> String {
    switch url.place {
    case .address(let address, _): address.description
    case .name(let name, _): name
    case .socket: "localhost"
    }
}

/// The ticket keys of the moment, read again only after a rotation.
private final class TicketKeyCache {
    private let shared: Board.TicketKeys
    private var sequence: UInt64 = .max
    private var keys: TLS.TicketKeys?

    init(_ shared: Board.TicketKeys) { self.shared = shared }

    var current: TLS.TicketKeys {
        if let keys, shared.sequence == sequence { return keys }
        var bytes = InlineArray<240, UInt8>(repeating: 0)
        var span = bytes.mutableSpan
        sequence = shared.copyKeys(into: &span)
        let fresh = TLS.TicketKeys(bytes: bytes.span)
        keys = fresh
        return fresh
    }
}
