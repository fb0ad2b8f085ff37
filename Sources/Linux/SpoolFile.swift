import CLinux
public import Memory

/// A file without a name that holds the part of a body that does not fit into memory.
///
/// It is read and written at positions, front to back, and vanishes with its descriptor.
public struct SpoolFile: ~Copyable {
    private let file: Descriptor
    /// Bytes written.
    public private(set) var written: UInt64 = 0
    /// Bytes read back.
    public private(set) var readBack: UInt64 = 0

    /// - Throws: what `open` said: no such folder, no room, no descriptor.
    public init(in folder: borrowing FolderPath) throws(SystemError) {
        let number = unsafe folder.bytes.withUnsafeBufferPointer {
            unsafe clinux_open($0.baseAddress!, O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600)
        }
        guard number >= 0 else { throw SystemError("open") }
        file = Descriptor(owning: number)
    }

    /// Bytes written and not read back yet.
    public var count: UInt64 { written - readBack }

    /// Writes all unread bytes of a chain behind the last one. The chain is not changed.
    ///
    /// - Throws: `ENOSPC` and the like; none of the chain's bytes were added then.
    public mutating func append(
        _ chain: BlockChain, of pool: BlockPool
    ) throws(SystemError) {
        let before = written
        var block = chain.first
        while !block.isNone {
            let bytes = unsafe pool.unsafeBytes(of: block)
            var done = 0
            while done < bytes.count {
                let count = unsafe pwrite(
                    file.number, bytes.baseAddress! + done, bytes.count - done,
                    off_t(written) + off_t(done))
                if count > 0 {
                    done += count
                } else if clinux_errno() != EINTR {
                    let error = SystemError("pwrite")
                    written = before
                    throw error
                }
            }
            written += UInt64(done)
            block = chain.block(after: block, in: pool)
        }
    }

    /// Reads the next bytes into the room of a block.
    ///
    /// - Returns: how many; 0 when everything has been read back.
    public mutating func read(
        into block: BlockID, of pool: BlockPool
    ) throws(SystemError) -> Int {
        let room = unsafe pool.unsafeRoom(in: block)
        let wanted = Int(min(UInt64(room.count), count))
        guard wanted > 0 else { return 0 }
        while true {
            let got = unsafe pread(file.number, room.baseAddress!, wanted, off_t(readBack))
            if got > 0 {
                pool.commit(got, to: block)
                readBack += UInt64(got)
                return got
            }
            // Shorter than it was written: the disk lost something.
            if got == 0 { throw SystemError("pread", number: EIO) }
            guard clinux_errno() == EINTR else { throw SystemError("pread") }
        }
    }

    /// Begins to read from the first byte again: for a request that is sent a second time.
    public mutating func rewind() { readBack = 0 }

    /// Begins to write from the first byte again, once everything has been read back.
    public mutating func restart() {
        precondition(count == 0)
        written = 0
        readBack = 0
    }
}

/// A folder's path, kept ready for the kernel.
public struct FolderPath: ~Copyable {
    let bytes: [CChar]
    /// For messages.
    public let text: String

    public init(_ path: String) {
        bytes = path.utf8CString.map { $0 }
        text = path
    }
}
