public import Board
import Memory

/// Names of what a request in flight refers to, as the master knows them.
public struct RequestNames: Sendable {
    /// Empty for no route.
    public var service: [UInt8]
    /// Empty for no endpoint.
    public var endpoint: [UInt8]

    public init(service: [UInt8], endpoint: [UInt8]) {
        self.service = service
        self.endpoint = endpoint
    }
}

extension SignalWriter {
    /// Raises what a killed edge left unraised: for each request that had started
    /// `request_finished` with outcome `proxy_error` and `request_tearing_down`, each exactly once,
    /// into the dead edge's own ring.
    ///
    /// To be called by the master when the edge has been waited for and before its slot gets a
    /// successor, on a writer made for the dead edge's ring after its death. A request whose
    /// `request_started` never came out raises nothing.
    /// - Parameters:
    ///   - requests: what `Table.recover` found.
    ///   - wall: Unix nanoseconds.
    ///   - now: monotonic nanoseconds.
    ///   - names: of the service and endpoint of a request.
    /// - Returns: how many `request_finished` were missing.
    @discardableResult
    public mutating func raiseMissing(
        _ requests: [RequestInFlight], wall: UInt64, now: UInt64,
        names: (RequestInFlight) -> RequestNames
    ) -> Int {
        var missing = 0
        for request in requests where request.startedIsRaised && !request.tearingDownIsRaised {
            let names = names(request)
            let id = RequestID(high: request.idHigh, low: request.idLow)
            if !request.finishedIsRaised {
                missing += 1
                if isHeard(.requestFinished) {
                    raiseFinished(request, id, names, wall: wall, now: now)
                }
            }
            if isHeard(.requestTearingDown) {
                writeTearingDown(id, .proxyError, service: names.service.span, wall: wall)
            }
        }
        return missing
    }

    private mutating func raiseFinished(
        _ request: RequestInFlight, _ id: RequestID, _ names: RequestNames, wall: UInt64,
        now: UInt64
    ) {
        // The rest was known to the dead edge alone.
        let facts = RequestFacts(
            id: id, wall: request.startedWall, remote: .none, remotePort: 0, scheme: .unknown,
            version: .unknown, tls: .none, connection: request.connection, connectionRequests: 0)
        var result = RequestResult()
        result.duration = now > request.startedAt ? now - request.startedAt : 0
        result.outcome = .proxyError
        result.failure = .proxyInternalError
        let none = ("" as StaticString).bytes
        let text = RequestText(
            head: none, service: names.service.span, endpoint: names.endpoint.span, sni: none)
        writeFinished(facts, result, text, wall: wall)
    }
}
