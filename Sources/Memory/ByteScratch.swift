/// Memory of a fixed size, owned here, that a `ByteWriter` fills from the front, over and over.
///
/// For what is built in one place and handed on as a span: a log line, a record, a message. It is
/// allocated once, so that filling it again allocates nothing.
@safe
public struct ByteScratch: ~Copyable {
    private let memory: UnsafeMutableBufferPointer<UInt8>
    /// Writes into this memory; not to be swapped with another writer, which would outlive it.
    public var writer: ByteWriter

    /// - Parameter capacity: the size in bytes, at least 1.
    public init(capacity: Int) {
        precondition(capacity > 0)
        unsafe memory = .allocate(capacity: capacity)
        writer = unsafe ByteWriter(unsafeInto: memory)
    }

    deinit { unsafe memory.deallocate() }

    /// Forgets what was written, an overflow included.
    public mutating func removeAll() {
        writer = unsafe ByteWriter(unsafeInto: memory)
    }

    /// What has been written since the last `removeAll`.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get { writer.written }
    }
}
