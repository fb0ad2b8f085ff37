/// How many requests of a service may be sent again: a share of the requests there are, so that
/// retries never multiply an overload.
///
/// A bucket of tokens: each request puts in `retry.budget` of one, each retry takes one out.
public struct RetryBudget: Sendable {
    /// In thousandths.
    private var tokens: UInt64
    private let deposit: UInt64
    private let attemptsMax: Int

    /// Tokens the bucket holds at most, and at the start: a service with few requests can retry
    /// too.
    public static let reserve: UInt64 = 10
    private static let unit: UInt64 = 1000

    public init(_ options: ServiceOptions.Retry) {
        deposit = UInt64((options.budget * Double(Self.unit)).rounded())
        tokens = deposit == 0 ? 0 : Self.reserve * Self.unit
        attemptsMax = options.attempts
    }

    /// A request has come.
    mutating func deposited() {
        tokens = min(tokens + deposit, Self.reserve * Self.unit)
    }

    /// Whether a request that was tried `attempts` times may be tried again; takes a token if so.
    mutating func withdraw(afterAttempts attempts: Int) -> Bool {
        guard attempts <= attemptsMax, tokens >= Self.unit else { return false }
        tokens -= Self.unit
        return true
    }
}
