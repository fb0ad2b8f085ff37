public import Synchronization

/// A 64-bit word in a `SharedRegion`, which several processes read and change at once.
///
/// Each operation says its ordering in its name. *Sequential* operations of all processes have one
/// total order; that is what "I store mine, then look at yours" protocols rest on.
@safe @frozen
public struct SharedWord: Sendable {
    @usableFromInline nonisolated(unsafe) let pointer: UnsafeMutablePointer<Atomic<UInt64>>

    @unsafe @inlinable
    init(unsafeAt address: UnsafeMutableRawPointer) {
        unsafe pointer = address.assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inlinable
    public func loadRelaxed() -> UInt64 { unsafe pointer.pointee.load(ordering: .relaxed) }

    @inlinable
    public func loadAcquiring() -> UInt64 { unsafe pointer.pointee.load(ordering: .acquiring) }

    @inlinable
    public func loadSequential() -> UInt64 {
        unsafe pointer.pointee.load(ordering: .sequentiallyConsistent)
    }

    @inlinable
    public func storeRelaxed(_ value: UInt64) {
        step()
        unsafe pointer.pointee.store(value, ordering: .relaxed)
    }

    @inlinable
    public func storeReleasing(_ value: UInt64) {
        step()
        unsafe pointer.pointee.store(value, ordering: .releasing)
    }

    @inlinable
    public func storeSequential(_ value: UInt64) {
        step()
        unsafe pointer.pointee.store(value, ordering: .sequentiallyConsistent)
    }

    /// Stores `desired` if the word holds `expected`; sequential. Says whether it did.
    @inlinable
    public func compareExchange(expected: UInt64, desired: UInt64) -> Bool {
        step()
        return unsafe pointer.pointee.compareExchange(
            expected: expected, desired: desired, ordering: .sequentiallyConsistent
        ).exchanged
    }

    /// Stores `value` and returns what was there; sequential.
    @inlinable
    public func exchange(_ value: UInt64) -> UInt64 {
        step()
        return unsafe pointer.pointee.exchange(value, ordering: .sequentiallyConsistent)
    }

    /// Adds with wrap-around and returns what was there; no ordering.
    @inlinable
    public func addRelaxed(_ amount: UInt64) -> UInt64 {
        step()
        return unsafe pointer.pointee.wrappingAdd(amount, ordering: .relaxed).oldValue
    }

    /// Sets bits and returns what was there; sequential.
    @inlinable @discardableResult
    public func formUnion(_ bits: UInt64) -> UInt64 {
        step()
        return unsafe pointer.pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent).oldValue
    }

    /// Clears bits and returns what was there; sequential.
    @inlinable @discardableResult
    public func subtractBits(_ bits: UInt64) -> UInt64 {
        step()
        return unsafe pointer.pointee.bitwiseAnd(~bits, ordering: .sequentiallyConsistent).oldValue
    }

    /// Adds as the word's only writer does: a plain load and a plain store, no locked instruction.
    @inlinable
    public func addAsOnlyWriter(_ amount: UInt64) {
        storeRelaxed(loadRelaxed() &+ amount)
    }

    @inlinable @inline(__always)
    func step() {
        #if CRASH_STEPS
            CrashSteps.step()
        #endif
    }
}

/// A 32-bit word in a `SharedRegion`; see `SharedWord`.
@safe @frozen
public struct SharedWord32: Sendable {
    @usableFromInline nonisolated(unsafe) let pointer: UnsafeMutablePointer<Atomic<UInt32>>

    @unsafe @inlinable
    init(unsafeAt address: UnsafeMutableRawPointer) {
        unsafe pointer = address.assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inlinable
    public func loadRelaxed() -> UInt32 { unsafe pointer.pointee.load(ordering: .relaxed) }

    @inlinable
    public func loadAcquiring() -> UInt32 { unsafe pointer.pointee.load(ordering: .acquiring) }

    @inlinable
    public func storeRelaxed(_ value: UInt32) {
        step()
        unsafe pointer.pointee.store(value, ordering: .relaxed)
    }

    @inlinable
    public func storeReleasing(_ value: UInt32) {
        step()
        unsafe pointer.pointee.store(value, ordering: .releasing)
    }

    /// Stores `desired` if the word holds `expected`; sequential. Says whether it did.
    @inlinable
    public func compareExchange(expected: UInt32, desired: UInt32) -> Bool {
        step()
        return unsafe pointer.pointee.compareExchange(
            expected: expected, desired: desired, ordering: .sequentiallyConsistent
        ).exchanged
    }

    @inlinable @inline(__always)
    func step() {
        #if CRASH_STEPS
            CrashSteps.step()
        #endif
    }
}

/// A byte in a `SharedRegion`; see `SharedWord`.
@safe @frozen
public struct SharedByte: Sendable {
    @usableFromInline nonisolated(unsafe) let pointer: UnsafeMutablePointer<Atomic<UInt8>>

    @unsafe @inlinable
    init(unsafeAt address: UnsafeMutableRawPointer) {
        unsafe pointer = address.assumingMemoryBound(to: Atomic<UInt8>.self)
    }

    @inlinable
    public func loadAcquiring() -> UInt8 { unsafe pointer.pointee.load(ordering: .acquiring) }

    @inlinable
    public func storeReleasing(_ value: UInt8) {
        #if CRASH_STEPS
            CrashSteps.step()
        #endif
        unsafe pointer.pointee.store(value, ordering: .releasing)
    }
}

/// Fences between words and plain bytes of a `SharedRegion`.
public enum SharedFence {
    /// Loads before it stay before everything after it.
    @inlinable
    public static func acquire() { atomicMemoryFence(ordering: .acquiring) }

    /// Everything before it stays before the stores after it.
    @inlinable
    public static func release() { atomicMemoryFence(ordering: .releasing) }

    /// A full barrier: stores before it are seen before loads after it happen.
    @inlinable
    public static func sequential() { atomicMemoryFence(ordering: .sequentiallyConsistent) }
}
