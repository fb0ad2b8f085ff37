/// Room for one short text at a time: an address, an id, a date, made where it is needed.
///
/// It lives as long as its process, and its copies are the same room; filling it again overwrites
/// the text before.
@safe
public struct TextScratch {
    private let memory: UnsafeMutableBufferPointer<UInt8>
    private let count: UnsafeMutablePointer<Int>

    /// - Parameter capacity: the longest text in bytes; what does not fit is cut off.
    public init(capacity: Int) {
        precondition(capacity > 0)
        unsafe memory = .allocate(capacity: capacity)
        unsafe count = .allocate(capacity: 1)
        unsafe count.initialize(to: 0)
    }

    /// Writes a text and returns its bytes, which hold until the next `fill`.
    @_lifetime(immortal)
    @discardableResult
    public func fill(_ body: (inout ByteWriter) -> Void) -> Span<UInt8> {
        var writer = unsafe ByteWriter(unsafeInto: memory)
        body(&writer)
        unsafe count.pointee = writer.count
        return bytes
    }

    /// The text as it was filled last.
    public var bytes: Span<UInt8> {
        @_lifetime(immortal)
        get {
            let span = unsafe Span(_unsafeStart: memory.baseAddress!, count: count.pointee)
            return unsafe _overrideLifetime(span, borrowing: ())
        }
    }
}
