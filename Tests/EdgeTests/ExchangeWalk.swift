import Signals
import Testing

@testable import Edge

/// Walks through a request's life by chance, as the loop would drive it.
///
/// Checked: a request that ends is ended once, by one action; nothing is tried again after the
/// first byte of an answer; no more attempts are made than are allowed, and one for a stale
/// connection; an answer of the proxy's own comes once.
struct ExchangeWalk {
    /// The core under test, or a broken one.
    typealias Core =
        @Sendable (inout ExchangeState, ExchangeEvent, _ mayRetry: Bool) -> ExchangeAction

    static let attemptsMax = 3

    private var random: SeededGenerator
    private let core: Core
    private var state: ExchangeState
    private var tries = 1
    private var ends = 0
    private var answers = 0
    private var hasAnswered = false
    private(set) var complaints: Set<String> = []

    init(seed: UInt64, core: @escaping Core = { $0.handle($1, mayRetry: $2) }) {
        random = SeededGenerator(state: seed)
        self.core = core
        state = ExchangeState(isIdempotent: Bool.random(using: &random))
    }

    /// Whether the walk has come to an end.
    mutating func run() -> Bool {
        for _ in 0..<100 where state.phase != .ended { step() }
        let isOver = state.phase == .ended
        // What comes late: an event of a stream that is closed already.
        for event in [ExchangeEvent.clientGone, .failed(.connectionTerminated), .delivered] {
            if isOver { judge(core(&state, event, true)) }
        }
        if isOver, ends != 1 { complaints.insert("ended \(ends) times") }
        return isOver
    }

    private mutating func step() {
        let rows = ExchangeStateTests.rows.filter { $0.phase == state.phase }
        // Few give up, so that most walks are long.
        let draws = (0..<4).map { _ in rows.randomElement(using: &random)!.event }
        var event = draws.first { $0 != .clientGone } ?? .clientGone
        if case .failed = event { event = .failed(randomFailure()) }
        // The endpoint's side moves between the events.
        if state.phase == .sending {
            if Bool.random(using: &random) { state.wasSent = true }
            if Int.random(in: 0..<4, using: &random) == 0 { receiveFirstByte() }
            if event == .answerBegan || event == .upgraded { receiveFirstByte() }
        }
        let mayRetry =
            if case .failed(let failure) = event {
                state.wantsRetry(failure)
                    && Int(state.retries(countsStale: false)) + 1 < Self.attemptsMax
            } else { false }
        judge(core(&state, event, mayRetry))
    }

    /// Half of them such that may be mended, so that walks with many tries are found.
    private mutating func randomFailure() -> Failure {
        let usual = [Failure.connectionRefused, .connectionTerminated]
        return (Bool.random(using: &random) ? usual : Failure.allCases)
            .randomElement(using: &random)!
    }

    private mutating func receiveFirstByte() {
        hasAnswered = true
        state.isReplayable = false
    }

    private mutating func judge(_ action: ExchangeAction) {
        switch action {
        case .nothing, .choose, .wait, .send, .tunnel: break
        case .connect: state.isConnectionReused = Bool.random(using: &random)
        case .retry:
            tries += 1
            if tries > Self.attemptsMax + 1 { complaints.insert("tried too often") }
            if hasAnswered { complaints.insert("tried again behind a first byte") }
        case .answer:
            answers += 1
            if answers > 1 { complaints.insert("answered twice") }
        case .finish, .cut, .abandon: ends += 1
        }
    }
}

@Suite struct ExchangeWalkTests {
    @Test func `whatever happens, a request ends once and is not tried for ever`() {
        var ended = 0
        for seed in 1...20_000 as ClosedRange<UInt64> {
            var walk = ExchangeWalk(seed: seed)
            if walk.run() { ended += 1 }
            #expect(walk.complaints.isEmpty, "seed \(seed)")
        }
        #expect(ended > 19_000)
    }

    /// Cores with one fault each, and what the checker has to say of them.
    static let broken: [(String, ExchangeWalk.Core)] = [
        (
            "ended 2 times",
            { state, event, mayRetry in
                // Forgets that it has ended.
                guard event == .delivered else { return state.handle(event, mayRetry: mayRetry) }
                return .finish
            }
        ),
        (
            "ended 0 times",
            { state, event, mayRetry in
                let action = state.handle(event, mayRetry: mayRetry)
                return action == .abandon ? .nothing : action
            }
        ),
        (
            "tried again behind a first byte",
            { state, event, _ in
                state.isReplayable = true
                guard case .failed(let failure) = event else { return state.handle(event) }
                return state.handle(event, mayRetry: state.wantsRetry(failure))
            }
        ),
        (
            "tried too often",
            { state, event, _ in
                guard case .failed(let failure) = event else { return state.handle(event) }
                return state.handle(event, mayRetry: state.wantsRetry(failure))
            }
        ),
        (
            "answered twice",
            { state, event, mayRetry in
                guard state.phase == .delivering, case .failed(let failure) = event else {
                    return state.handle(event, mayRetry: mayRetry)
                }
                return .answer(failure)
            }
        ),
    ]

    @Test(arguments: 0..<broken.count)
    func `the checker finds a broken core`(index: Int) {
        let (complaint, core) = Self.broken[index]
        let isFound = (1...20_000 as ClosedRange<UInt64>).contains { seed in
            var walk = ExchangeWalk(seed: seed, core: core)
            _ = walk.run()
            return walk.complaints.contains(complaint)
        }
        #expect(isFound, "\(complaint)")
    }
}
