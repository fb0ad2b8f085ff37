import CLinux

/// A folder that only its owner may look into (mode 0700), for keys: files of mode 0600, replaced
/// whole or not at all.
package struct PrivateFolder: ~Copyable {
    private let folder: Descriptor

    /// The largest file it reads, in bytes: certificates and keys are a few KiB.
    package static let fileBytesMax = 1 << 20

    /// Opens the folder, makes it and the folders above it where they are missing, and takes the
    /// rights of others away.
    ///
    /// - Throws: `EPERM` where the folder belongs to somebody else.
    package init(_ path: String) throws(SystemError) {
        try PrivateFolder.make(path)
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let number = unsafe clinux_open(path, flags, 0)
        guard number >= 0 else { throw SystemError("open") }
        let folder = Descriptor(owning: number)
        try PrivateFolder.shut(folder)
        self.folder = folder
    }

    /// Sees to it that nobody else may look in.
    private static func shut(_ folder: borrowing Descriptor) throws(SystemError) {
        var status = stat()
        guard unsafe fstat(folder.number, &status) == 0 else { throw SystemError("fstat") }
        guard status.st_uid == geteuid() else { throw SystemError("open", number: EPERM) }
        guard status.st_mode & 0o077 == 0 || fchmod(folder.number, 0o700) == 0 else {
            throw SystemError("fchmod")
        }
    }

    private static func make(_ path: String) throws(SystemError) {
        if unsafe mkdir(path, 0o700) == 0 || clinux_errno() == EEXIST { return }
        let number = clinux_errno()
        guard number == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw SystemError("mkdir", number: number)
        }
        // What is above is not private: others' folders may stand beside this one.
        try FileSystem.makeFolder(String(path[..<slash]), mode: 0o711)
        guard unsafe mkdir(path, 0o700) == 0 || clinux_errno() == EEXIST else {
            throw SystemError("mkdir")
        }
    }

    /// Waits until no other process holds the folder; given back when this value goes.
    ///
    /// Throws `EWOULDBLOCK` after two seconds: who makes a certificate needs milliseconds, and the
    /// one who asks may have more to do.
    package borrowing func lock() throws(SystemError) {
        for _ in 0..<Self.lockTries {
            if flock(folder.number, LOCK_EX | LOCK_NB) == 0 { return }
            guard [EINTR, EWOULDBLOCK].contains(clinux_errno()) else { throw SystemError("flock") }
            usleep(Self.lockMicroseconds)
        }
        throw SystemError("flock", number: EWOULDBLOCK)
    }

    private static let lockTries = 200
    private static let lockMicroseconds: UInt32 = 10_000

    /// The whole of a file, nil where there is none. The rights of others to it are taken away.
    package borrowing func read(_ name: String) throws(SystemError) -> [UInt8]? {
        let flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
        let number = unsafe clinux_openat(folder.number, name, flags, 0)
        if number < 0, clinux_errno() == ENOENT { return nil }
        guard number >= 0 else { throw SystemError("openat") }
        let file = Descriptor(owning: number)
        var status = stat()
        guard unsafe fstat(file.number, &status) == 0 else { throw SystemError("fstat") }
        guard status.st_mode & 0o077 == 0 || fchmod(file.number, 0o600) == 0 else {
            throw SystemError("fchmod")
        }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let room = piece.count
            let count = unsafe CLinux.read(file.number, &piece, room)
            if count < 0, clinux_errno() == EINTR { continue }
            guard count >= 0 else { throw SystemError("read") }
            if count == 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= PrivateFolder.fileBytesMax else {
                throw SystemError("read", number: EFBIG)
            }
        }
    }

    /// Puts `bytes` in place of the file, in one step that a crash cannot cut in two.
    package borrowing func write(_ bytes: [UInt8], to name: String) throws(SystemError) {
        let temporary = ".\(name).\(getpid())"
        unsafe _ = unlinkat(folder.number, temporary, 0)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let number = unsafe clinux_openat(folder.number, temporary, flags, 0o600)
        guard number >= 0 else { throw SystemError("openat") }
        let file = Descriptor(owning: number)
        do throws(SystemError) {
            try PrivateFolder.fill(file, bytes)
            guard unsafe renameat(folder.number, temporary, folder.number, name) == 0 else {
                throw SystemError("renameat")
            }
        } catch {
            unsafe _ = unlinkat(folder.number, temporary, 0)
            throw error
        }
        guard fsync(folder.number) == 0 else { throw SystemError("fsync") }
    }

    private static func fill(
        _ file: borrowing Descriptor, _ bytes: [UInt8]
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let number = file.number
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe CLinux.write(number, buffer.baseAddress! + done, buffer.count - done)
            }
            if count < 0, clinux_errno() == EINTR { continue }
            guard count >= 0 else { throw SystemError("write") }
            done += count
        }
        guard fsync(file.number) == 0 else { throw SystemError("fsync") }
    }
}
