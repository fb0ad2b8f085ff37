import Signals
import Testing

@testable import Edge

/// One row of the table: in this phase, at this event, this is to be done, and the request stands
/// there afterwards.
struct ExchangeRow: CustomTestStringConvertible {
    let phase: ExchangePhase
    let event: ExchangeEvent
    let action: ExchangeAction
    let next: ExchangePhase

    init(
        _ phase: ExchangePhase, _ event: ExchangeEvent, _ action: ExchangeAction,
        _ next: ExchangePhase
    ) {
        self.phase = phase
        self.event = event
        self.action = action
        self.next = next
    }

    var testDescription: String { "\(phase): \(event)" }
}

/// What a request meets at an endpoint, and whether it is tried again.
struct RetryRow: CustomTestStringConvertible {
    var phase = ExchangePhase.sending
    var failure = Failure.connectionTerminated
    var isIdempotent = true
    var wasSent = true
    var isReused = false
    var isReplayable = true
    var mayRetry = true
    let isRetried: Bool
    let why: String

    var testDescription: String { why }
}

/// The decisions of a request's life.
@Suite struct ExchangeStateTests {
    static let failure = Failure.httpResponseTimeout

    /// Every pair that is legal. In the last phase all events are, and nothing comes of any.
    static let rows: [ExchangeRow] = [
        ExchangeRow(.collecting, .ready, .choose, .choosing),
        ExchangeRow(.choosing, .chosen, .connect, .connecting),
        ExchangeRow(.waiting, .chosen, .connect, .connecting),
        ExchangeRow(.choosing, .allFull, .wait, .waiting),
        ExchangeRow(.waiting, .allFull, .wait, .waiting),
        ExchangeRow(.connecting, .endpointFull, .wait, .waiting),
        ExchangeRow(.connecting, .connected, .send, .sending),
        ExchangeRow(.sending, .answerBegan, .nothing, .answering),
        ExchangeRow(.sending, .upgraded, .tunnel, .tunneling),
        ExchangeRow(.answering, .answerEnded, .nothing, .delivering),
        ExchangeRow(.delivering, .delivered, .finish, .ended),
        ExchangeRow(.tunneling, .delivered, .finish, .ended),
        ExchangeRow(.collecting, .failed(failure), .answer(failure), .delivering),
        ExchangeRow(.choosing, .failed(failure), .answer(failure), .delivering),
        ExchangeRow(.waiting, .failed(failure), .answer(failure), .delivering),
        ExchangeRow(.connecting, .failed(failure), .answer(failure), .delivering),
        ExchangeRow(.sending, .failed(failure), .answer(failure), .delivering),
        ExchangeRow(.answering, .failed(failure), .cut(failure), .ended),
        ExchangeRow(.delivering, .failed(failure), .cut(failure), .ended),
        ExchangeRow(.tunneling, .failed(failure), .cut(failure), .ended),
        ExchangeRow(.collecting, .clientGone, .abandon, .ended),
        ExchangeRow(.choosing, .clientGone, .abandon, .ended),
        ExchangeRow(.waiting, .clientGone, .abandon, .ended),
        ExchangeRow(.connecting, .clientGone, .abandon, .ended),
        ExchangeRow(.sending, .clientGone, .abandon, .ended),
        ExchangeRow(.answering, .clientGone, .abandon, .ended),
        ExchangeRow(.delivering, .clientGone, .abandon, .ended),
        ExchangeRow(.tunneling, .clientGone, .abandon, .ended),
    ]

    static let events: [ExchangeEvent] = [
        .ready, .chosen, .allFull, .endpointFull, .connected, .answerBegan, .upgraded, .answerEnded,
        .delivered, .failed(failure), .clientGone,
    ]

    /// A request that has come to a phase, on the shortest way.
    static func state(in phase: ExchangePhase, isIdempotent: Bool = true) -> ExchangeState {
        var state = ExchangeState(isIdempotent: isIdempotent)
        let way: [ExchangeEvent] =
            switch phase {
            case .collecting: []
            case .choosing: [.ready]
            case .waiting: [.ready, .allFull]
            case .connecting: [.ready, .chosen]
            case .sending: [.ready, .chosen, .connected]
            case .answering: [.ready, .chosen, .connected, .answerBegan]
            case .delivering: [.ready, .chosen, .connected, .answerBegan, .answerEnded]
            case .tunneling: [.ready, .chosen, .connected, .upgraded]
            case .ended: [.clientGone]
            }
        for event in way { _ = state.handle(event) }
        return state
    }

    @Test(arguments: rows)
    func `each event has its one action and leads to its one phase`(row: ExchangeRow) {
        var state = Self.state(in: row.phase)
        #expect(state.phase == row.phase)
        #expect(state.handle(row.event) == row.action)
        #expect(state.phase == row.next)
    }

    @Test(arguments: events)
    func `nothing comes of an event behind the end`(event: ExchangeEvent) {
        var state = Self.state(in: .ended)
        #expect(state.handle(event, mayRetry: true) == .nothing)
        #expect(state.phase == .ended)
    }

    @Test func `an event that is impossible is a bug, and traps`() async {
        await #expect(processExitsWith: .failure) {
            var state = ExchangeStateTests.state(in: .collecting)
            _ = state.handle(.delivered)
        }
        await #expect(processExitsWith: .failure) {
            var state = ExchangeStateTests.state(in: .delivering)
            _ = state.handle(.answerBegan)
        }
    }

    @Test(arguments: [
        RetryRow(
            phase: .connecting, failure: .connectionRefused, isIdempotent: false, wasSent: false,
            isRetried: true, why: "what was refused nobody has seen"),
        RetryRow(
            phase: .connecting, failure: .connectionTimeout, isIdempotent: false, wasSent: false,
            isRetried: true, why: "what was not taken in time nobody has seen"),
        RetryRow(isRetried: true, why: "what is idempotent may be done twice"),
        RetryRow(isIdempotent: false, isRetried: false, why: "what is not may not"),
        RetryRow(
            isIdempotent: false, wasSent: false, isRetried: true,
            why: "but where no byte of it was sent"),
        RetryRow(isReplayable: false, isRetried: false, why: "what is gone cannot be sent again"),
        RetryRow(mayRetry: false, isRetried: false, why: "the budget is used up"),
        RetryRow(
            failure: .httpResponseTimeout, isRetried: false, why: "a time that is over stays over"),
        RetryRow(
            failure: .httpProtocolError, isRetried: false, why: "a bad answer is an answer"),
        RetryRow(
            isReused: true, mayRetry: false, isRetried: true,
            why: "a stale connection asks no budget"),
        RetryRow(
            isIdempotent: false, isReused: true, isRetried: false,
            why: "a stale connection may have passed on what may not be done twice"),
        RetryRow(
            isReused: true, isReplayable: false, isRetried: false,
            why: "a stale connection has swallowed what is gone"),
        RetryRow(
            failure: .proxyInternalError, isReused: true, isRetried: false,
            why: "a fault of ours is not the connection's"),
    ])
    func `a request is tried again where that may help and cannot harm`(row: RetryRow) {
        var state = Self.state(in: row.phase, isIdempotent: row.isIdempotent)
        state.wasSent = row.wasSent
        state.isConnectionReused = row.isReused
        state.isReplayable = row.isReplayable
        let action = state.handle(.failed(row.failure), mayRetry: row.mayRetry)
        #expect(action == (row.isRetried ? .retry(row.failure) : .answer(row.failure)))
        #expect(state.phase == (row.isRetried ? .choosing : .delivering))
        // It is another try: nothing of it has been sent.
        if row.isRetried { #expect(!state.wasSent) }
    }

    @Test(arguments: [(false, 0, 1), (true, 1, 2)] as [(Bool, UInt16, UInt16)])
    func `a stale connection is met once, and is an attempt only where they do not go stale`(
        countsStale: Bool, afterOne: UInt16, afterTwo: UInt16
    ) {
        var state = Self.state(in: .sending)
        state.isConnectionReused = true
        #expect(!state.wantsRetry(.connectionTerminated))
        #expect(!state.blamesEndpoint(for: .connectionTerminated))
        #expect(state.handle(.failed(.connectionTerminated)) == .retry(.connectionTerminated))
        #expect(state.wasStale && state.hasMetStaleConnection)
        #expect(state.retries(countsStale: countsStale) == afterOne)
        _ = state.handle(.chosen)
        _ = state.handle(.connected)
        #expect(state.wantsRetry(.connectionTerminated))
        let second = state.handle(.failed(.connectionTerminated), mayRetry: true)
        #expect(second == .retry(.connectionTerminated))
        #expect(!state.wasStale)
        #expect(state.retries(countsStale: countsStale) == afterTwo)
    }

    @Test(
        arguments: [
            (.collecting, true), (.choosing, true), (.waiting, true), (.connecting, true),
            (.sending, true), (.answering, false), (.delivering, false), (.tunneling, false),
            (.ended, false),
        ] as [(ExchangePhase, Bool)])
    func `a refusal is told as long as no answer has begun`(phase: ExchangePhase, isTold: Bool) {
        var state = Self.state(in: phase)
        #expect(state.refuse() == isTold)
        #expect(state.phase == (isTold ? .delivering : phase))
    }
}
