internal import CLinux

/// A system call that could not make or map shared memory: which one, and the kernel's error
/// number.
public struct SharedMemoryError: Error, Equatable, Sendable {
    /// The call's name as in section 2 of the manual.
    public let call: String
    /// `errno`, or 0 when the file was shorter than what was to be mapped.
    public let number: Int32

    public init(call: String, number: Int32) {
        self.call = call
        self.number = number
    }
}

/// A memory file mapped into this process: words and bytes that several processes share.
///
/// Every access is checked against the size. A region stays mapped until the process ends, so
/// copies of it, words and spans made from it never dangle; whoever makes regions again and again
/// keeps and reuses them. Sizes are sealed, so that no other process can shrink the file under this
/// one.
@safe @frozen
public struct SharedRegion: Sendable {
    @usableFromInline nonisolated(unsafe) let base: UnsafeMutableRawPointer
    /// The region's size in bytes.
    public let size: Int

    /// What this process may do with a region. A change through a read-only one is a fault.
    public enum Access: Sendable {
        case readOnly
        case readWrite
    }

    /// Makes a memory file of zeros, mode 0600, close-on-exec, its size sealed, and maps it.
    ///
    /// - Returns: the region, and the file's descriptor, which the caller owns.
    public static func create(
        name: StaticString, size: Int
    ) throws(SharedMemoryError) -> (region: SharedRegion, descriptor: Int32) {
        precondition(size > 0)
        let descriptor = name.withUTF8Buffer { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { text in
                unsafe memfd_create(text.baseAddress!, UInt32(MFD_CLOEXEC | MFD_ALLOW_SEALING))
            }
        }
        guard descriptor >= 0 else { throw failure("memfd_create") }
        do throws(SharedMemoryError) {
            guard fchmod(descriptor, 0o600) == 0 else { throw failure("fchmod") }
            guard ftruncate(descriptor, size) == 0 else { throw failure("ftruncate") }
            let seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL
            guard clinux_fcntl(descriptor, F_ADD_SEALS, seals) == 0 else { throw failure("fcntl") }
            return (try SharedRegion(mapping: descriptor, access: .readWrite), descriptor)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Maps the whole of a memory file; the descriptor stays the caller's and may be closed at
    /// once.
    public init(mapping descriptor: Int32, access: Access) throws(SharedMemoryError) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw Self.failure("fstat") }
        guard status.st_size > 0 else { throw SharedMemoryError(call: "fstat", number: 0) }
        let protection = access == .readOnly ? PROT_READ : PROT_READ | PROT_WRITE
        let address = unsafe mmap(nil, status.st_size, protection, MAP_SHARED, descriptor, 0)
        // MAP_FAILED is a cast, which Swift does not import: all bits set.
        guard let address = unsafe address, Int(bitPattern: address) != -1 else {
            throw Self.failure("mmap")
        }
        unsafe base = address
        size = status.st_size
    }

    /// A second descriptor of a memory file through which it can be mapped read-only, and no other
    /// way.
    ///
    /// - Returns: a close-on-exec descriptor that the caller owns.
    public static func readOnlyDescriptor(
        of descriptor: Int32
    ) throws(SharedMemoryError) -> Int32 {
        let copy = unsafe clinux_open("/proc/self/fd/\(descriptor)", O_RDONLY | O_CLOEXEC, 0)
        guard copy >= 0 else { throw failure("open") }
        return copy
    }

    private static func failure(_ call: String) -> SharedMemoryError {
        SharedMemoryError(call: call, number: clinux_errno())
    }
}

// MARK: words

extension SharedRegion {
    /// The 64-bit word at a byte offset that is a multiple of 8.
    @inlinable
    public func word(at offset: Int) -> SharedWord {
        precondition(offset & 7 == 0 && offset >= 0 && offset <= size &- 8)
        return unsafe SharedWord(unsafeAt: base + offset)
    }

    /// The 32-bit word at a byte offset that is a multiple of 4.
    @inlinable
    public func word32(at offset: Int) -> SharedWord32 {
        precondition(offset & 3 == 0 && offset >= 0 && offset <= size &- 4)
        return unsafe SharedWord32(unsafeAt: base + offset)
    }

    /// The byte at an offset.
    @inlinable
    public func byte(at offset: Int) -> SharedByte {
        precondition(offset >= 0 && offset < size)
        return unsafe SharedByte(unsafeAt: base + offset)
    }
}

// MARK: plain bytes

extension SharedRegion {
    /// The bytes of an area, in place. Whoever reads them makes sure, by a word, that nobody writes
    /// there.
    @inlinable
    @_lifetime(immortal)
    public func bytes(at offset: Int, count: Int) -> Span<UInt8> {
        check(offset, count)
        let start = unsafe (base + offset).assumingMemoryBound(to: UInt8.self)
        return unsafe _overrideLifetime(
            Span(_unsafeStart: UnsafePointer(start), count: count), borrowing: ())
    }

    /// Copies an area into `target`, from its start on; the area may change meanwhile, which the
    /// caller finds out by a word of its own.
    public func copyBytes(at offset: Int, count: Int, into target: inout MutableSpan<UInt8>) {
        check(offset, count)
        precondition(count <= target.count)
        let source = unsafe base + offset
        unsafe target.withUnsafeMutableBytes { bytes in
            guard count > 0, let start = bytes.baseAddress else { return }
            unsafe start.copyMemory(from: source, byteCount: count)
        }
    }

    /// Writes bytes into an area that only this process writes.
    public func write(_ bytes: Span<UInt8>, at offset: Int) {
        check(offset, bytes.count)
        let target = unsafe base + offset
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            #if CRASH_STEPS
                var done = 0
                while done < source.count {
                    let piece = min(8, source.count - done)
                    CrashSteps.step()
                    unsafe (target + done).copyMemory(from: start + done, byteCount: piece)
                    done += piece
                }
            #else
                unsafe target.copyMemory(from: start, byteCount: source.count)
            #endif
        }
    }

    /// Sets an area to zeros that only this process writes.
    public func clear(at offset: Int, count: Int) {
        check(offset, count)
        #if CRASH_STEPS
            CrashSteps.step()
        #endif
        unsafe memset(base + offset, 0, count)
    }

    /// A writer into an area that only this process writes.
    @inlinable
    public func writer(at offset: Int, count: Int) -> ByteWriter {
        check(offset, count)
        #if CRASH_STEPS
            CrashSteps.step()
        #endif
        let start = unsafe (base + offset).assumingMemoryBound(to: UInt8.self)
        return unsafe ByteWriter(
            unsafeInto: UnsafeMutableBufferPointer(start: start, count: count))
    }

    @inlinable @inline(__always)
    func check(_ offset: Int, _ count: Int) {
        precondition(offset >= 0 && count >= 0 && offset <= size && count <= size &- offset)
    }
}
