import Board
import HTTP
import Linux
import Memory
import Routing
import Signals
import TLS

/// What is written down: signals, log lines, counters, events.
extension EdgeLoop where World: ~Copyable {
    // MARK: requests

    /// Enters a request that was routed into the ledger, and raises `request_started`.
    ///
    /// - Returns: false when the ledger is full; the request has been answered then.
    mutating func start(_ exchange: Int) -> Bool {
        let service = Int(exchanges[exchange].service)
        counters.add(.requests)
        let slot = service >= 0 ? settings.services[service].slot : table.layout.services
        let text = pool.bytes(of: exchanges[exchange].text)
        let names = RequestText(
            head: text, service: serviceName(service), endpoint: Span(),
            sni: text.extracting(exchanges[exchange].serverName.indices))
        let entry = journal.signals.start(
            exchanges[exchange].facts, names, service: slot, now: now, in: &ledger)
        guard let entry else {
            fail(exchange, .connectionLimitReached)
            return false
        }
        exchanges[exchange].ledger = Int32(entry)
        return true
    }

    /// Raises `request_finished`, once, and writes the log line.
    mutating func record(_ exchange: Int) {
        exchanges[exchange].result.duration = now - exchanges[exchange].startedAt
        count(exchange)
        let text = pool.bytes(of: exchanges[exchange].text)
        let endpoint = endpointName(exchange)
        let names = RequestText(
            head: text, service: serviceName(Int(exchanges[exchange].service)), endpoint: endpoint,
            sni: text.extracting(exchanges[exchange].serverName.indices))
        let entry = Int(exchanges[exchange].ledger)
        if entry >= 0 {
            journal.signals.finish(
                entry, exchanges[exchange].facts, exchanges[exchange].result, names, wall: wall,
                in: &ledger)
        }
        journal.log(exchanges[exchange].facts, exchanges[exchange].result, names, now: now)
    }

    private func count(_ exchange: Int) {
        switch exchanges[exchange].result.status / 100 {
        case 1: counters.add(.responses1xx)
        case 2: counters.add(.responses2xx)
        case 3: counters.add(.responses3xx)
        case 4: counters.add(.responses4xx)
        case 5: counters.add(.responses5xx)
        default: break
        }
        counters.add(.bodyBytesIn, exchanges[exchange].result.requestBytes)
        counters.add(.bodyBytesOut, exchanges[exchange].result.responseBytes)
        let service = Int(exchanges[exchange].service)
        guard service >= 0 else { return counters.add(.routeless) }
        counters.add(.requests, service: settings.services[service].slot)
    }

    /// Writes the log line of what was refused before it was a request; its time runs from its
    /// first byte.
    mutating func logRefused(_ client: Int, _ id: RequestID, status: UInt16, bodyBytes: Int) {
        let duration = now - clients[client].headSince
        let facts = RequestFacts(
            id: id, wall: wall - duration, remote: clients[client].peer,
            remotePort: clients[client].address.port,
            scheme: clients[client].has(.isSecure) ? .https : .http, version: .unknown,
            tls: clients[client].tls, connection: clients[client].number,
            connectionRequests: clients[client].requests)
        var result = RequestResult()
        result.status = status
        result.responseBytes = UInt64(bodyBytes)
        result.duration = duration
        result.outcome = .rejected
        result.failure = .httpRequestError
        let none = Span<UInt8>()
        journal.log(
            facts, result, RequestText(head: none, service: none, endpoint: none, sni: none),
            now: now)
    }

    /// The service's name, empty for no route.
    @_lifetime(immortal)
    func serviceName(_ service: Int) -> Span<UInt8> {
        service >= 0 ? settings.serviceNames[service] : ("" as StaticString).bytes
    }

    /// The name of the endpoint a request was last given to, empty for none.
    @_lifetime(immortal)
    mutating func endpointName(_ exchange: Int) -> Span<UInt8> {
        guard let endpoint = exchanges[exchange].endpoint else { return ("" as StaticString).bytes }
        return endpointNames[endpoint, table]
    }

    /// Notes whom a request is given to.
    mutating func noteEndpoint(_ exchange: Int, _ lease: Lease) {
        let endpoint = table.endpoint(Int(lease.endpoint.index))
        exchanges[exchange].endpoint = lease.endpoint
        if exchanges[exchange].has(.isOurs) || endpoint.status.kind.contains(.command) {
            exchanges[exchange].result.worker = UInt32(truncatingIfNeeded: endpoint.number)
            exchanges[exchange].result.pid = UInt32(truncatingIfNeeded: endpoint.pid)
        }
        let entry = Int(exchanges[exchange].ledger)
        guard entry >= 0 else { return }
        ledger.setEndpoint(lease.endpoint, of: entry)
        ledger.setPhase(.connecting, of: entry)
    }

    /// Notes that a request is being sent.
    mutating func noteSending(_ exchange: Int) {
        let entry = Int(exchanges[exchange].ledger)
        if entry >= 0 { ledger.setPhase(.sending, of: entry) }
    }

    // MARK: exceptions

    /// Raises `request_exception` for an answer the endpoint failed to give.
    mutating func raiseException(_ exchange: Int, _ failure: Failure) {
        let origin = failure.origin(towards: destination(exchange))
        // Nothing is told of what was never said to have begun.
        guard exchanges[exchange].ledger >= 0, origin != .client,
            journal.signals.isHeard(.requestException)
        else { return }
        let facts = ExceptionFacts(
            id: exchanges[exchange].facts.id, origin: origin, failure: failure,
            worker: exchanges[exchange].result.worker, pid: exchanges[exchange].result.pid)
        let text = ExceptionText(
            service: serviceName(Int(exchanges[exchange].service)),
            endpoint: endpointName(exchange),
            type: failure.word.bytes, message: Span(), traceback: Span())
        journal.signals.requestException(facts, text, wall: wall)
    }

    /// Raises `request_exception` for what the app said it raised (`proxy-exception`).
    ///
    /// - Parameter bytes: the answer's head.
    mutating func noteException(_ exchange: Int, in bytes: Span<UInt8>) {
        guard let field = responseHead.fields.first(.proxyException),
            journal.signals.isHeard(.requestException)
        else { return }
        let said = SaidException(bytes.extracting(field.value.indices))
        var type = ByteRange.empty
        var message = ByteRange.empty
        var traceback = ByteRange.empty
        let text = exceptionText.fill {
            type = said.write(said.type, to: &$0)
            message = said.write(said.message, to: &$0)
            traceback = said.write(said.traceback, to: &$0)
        }
        let facts = ExceptionFacts(
            id: exchanges[exchange].facts.id, origin: .app, failure: nil,
            worker: exchanges[exchange].result.worker, pid: exchanges[exchange].result.pid)
        journal.signals.requestException(
            facts,
            ExceptionText(
                service: serviceName(Int(exchanges[exchange].service)),
                endpoint: endpointName(exchange), type: text.extracting(type.indices),
                message: text.extracting(message.indices),
                traceback: text.extracting(traceback.indices)), wall: wall)
    }

    /// What a request was on its way to.
    func destination(_ exchange: Int) -> Failure.Destination {
        guard let endpoint = exchanges[exchange].endpoint else { return .none }
        let service = Int(exchanges[exchange].service)
        if settings.services[service].kind.contains(.upstream) { return .upstream }
        return lives(endpoint) ? .worker : .endedWorker
    }

    /// Whether a worker's process still runs. The master may not know of its end yet, so that the
    /// kernel is asked; only failures ask.
    func lives(_ worker: EndpointReference) -> Bool {
        let endpoint = table.endpoint(Int(worker.index))
        return endpoint.status.generation == worker.generation && network.lives(pid: endpoint.pid)
    }

    func outcome(of failure: Failure, _ exchange: Int) -> Outcome {
        failure.outcome(towards: destination(exchange))
    }

    mutating func raiseHealth(_ endpoint: EndpointReference, isUp: Bool) {
        let name = endpointNames[endpoint, table]
        let slot = table.endpoint(Int(endpoint.index)).service
        let service = serviceName(self.service(ofSlot: slot) ?? -1)
        let reason = isUp ? HealthChange.trial : .failures
        journal.signals.healthChanged(
            isUp: isUp, reason, endpoint: name, service: service, wall: wall)
        journal.begin(isUp ? .info : .warning, isUp ? "upstream_up" : "upstream_down", wall: wall)
        journal.add("service", service)
        journal.add("endpoint", name)
        journal.add("reason", reason.word)
        journal.end()
    }

    // MARK: connections

    private func connectionFacts(_ client: Int) -> ConnectionFacts {
        ConnectionFacts(
            connection: clients[client].number, remote: clients[client].peer,
            remotePort: clients[client].address.port)
    }

    mutating func connectionOpened(_ client: Int) {
        let listener = Int(clients[client].listener)
        counters.add(.connections)
        counters.add(.connectionsAccepted)
        counters.addConnection(listener: listener)
        journal.signals.connectionOpened(
            connectionFacts(client), listener: settings.listenerNames[listener], wall: wall)
    }

    mutating func connectionClosed(_ client: Int) {
        let listener = Int(clients[client].listener)
        counters.subtract(.connections)
        counters.subtractConnection(listener: listener)
        counters.add(.bytesIn, clients[client].bytesIn)
        counters.add(.bytesOut, clients[client].bytesOut)
        journal.signals.connectionClosed(
            connectionFacts(client),
            ConnectionResult(
                requests: UInt64(clients[client].requests), receivedBytes: clients[client].bytesIn,
                sentBytes: clients[client].bytesOut, duration: now - clients[client].openedAt,
                reason: clients[client].end),
            listener: settings.listenerNames[listener], wall: wall)
    }

    mutating func raiseHandshake(_ client: Int) {
        guard journal.signals.isHeard(.tlsHandshakeFinished) else { return }
        let stream = clients[client].stream
        let name = serverNameText.fill { network.writeServerName(stream, to: &$0) }
        journal.signals.handshakeFinished(
            connectionFacts(client), clients[client].tls,
            duration: now - clients[client].openedAt, sni: name,
            listener: settings.listenerNames[Int(clients[client].listener)], wall: wall)
    }

    mutating func raiseHandshakeFailed(_ client: Int, _ failure: TLSFailure) {
        clients[client].end = failure.reason == .timeout ? .timeout : .handshake
        journal.signals.handshakeFailed(
            connectionFacts(client), HandshakeFailure(failure.reason), alert: failure.alert,
            duration: now - clients[client].openedAt, sni: Span(),
            listener: settings.listenerNames[Int(clients[client].listener)], wall: wall)
    }

    // MARK: events of the error log

    mutating func reportTLSOnPlainPort(_ client: Int) {
        journal.begin(.warning, "tls_on_plain_port", wall: wall)
        journal.add("remote", clients[client].peer)
        journal.add("listener", settings.listenerNames[Int(clients[client].listener)])
        journal.end()
    }

    /// Descriptors have run out; said once for each pause of a second.
    mutating func reportExhausted() {
        counters.add(.acceptFailures)
        guard now >= exhaustedReportAt else { return }
        exhaustedReportAt = now + 1_000_000_000
        journal.begin(.error, "descriptors_exhausted", wall: wall)
        journal.add("cure", "raise the limit of open files, or lower limits.connections")
        journal.end()
    }

    /// Says what limits have done to connections, each limit at most once a minute.
    mutating func reportLimits() {
        let refused: StaticString = "connections_refused"
        sayLimit(refused, "limits.connections_per_address", addressReport.take(now: now))
        sayLimit(refused, "memory", memoryReport.take(now: now))
        sayLimit("accepting_paused", "limits.connections", pauseReport.take(now: now))
        limitReportsAt = min(
            addressReport.dueAt ?? TimerWheel.never,
            min(memoryReport.dueAt ?? TimerWheel.never, pauseReport.dueAt ?? TimerWheel.never))
    }

    private mutating func sayLimit(
        _ event: StaticString, _ reason: StaticString, _ count: UInt64?
    ) {
        guard let count else { return }
        journal.begin(.warning, event, wall: wall)
        journal.add("reason", reason)
        journal.add("count", Int(clamping: count))
        journal.end()
    }

    mutating func reportSpool(_ error: SystemError) {
        counters.add(.spoolFailures)
        guard now >= spoolReportAt else { return }
        spoolReportAt = now + 1_000_000_000
        journal.begin(.error, "spool_failed", wall: wall)
        journal.add("path", text: settings.spoolFolder.text)
        journal.add("cause", text: error.description)
        journal.end()
    }

    /// Slow clients hold most of the memory for bytes on their way.
    mutating func reportScarcity() {
        scarceReportAt = now + EdgeLimits.scarceReportNanoseconds
        journal.begin(.warning, "memory_scarce", wall: wall)
        journal.add("blocks", pool.takenLarge)
        journal.add("of", pool.largeCount)
        journal.add("clients", clients.count)
        journal.end()
    }

    /// The handshake with an upstream failed: the cause, in OpenSSL's words.
    mutating func reportTLSFailure(_ upstream: Int, _ failure: TLSFailure) {
        let exchange = Int(upstreams[upstream].exchange)
        journal.begin(.error, "upstream_tls_failed", wall: wall)
        if exchange >= 0 {
            journal.add("service", serviceName(Int(exchanges[exchange].service)))
        }
        journal.add("endpoint", endpointNames[upstreams[upstream].endpoint, table])
        journal.add("reason", failure.reason.word)
        journal.add("cause", text: failure.description)
        journal.end()
    }

    mutating func reportAnswerFault(_ upstream: Int, _ rule: StaticString) {
        let exchange = Int(upstreams[upstream].exchange)
        journal.begin(.error, "bad_answer", wall: wall)
        if exchange >= 0 { journal.add("id", exchanges[exchange].facts.id) }
        journal.add("endpoint", endpointNames[upstreams[upstream].endpoint, table])
        journal.add("rule", rule)
        journal.end()
    }
}

extension HandshakeFailure {
    /// The signal's word for what the TLS room found.
    init(_ reason: TLSFailure.Reason) {
        self =
            switch reason {
            case .closed, .reset: .closed
            case .timeout: .timeout
            case .unsupportedVersion: .version
            case .noSharedCipher, .noSharedGroup, .noSharedSignature, .noApplicationProtocol:
                .parameters
            case .certificateRefused, .certificateUntrusted, .certificateNameMismatch, .peerAlert:
                .alert
            case .httpRequest: .plainRequest
            case .notTLS, .badRecord, .badMessage: .malformed
            case .internalError: .internalError
            }
    }
}
