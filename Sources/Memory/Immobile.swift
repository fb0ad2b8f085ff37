import Synchronization

/// Keeps the value that holds it at its place in memory.
///
/// A large struct without such a field is a bundle of registers to the compiler: each inlined
/// method that does not change it works on a copy of all of it. An atomic has an address, and so
/// has everything around it.
public struct Immobile: ~Copyable {
    private let address = Atomic<UInt8>(0)

    public init() {}
}
