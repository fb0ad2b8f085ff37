/// A fixed number of plain values, reserved at once and resident only when used.
///
/// Unlike `Array` it never grows, copies or counts references; access does not mutate its value. Bounds are checked.
@safe
public struct FixedArray<Element: BitwiseCopyable>: ~Copyable {
    @usableFromInline let elements: UnsafeMutablePointer<Element>
    public let count: Int

    /// All elements begin as `element`.
    public init(repeating element: Element, count: Int) {
        precondition(count > 0)
        self.count = count
        unsafe elements = .allocate(capacity: count)
        unsafe elements.initialize(repeating: element, count: count)
    }

    deinit { unsafe elements.deallocate() }

    @inlinable
    public subscript(index: Int) -> Element {
        unsafeAddress {
            precondition(index >= 0 && index < count)
            return unsafe UnsafePointer(elements + index)
        }
        nonmutating unsafeMutableAddress {
            precondition(index >= 0 && index < count)
            return unsafe elements + index
        }
    }
}
