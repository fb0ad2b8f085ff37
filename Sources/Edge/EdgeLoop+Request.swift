import Board
import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals

/// A request begins: its head is read, it is routed, written down, and sent on its way.
extension EdgeLoop where World: ~Copyable {
    /// Begins to serve the request whose head lies in the client's block and in `requestHead`.
    ///
    /// - Parameter headLength: bytes of the head, to be dropped from the block.
    mutating func beginRequest(_ client: Int, headLength: Int) {
        if clients[client].has(.isPlainOnTLS) { return refusePlain(client) }
        let block = clients[client].inbound
        clients[client].requests += 1
        clients[client].phase = .busy
        timers.set(client, to: TimerWheel.never)
        guard !exchanges.isFull else { return turnAway(client) }
        let exchange = exchanges.insert(
            makeExchange(client, in: pool.bytes(of: block), length: headLength))
        clients[client].exchange = Int32(exchange)
        let decision = route(exchange, client, in: pool.bytes(of: block))
        guard writeText(exchange, client, decision, in: pool.bytes(of: block), length: headLength)
        else { return }
        pool.consume(headLength, of: block)
        if pool.count(of: block) == 0 {
            pool.give(block)
            clients[client].inbound = .none
        }
        // Its end came before this request was read: no event will tell of it.
        if clients[client].has(.peerClosed) { probe(client) }
        guard start(exchange) else { return }
        carryOut(decision, exchange)
    }

    private mutating func makeExchange(
        _ client: Int, in bytes: Span<UInt8>, length: Int
    ) -> Exchange {
        var flags: Exchange.Flags = []
        switch requestHead.method {
        case .head: flags.insert(.isHead)
        case .post, .put, .patch: flags.insert(.saysLength)
        default: break
        }
        if requestHead.version == .http10 { flags.insert(.isHTTP10) }
        // A draining connection ends with the last request that has been received.
        let isLast = isDraining && bytes.count == length && !clients[client].has(.readable)
        if requestHead.keepsAlive, !isLast { flags.insert(.keepsClient) }
        if requestHead.expectsContinue { flags.insert(.expectsContinue) }
        if requestHead.upgrade == .webSocket { flags.insert(.wantsUpgrade) }
        if requestHead.endsTrailers { flags.insert(.endsTrailers) }
        if requestHead.method.isSafe { flags.insert(.isSafe) }
        if requestHead.framing == .none || requestHead.framing == .length(0) {
            flags.formUnion([.requestReceived])
        } else {
            flags.insert(.hasBody)
        }
        let peer = findClient(client, in: bytes)
        var id = RequestID.none
        if isTrustedPeer, let field = requestHead.fields.first(.xRequestID) {
            id = RequestID(bytes.extracting(field.value.indices)) ?? .none
        }
        if id == .none { id = requestIDs.next(wall: wall) }
        let facts = RequestFacts(
            id: id, wall: wall, remote: peer, remotePort: clients[client].address.port,
            scheme: clients[client].has(.isSecure) ? .https : .http,
            version: requestHead.version == .http11 ? .http11 : .http10,
            tls: clients[client].tls, connection: clients[client].number,
            connectionRequests: clients[client].requests)
        return Exchange(
            state: ExchangeState(isIdempotent: requestHead.method.isIdempotent),
            client: Int32(client), flags: flags, facts: facts, text: .none,
            framing: requestHead.framing, decoder: BodyDecoder(requestHead.framing), startedAt: now)
    }

    /// Finds out who the client is: the peer, or whom a trusted peer names.
    private mutating func findClient(_ client: Int, in bytes: Span<UInt8>) -> PeerAddress {
        let address = clients[client].address
        clientAddress = IPAddress(high: address.high, low: address.low)
        isTrustedPeer = settings.trusts(clientAddress)
        isSecureClient = clients[client].has(.isSecure)
        guard isTrustedPeer else { return clients[client].peer }
        // Each fact from X-Forwarded-…, else from Forwarded; a Forwarded that says otherwise does
        // not go on.
        let hasList = requestHead.fields.first(.xForwardedFor) != nil
        let forwarded = settings.client(forwardedIn: requestHead, from: bytes)
        let named = hasList ? settings.client(namedIn: requestHead, from: bytes) : forwarded
        keepsForwarded = named.address == forwarded.address && !forwarded.isBroken
        if let address = named.address { clientAddress = address }
        if let field = requestHead.fields.first(.xForwardedProto) {
            isSecureClient = bytes.extracting(field.value.indices).isSecureScheme
        } else if let isSecure = named.isSecure {
            isSecureClient = isSecure
        }
        return PeerAddress(ipv6High: clientAddress.high, low: clientAddress.low)
    }

    /// Writes down what is needed of the head after its block is gone: the texts of the log line,
    /// and the parts of the head as it goes to the endpoint.
    ///
    /// - Returns: false when it does not fit; the request has been answered then.
    private mutating func writeText(
        _ exchange: Int, _ client: Int, _ decision: RouteDecision, in bytes: Span<UInt8>,
        length: Int
    ) -> Bool {
        var size =
            length + EdgeLimits.addedBytesMax <= BlockSize.small.bytes / 2
            ? BlockSize.small : .large
        while true {
            let block = pool.take(size)
            guard !block.isNone else {
                discard(exchange)
                turnAway(client)
                return false
            }
            var writer = pool.writer(into: block)
            writeFacts(exchange, client, in: bytes, to: &writer)
            switch decision {
            case .forward(let strippedBytes):
                writeForwarded(exchange, client, strippedBytes, in: bytes, to: &writer)
            case .redirect(let route):
                writeRedirect(exchange, client, route, in: bytes, to: &writer)
            case .redirectToHTTPS: writeRedirect(exchange, client, nil, in: bytes, to: &writer)
            case .respond(let route): writeFixedAnswer(exchange, route, to: &writer)
            case .denied, .none, .badPath: break
            }
            if !writer.isOverfull {
                pool.commit(writer.count, to: block)
                exchanges[exchange].text = block
                return true
            }
            pool.give(block)
            guard size == .small else { break }
            size = .large
        }
        discard(exchange)
        refuse(client, .headTooLong)
        return false
    }

    private mutating func writeFacts(
        _ exchange: Int, _ client: Int, in bytes: Span<UInt8>, to writer: inout ByteWriter
    ) {
        // The log cuts the long ones, behind a whole character; the head goes into the same block.
        func copy(_ text: Span<UInt8>, cutAt limit: Int = .max) -> ByteRange {
            let start = writer.count
            let isLong = text.count > limit
            writer.write(isLong ? text.extracting(first: min(text.count, limit + 4)) : text)
            return ByteRange(start: start, count: writer.count - start)
        }
        var facts = exchanges[exchange].facts
        facts.method = copy(bytes.extracting(requestHead.methodName))
        facts.target = copy(
            bytes.extracting(requestHead.target), cutAt: RequestLine.targetBytesMax)
        facts.host = copy(bytes.extracting(requestHead.host))
        if let field = requestHead.fields.first(.referer) {
            facts.referer = copy(
                bytes.extracting(field.value), cutAt: RequestLine.refererBytesMax)
        }
        if let field = requestHead.fields.first(.userAgent) {
            facts.userAgent = copy(
                bytes.extracting(field.value), cutAt: RequestLine.userAgentBytesMax)
        }
        facts.idText = copy(idText.fill { facts.id.write(to: &$0) })
        facts.remoteText = copy(addressText.fill { facts.remote.write(to: &$0) })
        exchanges[exchange].facts = facts
        guard clients[client].has(.isSecure) else { return }
        let name = writer.count
        network.writeServerName(clients[client].stream, to: &writer)
        exchanges[exchange].serverName = ByteRange(start: name, count: writer.count - name)
    }

    /// Writes the parts of the head as it goes to the endpoint, but for what is known only when it
    /// is sent: the place, and the body's framing.
    private mutating func writeForwarded(
        _ exchange: Int, _ client: Int, _ strippedBytes: Int, in bytes: Span<UInt8>,
        to writer: inout ByteWriter
    ) {
        let service = settings.services[Int(exchanges[exchange].service)]
        let origin = origin(exchange, client)
        var forwarding = RequestForwarding()
        forwarding.strippedBytes = strippedBytes
        forwarding.toOwnWorker = service.isOurs
        forwarding.dropsUnderscores = service.dropsUnderscores
        forwarding.keepsTrailer =
            requestHead.framing == .chunked && !service.buffers && !requestHead.endsTrailers
        var start = writer.count
        writer.write(requestLine: requestHead, from: bytes, as: forwarding)
        exchanges[exchange].line = ByteRange(start: start, count: writer.count - start)
        if service.isOurs {
            start = writer.count
            writer.write(peerOf: requestHead, from: bytes, origin: origin, as: forwarding)
            exchanges[exchange].peer = ByteRange(start: start, count: writer.count - start)
        }
        start = writer.count
        writer.write(
            requestFields: requestHead, from: bytes, origin: origin, as: forwarding,
            edits: settings.requestEdits[Int(exchanges[exchange].route)])
        exchanges[exchange].head = ByteRange(start: start, count: writer.count - start)
    }

    /// Who sent the request, through which door; `writeFacts` has put its id into `idText` and its
    /// client's address into `addressText`.
    @_lifetime(immortal)
    private func origin(_ exchange: Int, _ client: Int) -> RequestOrigin {
        if requestHead.host.isEmpty { writeOwnAuthority(client) }
        // Programs and servers are told of the peer, and what the peer said; a worker of ours of
        // the client alone.
        let service = Int(exchanges[exchange].service)
        let toWorker = service >= 0 && settings.services[service].isOurs
        var named = ("" as StaticString).bytes
        if !toWorker, clients[client].peer != exchanges[exchange].facts.remote {
            addressText.fill { clients[client].peer.write(to: &$0) }
            named = clientText.fill { exchanges[exchange].facts.remote.write(to: &$0) }
        }
        let listener = Int(clients[client].listener)
        return RequestOrigin(
            address: addressText.bytes, named: named,
            port: exchanges[exchange].facts.remotePort, isSecure: isSecureClient,
            serverPort: settings.listeners[listener].port,
            authority: authorityText.bytes,
            requestID: idText.bytes, isTrusted: isTrustedPeer,
            keepsForwarded: keepsForwarded)
    }

    /// Writes into `authorityText` what stands in for `Host` where an HTTP/1.0 client sent none:
    /// the address it came to, and the listener's port unless it is the scheme's own. A listener
    /// may be bound to every address, so that the kernel is asked.
    func writeOwnAuthority(_ client: Int) {
        let listener = settings.listeners[Int(clients[client].listener)]
        let local = network.localAddress(clients[client].stream)
        let address = PeerAddress(ipv6High: local.high, low: local.low)
        authorityText.fill {
            if !local.isIPv4 { $0.write("[") }
            address.write(to: &$0)
            if !local.isIPv4 { $0.write("]") }
            guard listener.port != (listener.isSecure ? 443 : 80) else { return }
            $0.write(":")
            $0.write(decimal: UInt64(listener.port))
        }
    }

    /// Writes a redirect, whole, as what is sent for this request.
    ///
    /// - Parameter route: whose template it is; nil for the listener's own, to https.
    private mutating func writeRedirect(
        _ exchange: Int, _ client: Int, _ route: Int?, in bytes: Span<UInt8>,
        to writer: inout ByteWriter
    ) {
        let start = writer.count
        let status = route.map { settings.statuses[$0] } ?? 308
        exchanges[exchange].result.status = status
        writer.write(
            redirect: localResponse(exchange, status: status),
            to: route == nil ? settings.httpsLocation[0] : settings.locations[route!],
            of: requestHead, from: bytes, origin: origin(exchange, client), date: date.bytes)
        exchanges[exchange].head = ByteRange(start: start, count: writer.count - start)
    }

    /// Writes a route's fixed answer, whole.
    private mutating func writeFixedAnswer(
        _ exchange: Int, _ route: Int, to writer: inout ByteWriter
    ) {
        let start = writer.count
        let body = settings.bodies[route]
        exchanges[exchange].result.status = settings.statuses[route]
        writer.write(
            fixed: localResponse(exchange, status: settings.statuses[route]),
            bodyBytes: body.count, edits: settings.responseEdits[route],
            marks: ResponseMarks(requestID: idText.bytes, date: date.bytes))
        let hasBody =
            !exchanges[exchange].has(.isHead) && settings.statuses[route] != 204
            && settings.statuses[route] != 304
        if hasBody {
            writer.write(body)
            exchanges[exchange].result.responseBytes = UInt64(body.count)
        }
        exchanges[exchange].head = ByteRange(start: start, count: writer.count - start)
    }

    /// The head's own part of an answer the proxy makes; a connection with an unread body ends with
    /// it.
    private mutating func localResponse(_ exchange: Int, status: UInt16) -> LocalResponse {
        if !exchanges[exchange].has(.requestReceived) { exchanges[exchange].clear(.keepsClient) }
        return LocalResponse(
            status: status, keepsAlive: exchanges[exchange].has(.keepsClient),
            clientVersion: exchanges[exchange].has(.isHTTP10) ? .http10 : .http11)
    }

    /// Does what the route says.
    private mutating func carryOut(_ decision: RouteDecision, _ exchange: Int) {
        switch decision {
        case .forward: forward(exchange)
        case .redirect, .redirectToHTTPS, .respond: sendPrepared(exchange)
        case .denied: fail(exchange, .httpRequestDenied)
        case .none: fail(exchange, .destinationNotFound)
        case .badPath: refuseBody(exchange, .ambiguousPath)
        }
    }
}
