internal import CLinux

/// A fixed number of slots for values that stay where they are, found by position.
///
/// Memory is reserved at once and becomes resident only when a slot is first used. Slots are reused
/// last-in first-out, and each reuse changes the slot's generation, so that a stale reference (an
/// event of a closed connection) is recognised. A table lives as long as its process, and its
/// copies are the same table: two slots may be changed at once; bounds and use are checked.
@safe
public struct SlotTable<Element: ~Copyable> {
    @usableFromInline
    struct Mark {
        /// Odd while the slot is in use.
        @usableFromInline var generation: UInt32
        @usableFromInline var nextFree: UInt32

        @inlinable
        init(generation: UInt32, nextFree: UInt32) {
            self.generation = generation
            self.nextFree = nextFree
        }
    }

    @usableFromInline
    struct State {
        @usableFromInline var free: UInt32
        @usableFromInline var fresh: UInt32
        @usableFromInline var used: Int
    }

    @usableFromInline let elements: UnsafeMutablePointer<Element>
    @usableFromInline let marks: UnsafeMutablePointer<Mark>
    @usableFromInline let state: UnsafeMutablePointer<State>
    /// How many slots there are.
    public let capacity: Int

    public init(capacity: Int) {
        precondition(capacity > 0 && capacity < Int(UInt32.max))
        self.capacity = capacity
        unsafe elements = .allocate(capacity: capacity)
        // All zero: in no use, and not resident before.
        unsafe marks = calloc(capacity, MemoryLayout<Mark>.stride)!
            .bindMemory(to: Mark.self, capacity: capacity)
        unsafe state = .allocate(capacity: 1)
        unsafe state.initialize(to: State(free: .max, fresh: 0, used: 0))
    }

    /// Slots in use.
    @inlinable public var count: Int { unsafe state.pointee.used }

    /// One more than the highest position ever used; for walking over all slots.
    @inlinable public var highWater: Int { unsafe Int(state.pointee.fresh) }

    @inlinable public var isFull: Bool { count == capacity }

    /// Puts a value into a free slot.
    ///
    /// - Precondition: the table is not full.
    @inlinable
    public func insert(_ element: consuming Element) -> Int {
        let index: Int
        if unsafe state.pointee.free != .max {
            index = unsafe Int(state.pointee.free)
            unsafe state.pointee.free = marks[index].nextFree
            unsafe marks[index].generation &+= 1
        } else {
            index = unsafe Int(state.pointee.fresh)
            precondition(index < capacity)
            unsafe state.pointee.fresh += 1
            unsafe marks[index] = Mark(generation: 1, nextFree: .max)
        }
        unsafe state.pointee.used += 1
        unsafe (elements + index).initialize(to: element)
        return index
    }

    /// Takes a value out and frees its slot.
    @inlinable
    @discardableResult
    public func remove(at index: Int) -> Element {
        precondition(isUsed(index))
        unsafe marks[index].generation &+= 1
        unsafe marks[index].nextFree = state.pointee.free
        unsafe state.pointee.free = UInt32(index)
        unsafe state.pointee.used -= 1
        return unsafe (elements + index).move()
    }

    @inlinable
    @inline(__always)
    public func isUsed(_ index: Int) -> Bool {
        // One comparison for both bounds.
        unsafe UInt(bitPattern: index) < UInt(bitPattern: capacity)
            && marks[index].generation & 1 == 1
    }

    /// Changes with each use of the slot.
    @inlinable
    public func generation(at index: Int) -> UInt32 {
        precondition(isUsed(index))
        return unsafe marks[index].generation
    }

    /// Whether the slot still holds what it held when its generation was taken.
    @inlinable
    public func holds(_ index: Int, generation: UInt32) -> Bool {
        unsafe isUsed(index) && marks[index].generation == generation
    }

    @inlinable
    public subscript(index: Int) -> Element {
        unsafeAddress {
            precondition(isUsed(index))
            return unsafe UnsafePointer(elements + index)
        }
        nonmutating unsafeMutableAddress {
            precondition(isUsed(index))
            return unsafe elements + index
        }
    }
}
