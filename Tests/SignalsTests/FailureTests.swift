import Testing

@testable import Signals

@Suite struct FailureTests {
    /// Contract section 4, word and status.
    @Test(arguments: [
        (Failure.connectionRefused, "connection_refused", 502),
        (.connectionTimeout, "connection_timeout", 504),
        (.connectionTerminated, "connection_terminated", 502),
        (.httpProtocolError, "http_protocol_error", 502),
        (.httpResponseHeaderSectionSize, "http_response_header_section_size", 502),
        (.httpResponseTimeout, "http_response_timeout", 504),
        (.httpResponseIncomplete, "http_response_incomplete", 502),
        (.tlsCertificateError, "tls_certificate_error", 502),
        (.tlsProtocolError, "tls_protocol_error", 502),
        (.dnsError, "dns_error", 503),
        (.connectionLimitReached, "connection_limit_reached", 503),
        (.destinationUnavailable, "destination_unavailable", 503),
        (.destinationNotFound, "destination_not_found", 404),
        (.httpRequestDenied, "http_request_denied", 403),
        (.httpRequestError, "http_request_error", 400),
        (.spoolFull, "proxy_internal_error", 507),
        (.proxyInternalError, "proxy_internal_error", 500),
    ])
    func `each failure has its word and status`(failure: Failure, word: String, status: UInt16) {
        #expect(failure.word.description == word)
        #expect(failure.status == status)
    }

    @Test func `only the queue asks for a retry after a second`() {
        let asking = Failure.allCases.filter { $0.retryAfter != nil }
        #expect(asking == [.connectionLimitReached])
        #expect(Failure.connectionLimitReached.retryAfter == 1)
    }

    @Test(arguments: [
        (Failure.connectionRefused, false, true, true),
        (.connectionTerminated, false, true, false), (.connectionTerminated, true, true, true),
        (.connectionTerminated, false, false, true), (.httpProtocolError, true, true, false),
        (.httpResponseTimeout, true, true, false), (.dnsError, false, false, true),
    ])
    func `a request is tried again only where nothing can have happened twice`(
        failure: Failure, isIdempotent: Bool, wasSent: Bool, expected: Bool
    ) {
        #expect(failure.isRetryable(isIdempotent: isIdempotent, wasSent: wasSent) == expected)
    }

    @Test(arguments: [
        (
            Failure.connectionTerminated, Failure.Destination.endedWorker, Origin.worker,
            Outcome.workerDied
        ),
        (.httpResponseIncomplete, .endedWorker, .worker, .workerDied),
        (.connectionTerminated, .worker, .worker, .upstreamFailed),
        (.httpResponseIncomplete, .worker, .worker, .upstreamFailed),
        (.connectionTerminated, .upstream, .upstream, .upstreamFailed),
        (.httpResponseTimeout, .worker, .worker, .timeout),
        (.destinationNotFound, .none, .client, .rejected),
        (.connectionLimitReached, .worker, .proxy, .rejected),
        (.proxyInternalError, .upstream, .proxy, .proxyError),
    ])
    func `origin and outcome say who failed`(
        failure: Failure, destination: Failure.Destination, origin: Origin, outcome: Outcome
    ) {
        #expect(failure.origin(towards: destination) == origin)
        #expect(failure.outcome(towards: destination) == outcome)
    }

    @Test func `a worker that answers badly is not ill, one that takes or answers nothing is`() {
        let ill = Failure.allCases.filter(\.showsIllWorker)
        #expect(
            ill == [
                .connectionRefused, .connectionTimeout, .connectionTerminated,
                .httpResponseTimeout,
            ])
    }
}
