public import Board

/// The endpoints that a request has tried already, which are not chosen for it again.
@frozen
public struct TriedEndpoints: Equatable, Sendable {
    /// One more than `retry.attempts` can be.
    @usableFromInline static let countMax = 12
    @usableFromInline var entries = InlineArray<12, UInt32>(repeating: 0)
    /// How many there are.
    public private(set) var count = 0

    @inlinable
    public init() {}

    /// Slot number and the low bits of its generation, which tell incarnations apart well enough
    /// here; not 0.
    @inlinable
    static func entry(_ endpoint: EndpointReference) -> UInt32 {
        (endpoint.index &+ 1) | endpoint.generation << 21
    }

    /// Adds one; the twelfth and later are not kept.
    public mutating func insert(_ endpoint: EndpointReference) {
        guard count < Self.countMax, !contains(endpoint) else { return }
        entries[count] = Self.entry(endpoint)
        count += 1
    }

    @inlinable
    public func contains(_ endpoint: EndpointReference) -> Bool {
        guard count > 0 else { return false }
        let entry = Self.entry(endpoint)
        for index in 0..<count where entries[index] == entry { return true }
        return false
    }

    public static func == (one: TriedEndpoints, other: TriedEndpoints) -> Bool {
        one.count == other.count
            && (0..<one.count).allSatisfy { one.entries[$0] == other.entries[$0] }
    }
}
