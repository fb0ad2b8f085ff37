/// Why the proxy did not pass on an answer: the words of RFC 9209 section 2.3, and what follows
/// from each (contract section 4).
public enum Failure: UInt8, CaseIterable, Sendable {
    /// The endpoint refused the connection.
    case connectionRefused = 1
    /// The endpoint did not take the connection in time.
    case connectionTimeout
    /// The endpoint closed before the first byte of an answer.
    case connectionTerminated
    /// What the endpoint sent is no HTTP answer, or one with conflicting framing.
    case httpProtocolError
    /// The answer's head is longer than `limits.upstream_header`.
    case httpResponseHeaderSectionSize
    /// The first byte, or the end, of the answer did not come in time.
    case httpResponseTimeout
    /// The answer's body broke off after its head had been passed on.
    case httpResponseIncomplete
    /// The certificate of an upstream is not to be trusted.
    case tlsCertificateError
    /// The handshake with an upstream failed.
    case tlsProtocolError
    /// The upstream's name was not resolved.
    case dnsError
    /// The queue of the service is full, or the wait in it over.
    case connectionLimitReached
    /// No endpoint of the service can be used.
    case destinationUnavailable
    /// No route matches.
    case destinationNotFound
    /// A `deny` or `allow` of the route forbids it.
    case httpRequestDenied
    /// The client's head or body breaks a rule; the status says which kind.
    case httpRequestError
    /// No room in the spool for the request's body.
    case spoolFull
    /// A fault of the proxy itself, a killed edge included.
    case proxyInternalError

    /// What the request was on its way to.
    public enum Destination: Sendable {
        /// A process that the proxy started, and that lives.
        case worker
        /// A process that the proxy started, and that has ended.
        case endedWorker
        /// A server that runs already.
        case upstream
        /// None was chosen yet.
        case none
    }

    /// The word in `Proxy-Status: proxy; error=WORD`, logs and signals.
    public var word: StaticString {
        switch self {
        case .connectionRefused: "connection_refused"
        case .connectionTimeout: "connection_timeout"
        case .connectionTerminated: "connection_terminated"
        case .httpProtocolError: "http_protocol_error"
        case .httpResponseHeaderSectionSize: "http_response_header_section_size"
        case .httpResponseTimeout: "http_response_timeout"
        case .httpResponseIncomplete: "http_response_incomplete"
        case .tlsCertificateError: "tls_certificate_error"
        case .tlsProtocolError: "tls_protocol_error"
        case .dnsError: "dns_error"
        case .connectionLimitReached: "connection_limit_reached"
        case .destinationUnavailable: "destination_unavailable"
        case .destinationNotFound: "destination_not_found"
        case .httpRequestDenied: "http_request_denied"
        case .httpRequestError: "http_request_error"
        case .spoolFull, .proxyInternalError: "proxy_internal_error"
        }
    }

    /// The status the client gets; for `httpRequestError` the most general one, as the rule that
    /// was broken may ask for 408, 413, 414, 431, 501 or 505, and for `httpResponseIncomplete` the
    /// one that would be sent if the head had not gone out already.
    public var status: UInt16 {
        switch self {
        case .connectionRefused, .connectionTerminated, .httpProtocolError,
            .httpResponseHeaderSectionSize, .httpResponseIncomplete, .tlsCertificateError,
            .tlsProtocolError:
            502
        case .connectionTimeout, .httpResponseTimeout: 504
        case .dnsError, .connectionLimitReached, .destinationUnavailable: 503
        case .destinationNotFound: 404
        case .httpRequestDenied: 403
        case .httpRequestError: 400
        case .spoolFull: 507
        case .proxyInternalError: 500
        }
    }

    /// The seconds of `Retry-After` in the answer, nil for none.
    public var retryAfter: UInt32? {
        self == .connectionLimitReached ? 1 : nil
    }

    /// Who failed.
    public func origin(towards destination: Destination) -> Origin {
        switch self {
        case .httpRequestError, .httpRequestDenied, .destinationNotFound: return .client
        case .spoolFull, .proxyInternalError, .connectionLimitReached: return .proxy
        case .connectionRefused, .connectionTimeout, .connectionTerminated, .httpProtocolError,
            .httpResponseHeaderSectionSize, .httpResponseTimeout, .httpResponseIncomplete,
            .tlsCertificateError, .tlsProtocolError, .dnsError, .destinationUnavailable:
            switch destination {
            case .worker, .endedWorker: return .worker
            case .upstream: return .upstream
            case .none: return .proxy
            }
        }
    }

    /// How a request ends that fails so for good.
    public func outcome(towards destination: Destination) -> Outcome {
        switch self {
        case .connectionTimeout, .httpResponseTimeout: return .timeout
        case .connectionLimitReached, .destinationNotFound, .httpRequestDenied, .httpRequestError:
            return .rejected
        case .spoolFull, .proxyInternalError: return .proxyError
        case .connectionRefused, .connectionTerminated, .httpProtocolError,
            .httpResponseHeaderSectionSize, .httpResponseIncomplete, .tlsCertificateError,
            .tlsProtocolError, .dnsError, .destinationUnavailable:
            switch destination {
            case .endedWorker: return .workerDied
            case .worker, .upstream: return .upstreamFailed
            case .none: return .proxyError
            }
        }
    }

    /// Whether it shows that a worker whose process lives takes no connection, or does not answer
    /// on one. A bad answer, or one that breaks off, is the app's fault: every worker would give
    /// it.
    public var showsIllWorker: Bool {
        switch self {
        case .connectionRefused, .connectionTimeout, .connectionTerminated, .httpResponseTimeout:
            true
        case .httpProtocolError, .httpResponseHeaderSectionSize, .httpResponseIncomplete,
            .tlsCertificateError, .tlsProtocolError, .dnsError, .connectionLimitReached,
            .destinationUnavailable, .destinationNotFound, .httpRequestDenied, .httpRequestError,
            .spoolFull, .proxyInternalError:
            false
        }
    }

    /// When another endpoint may be tried.
    public enum Retry: Sendable {
        /// The answer had begun, time is over, or it would fail again.
        case never
        /// The endpoint cannot have seen the request, so that every method may be repeated.
        case always
        /// The endpoint may have acted on it: only methods that may be repeated (RFC 9110 section
        /// 9.2.2), or when not a byte had been sent.
        case whenRepeatable
    }

    /// When another endpoint may be tried, as long as no byte of an answer has come.
    public var retry: Retry {
        switch self {
        case .connectionRefused, .connectionTimeout, .tlsCertificateError, .tlsProtocolError,
            .dnsError:
            .always
        case .connectionTerminated: .whenRepeatable
        case .httpProtocolError, .httpResponseHeaderSectionSize, .httpResponseTimeout,
            .httpResponseIncomplete, .connectionLimitReached, .destinationUnavailable,
            .destinationNotFound, .httpRequestDenied, .httpRequestError, .spoolFull,
            .proxyInternalError:
            .never
        }
    }

    /// Whether this request may be tried on another endpoint.
    /// - Parameters:
    ///   - isIdempotent: its method may be repeated.
    ///   - wasSent: at least one byte of it was written to the endpoint.
    public func isRetryable(isIdempotent: Bool, wasSent: Bool) -> Bool {
        switch retry {
        case .never: false
        case .always: true
        case .whenRepeatable: isIdempotent || !wasSent
        }
    }
}
