/// A list of plain values that never change, of which copies cost nothing.
///
/// It lives as long as its process: for what a configuration says, made once at the start.
@safe
public struct ConstantArray<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
    @usableFromInline let elements: UnsafeMutablePointer<Element>
    public let count: Int

    public init(_ values: [Element]) {
        count = values.count
        unsafe elements = .allocate(capacity: max(values.count, 1))
        for index in values.indices { unsafe (elements + index).initialize(to: values[index]) }
    }

    @inlinable
    public subscript(index: Int) -> Element {
        precondition(index >= 0 && index < count)
        return unsafe elements[index]
    }

    @inlinable public var indices: Range<Int> { 0..<count }

    @inlinable public var span: Span<Element> {
        @_lifetime(immortal)
        get {
            let span = unsafe Span(_unsafeStart: elements, count: count)
            return unsafe _overrideLifetime(span, borrowing: ())
        }
    }

    /// These values and others behind them.
    public func appending(_ values: [Element]) -> ConstantArray {
        ConstantArray(indices.map { self[$0] } + values)
    }
}
