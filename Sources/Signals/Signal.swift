/// What can happen: the closed list of signals, in the order in which they are documented.
public enum Signal: UInt8, CaseIterable, Sendable {
    /// The head is parsed and routed, before a worker is chosen. Sender: the service.
    case requestStarted = 1
    /// Exactly once for each started, however it ended. Sender: the service.
    case requestFinished
    /// The app raised, or nobody answered. Sender: the service.
    case requestException
    /// After finished: the request's resources are gone. Sender: the service.
    case requestTearingDown
    /// A client's connection was accepted. Sender: the listener.
    case connectionOpened
    case connectionClosed
    case tlsHandshakeFinished
    case tlsHandshakeFailed
    /// A worker process was started. Sender: the service.
    case workerStarted
    /// It takes requests.
    case workerReady
    case workerExited
    /// Health changed. Sender: the service.
    case upstreamUp
    case upstreamDown
    /// Sender: `proxy`.
    case configReloaded
    case configRejected
    /// Lines were lost on the way to a plug-in. Sender: the plug-in.
    case pluginDropped
    /// A plug-in ended or could not be started. Sender: the plug-in.
    case pluginFailed

    /// The name in lines and in the configuration.
    public var name: StaticString {
        switch self {
        case .requestStarted: "request_started"
        case .requestFinished: "request_finished"
        case .requestException: "request_exception"
        case .requestTearingDown: "request_tearing_down"
        case .connectionOpened: "connection_opened"
        case .connectionClosed: "connection_closed"
        case .tlsHandshakeFinished: "tls_handshake_finished"
        case .tlsHandshakeFailed: "tls_handshake_failed"
        case .workerStarted: "worker_started"
        case .workerReady: "worker_ready"
        case .workerExited: "worker_exited"
        case .upstreamUp: "upstream_up"
        case .upstreamDown: "upstream_down"
        case .configReloaded: "config_reloaded"
        case .configRejected: "config_rejected"
        case .pluginDropped: "plugin_dropped"
        case .pluginFailed: "plugin_failed"
        }
    }

    /// The signal of a name: underscores or dashes, and Flask's and Django's name
    /// `got_request_exception` for `request_exception`.
    public init?(named name: String) {
        let plain = String(name.map { $0 == "-" ? "_" : $0 })
        let found = Self.allCases.first { $0.name.description == plain }
        guard let signal = plain == "got_request_exception" ? .requestException : found else {
            return nil
        }
        self = signal
    }
}

/// Some of the signals: what a plug-in asked for, or what anybody listens to.
public struct SignalSet: OptionSet, Sendable {
    public let rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The set of one signal.
    @inlinable
    public init(_ signal: Signal) {
        rawValue = 1 << UInt64(signal.rawValue)
    }

    /// Every signal there is.
    public static let all = SignalSet(
        Signal.allCases.reduce(SignalSet()) { $0.union(SignalSet($1)) })

    private init(_ set: SignalSet) {
        rawValue = set.rawValue
    }

    /// Whether `signal` is among them.
    @inlinable
    public func contains(_ signal: Signal) -> Bool {
        rawValue & 1 << UInt64(signal.rawValue) != 0
    }
}
