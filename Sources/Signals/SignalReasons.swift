/// Why a client's connection ended, in `connection_closed`.
public enum ConnectionEnd: UInt8, CaseIterable, Sendable {
    /// The client closed it.
    case client = 0
    /// The answer said `Connection: close`, or the client asked for it.
    case finished
    /// Idle for `timeout.idle`.
    case idle
    /// A handshake, head or body did not come in time.
    case timeout
    /// The client broke a rule.
    case refused
    /// Above `limits.connections` or `limits.connections_per_address`.
    case limit
    /// The kernel said that it is broken.
    case reset
    /// The TLS handshake failed.
    case handshake
    /// The proxy stops or reloads.
    case drain

    /// The word in signals.
    public var word: StaticString {
        switch self {
        case .client: "client"
        case .finished: "finished"
        case .idle: "idle"
        case .timeout: "timeout"
        case .refused: "refused"
        case .limit: "limit"
        case .reset: "reset"
        case .handshake: "handshake"
        case .drain: "drain"
        }
    }
}

/// Why a TLS handshake with a client failed.
public enum HandshakeFailure: UInt8, CaseIterable, Sendable {
    /// The client closed, or the connection broke.
    case closed = 0
    /// Not done within `timeout.handshake`.
    case timeout
    /// No protocol version in common.
    case version
    /// No cipher suite, group or signature algorithm in common.
    case parameters
    /// The client sent an alert: it does not like the certificate, for example.
    case alert
    /// Plain HTTP on a TLS port.
    case plainRequest
    /// What came breaks the TLS protocol.
    case malformed
    /// A fault of the proxy.
    case internalError

    /// The word in signals.
    public var word: StaticString {
        switch self {
        case .closed: "closed"
        case .timeout: "timeout"
        case .version: "version"
        case .parameters: "parameters"
        case .alert: "alert"
        case .plainRequest: "plain_request"
        case .malformed: "malformed"
        case .internalError: "internal_error"
        }
    }
}

/// Why a worker ended, in `worker_exited`.
public enum WorkerEnd: UInt8, CaseIterable, Sendable {
    /// It ended by itself; the status is its exit status.
    case exit = 0
    /// A signal that the proxy did not send ended it; the status is the signal's number.
    case signal
    /// A request was over its time.
    case timeout
    /// It was old, or had done its share.
    case recycle
    /// A reload or a roll replaced it.
    case reload
    /// It used too much memory.
    case memory
    /// The proxy stops.
    case stop

    /// The word in signals.
    public var word: StaticString {
        switch self {
        case .exit: "exit"
        case .signal: "signal"
        case .timeout: "timeout"
        case .recycle: "recycle"
        case .reload: "reload"
        case .memory: "memory"
        case .stop: "stop"
        }
    }
}

/// Why an endpoint was taken out, or came back.
public enum HealthChange: UInt8, CaseIterable, Sendable {
    /// `health.passive.failures` within the window.
    case failures = 0
    /// The one trial request after the pause went well.
    case trial
    /// Its name resolves to it no more, or again.
    case resolved

    /// The word in signals.
    public var word: StaticString {
        switch self {
        case .failures: "failures"
        case .trial: "trial"
        case .resolved: "resolved"
        }
    }
}
