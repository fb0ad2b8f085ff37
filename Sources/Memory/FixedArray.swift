internal import CLinux

/// A fixed number of plain values, reserved at once and resident only when used.
///
/// Unlike `Array` it never grows and counts no references: it lives as long as its process, and its
/// copies are the same array. Bounds are checked.
@safe
public struct FixedArray<Element: BitwiseCopyable> {
    @usableFromInline let elements: UnsafeMutablePointer<Element>
    public let count: Int

    /// All elements begin as `element`.
    public init(repeating element: Element, count: Int) {
        precondition(count > 0)
        self.count = count
        unsafe elements = .allocate(capacity: count)
        unsafe elements.initialize(repeating: element, count: count)
    }

    /// All bytes of all elements begin as 0, and nothing becomes resident before it is used.
    ///
    /// - Precondition: 0 in all bytes is a value of `Element`.
    public init(zeroed count: Int) {
        precondition(count > 0)
        self.count = count
        unsafe elements = calloc(count, MemoryLayout<Element>.stride)!
            .bindMemory(to: Element.self, capacity: count)
    }

    /// Each element is made by `element` from its position.
    public init(count: Int, _ element: (Int) -> Element) {
        precondition(count > 0)
        self.count = count
        unsafe elements = .allocate(capacity: count)
        for index in 0..<count { unsafe (elements + index).initialize(to: element(index)) }
    }

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
