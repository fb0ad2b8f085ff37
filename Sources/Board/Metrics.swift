/// What an edge counts about itself. A new one is one line here; all start at 0 with the proxy.
public enum EdgeMetric: Int, CaseIterable, Sendable {
    /// Now: client connections.
    case connections
    case connectionsAccepted, connectionsRefused, acceptFailures
    case requests, headsRejected, routeless
    case responses1xx, responses2xx, responses3xx, responses4xx, responses5xx
    /// Responses that broke off.
    case responsesCut
    /// Bytes on client connections, and of them bodies.
    case bytesIn, bytesOut, bodyBytesIn, bodyBytesOut
    case handshakes, handshakesResumed, handshakeFailures
    case queueEntered, queueRefused, queueExpired, queueNanoseconds
    case retries, timeouts, spoolFailures

    /// True for what is a level and not a count: it falls to 0 when its edge dies.
    public var isGauge: Bool { self == .connections }
}

/// What an edge counts about a service.
public enum ServiceMetric: Int, CaseIterable, Sendable {
    case requests
}

/// Listeners that connections are counted for; one more shares the last one's word.
public let listenersMax = 64
