/// How a request ended. A 4xx or 5xx that the app chose to answer is `ok`.
public enum Outcome: UInt8, CaseIterable, Sendable {
    case ok = 0
    /// The client closed before it had its answer.
    case clientClosed
    /// A time limit was over.
    case timeout
    /// The worker's process ended before its answer did.
    case workerDied
    /// Whoever was to answer failed to: a server elsewhere, or a worker whose process lives.
    case upstreamFailed
    /// Refused by a rule or a limit of the proxy.
    case rejected
    /// A fault of the proxy itself.
    case proxyError

    /// The word in logs and signals.
    public var word: StaticString {
        switch self {
        case .ok: "ok"
        case .clientClosed: "client_closed"
        case .timeout: "timeout"
        case .workerDied: "worker_died"
        case .upstreamFailed: "upstream_failed"
        case .rejected: "rejected"
        case .proxyError: "proxy_error"
        }
    }
}

/// Who failed, in `request_exception`.
public enum Origin: UInt8, CaseIterable, Sendable {
    /// The app raised, and its worker is well.
    case app = 0
    case worker
    case upstream
    case proxy
    case client

    /// The word in signals.
    public var word: StaticString {
        switch self {
        case .app: "app"
        case .worker: "worker"
        case .upstream: "upstream"
        case .proxy: "proxy"
        case .client: "client"
        }
    }
}
