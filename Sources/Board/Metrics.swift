/// What an edge counts about itself. A new one is one line here; all start at 0 with the proxy.
public enum EdgeMetric: Int, CaseIterable, Sendable {
    /// Now: client connections, requests in flight, tunnels.
    case connections, requestsInFlight, tunnels
    case connectionsAccepted, connectionsRefused, acceptFailures
    case requests, headsRejected, routeless
    case responses1xx, responses2xx, responses3xx, responses4xx, responses5xx
    /// Responses that the proxy made itself, and those that broke off.
    case responsesOwn, responsesCut
    /// Bytes on client connections, and of them bodies.
    case bytesIn, bytesOut, bodyBytesIn, bodyBytesOut
    case handshakes, handshakesResumed, handshakeFailures
    case upstreamConnects, upstreamConnectFailures, upstreamReuses
    case queueEntered, queueRefused, queueExpired, queueNanoseconds
    case retries, retriesRefused, timeouts
    case spoolFiles, spoolBytes, spoolFailures
    case logLines, logLinesLost
    case signalsRaised
    case loopTurns

    /// True for what is a level and not a count: it falls to 0 when its edge dies.
    public var isGauge: Bool { rawValue <= EdgeMetric.tunnels.rawValue }
}

/// What an edge counts about a service.
public enum ServiceMetric: Int, CaseIterable, Sendable {
    /// Now: requests in flight.
    case requestsInFlight
    case requests, failures, retries
    case responses2xx, responses3xx, responses4xx, responses5xx
    case queueEntered, queueRefused, queueExpired, queueNanoseconds
    case nanoseconds, bytesIn, bytesOut

    /// True for what is a level and not a count.
    public var isGauge: Bool { self == .requestsInFlight }
}

/// Listeners that connections are counted for; one more shares the last one's word.
public let listenersMax = 64
