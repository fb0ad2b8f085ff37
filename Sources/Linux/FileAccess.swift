import CLinux

/// Largest file that `readAll` takes: configuration, certificates and role sheets are far smaller,
/// and a device that never ends must not fill memory. Bytes.
private let fileBytesMax = 64 << 20

extension Descriptor {
    /// Everything from the file's start to its end, wherever its position stands; the position is
    /// not moved.
    ///
    /// Throws `EFBIG` for more than 64 MiB.
    package borrowing func readAll() throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let room = piece.count
            let got = unsafe pread(number, &piece, room, off_t(bytes.count))
            if got < 0 && clinux_errno() == EINTR { continue }
            guard got >= 0 else { throw SystemError("pread") }
            if got == 0 { return bytes }
            bytes += piece[..<got]
            guard bytes.count <= fileBytesMax else { throw SystemError("pread", number: EFBIG) }
        }
    }

    /// Writes every byte at the file's position, waiting where the file makes one wait.
    package borrowing func writeAll(_ bytes: [UInt8]) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe write(number, $0.baseAddress! + done, $0.count - done)
            }
            if count < 0 && clinux_errno() == EINTR { continue }
            guard count >= 0 else { throw SystemError("write") }
            done += count
        }
    }
}

extension Descriptor {
    /// Writes as much as the other end takes at once, for logs that must not hold the writer up.
    ///
    /// False when bytes are left over: a pipe is full, or the disk is.
    package static func writeNow(_ bytes: Span<UInt8>, to number: Int32) -> Bool {
        LogFile.write(bytes, to: number) == .bytes(bytes.count)
    }

    /// Locks the file for this open file alone, until its last copy is closed; false when another
    /// has it.
    package borrowing func tryLock() -> Bool { clinux_flock_try(number) == 0 }

    /// What has come on a non-blocking socket or pipe; empty at its end, nil when nothing waits.
    package borrowing func readAvailable(atMost count: Int) throws(SystemError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = unsafe read(number, &bytes, count)
        guard got >= 0 else {
            switch clinux_errno() {
            case EAGAIN, EINTR: return nil
            default: throw SystemError("read")
            }
        }
        return Array(bytes[..<got])
    }
}

/// Files, folders and links by path, with the kernel's own words when something is wrong.
package enum FileSystem {
    /// What `stat` says about a path.
    package struct Status: Equatable, Sendable {
        package var isFolder: Bool
        package var isSocket: Bool
        /// The permission bits, such as 0o600.
        package var mode: UInt32
        package var user: UInt32
        package var group: UInt32
        package var inode: UInt64
    }

    /// - Parameter followsLinks: false: of a symbolic link itself, which is no folder.
    package static func status(of path: String, followsLinks: Bool = true) throws(SystemError)
        -> Status
    {
        var raw = stat()
        let result = unsafe followsLinks ? stat(path, &raw) : lstat(path, &raw)
        guard result == 0 else { throw SystemError("stat") }
        return Status(
            isFolder: clinux_is_directory(raw.st_mode) != 0,
            isSocket: clinux_is_socket(raw.st_mode) != 0, mode: raw.st_mode & 0o7777,
            user: raw.st_uid, group: raw.st_gid, inode: UInt64(raw.st_ino))
    }

    /// Everything in a regular file; `readAll` names the limit. It never waits for a writer.
    ///
    /// Throws `SystemError.irregular` for a pipe or a device, `EISDIR` for a folder.
    package static func read(_ path: String) throws(SystemError) -> [UInt8] {
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
        let number = unsafe clinux_open(path, flags, 0)
        guard number >= 0 else { throw SystemError("open") }
        let file = Descriptor(owning: number)
        var status = stat()
        guard unsafe fstat(file.number, &status) == 0 else { throw SystemError("fstat") }
        guard clinux_is_regular(status.st_mode) != 0 else {
            let isFolder = clinux_is_directory(status.st_mode) != 0
            throw SystemError("open", number: isFolder ? EISDIR : SystemError.irregular)
        }
        return try file.readAll()
    }

    /// Whether an access list (acl(5)) says more about a path than its mode bits do.
    package static func hasAccessList(_ path: String) -> Bool {
        unsafe getxattr(path, "system.posix_acl_access", nil, 0) > 0
    }

    /// Why we may not write to a file, or make files in a folder; nil when we may.
    package static func writeFault(_ path: String, isFolder: Bool) -> SystemError? {
        unsafe euidaccess(path, isFolder ? W_OK | X_OK : W_OK) == 0 ? nil : SystemError("access")
    }

    /// Like `read`, as text; bytes that are no UTF-8 are replaced.
    package static func readText(_ path: String) throws(SystemError) -> String {
        String(decoding: try read(path), as: UTF8.self)
    }

    /// Makes or empties a file and fills it.
    package static func write(
        _ bytes: [UInt8], to path: String, mode: UInt32 = 0o644
    ) throws(SystemError) {
        let number = unsafe clinux_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard number >= 0 else { throw SystemError("open") }
        let file = Descriptor(owning: number)
        try file.writeAll(bytes)
        guard fchmod(file.number, mode) == 0 else { throw SystemError("fchmod") }
    }

    /// Opens a log: made when it is not there, every write goes to its end.
    ///
    /// A pipe without a reader does not hold the caller up; `ENXIO` says so.
    package static func openLog(_ path: String, mode: UInt32 = 0o640) throws(SystemError)
        -> Descriptor
    {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
        let number = unsafe clinux_open(path, flags, mode)
        guard number >= 0 else { throw SystemError("open") }
        return Descriptor(owning: number)
    }

    /// A log on a descriptor that is open already, such as standard output: a copy of it, for it
    /// may be a socket or somebody else's pipe, which cannot be opened by a path. A pipe that can
    /// is opened anew, so that writes to it never wait, without a change for those who share it.
    package static func log(on number: Int32) throws(SystemError) -> Descriptor {
        let copy = clinux_fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw SystemError("fcntl") }
        let log = Descriptor(owning: copy)
        var status = stat()
        guard unsafe fstat(copy, &status) == 0 else { throw SystemError("fstat") }
        guard clinux_is_regular(status.st_mode) != 0 else {
            guard clinux_is_pipe(status.st_mode) != 0 else { return log }
            do throws(SystemError) {
                return try openLog("/proc/self/fd/\(number)")
            } catch {
                return log
            }
        }
        // A file gets lines from every edge: each goes to the end.
        let flags = clinux_fcntl(copy, F_GETFL, 0)
        guard flags >= 0, clinux_fcntl(copy, F_SETFL, flags | O_APPEND) == 0 else {
            throw SystemError("fcntl")
        }
        return log
    }

    /// Opens or makes a file to lock, mode 0600; never what a symbolic link leads to.
    package static func openLock(_ path: String) throws(SystemError) -> Descriptor {
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC
        let number = unsafe clinux_open(path, flags, 0o600)
        guard number >= 0 else { throw SystemError("open") }
        return Descriptor(owning: number)
    }

    /// Makes a folder and those above it; one that is there already is left as it is.
    package static func makeFolder(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
        guard unsafe mkdir(path, mode) != 0 else {
            // umask took bits away that were asked for.
            guard unsafe chmod(path, mode) == 0 else { throw SystemError("chmod") }
            return
        }
        let number = clinux_errno()
        if number == EEXIST, let status = try? status(of: path), status.isFolder { return }
        guard number == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw SystemError("mkdir", number: number)
        }
        try makeFolder(String(path[..<slash]), mode: 0o755)
        guard unsafe mkdir(path, mode) == 0, unsafe chmod(path, mode) == 0 else {
            throw SystemError("mkdir")
        }
    }

    /// Lets others go through a folder of ours to what they own below it; it stays closed to their
    /// eyes.
    package static func allowSearch(ofFolder path: String) throws(SystemError) {
        let status = try status(of: path)
        guard status.user == geteuid(), status.mode & 0o011 != 0o011 else { return }
        try changeMode(path, status.mode & 0o7777 | 0o011)
    }

    /// Removes a file or socket; one that is not there is no error.
    package static func remove(_ path: String) throws(SystemError) {
        guard unsafe unlink(path) == 0 || clinux_errno() == ENOENT else {
            throw SystemError("unlink")
        }
    }

    /// Empties an open file.
    package static func truncate(_ number: Int32) throws(SystemError) {
        guard ftruncate(number, 0) == 0 else { throw SystemError("ftruncate") }
    }

    /// Removes an empty folder; one that is not there is no error.
    package static func removeFolder(_ path: String) throws(SystemError) {
        guard unsafe rmdir(path) == 0 || clinux_errno() == ENOENT else {
            throw SystemError("rmdir")
        }
    }

    package static func rename(_ old: String, to new: String) throws(SystemError) {
        guard unsafe CLinux.rename(old, new) == 0 else { throw SystemError("rename") }
    }

    package static func changeMode(_ path: String, _ mode: UInt32) throws(SystemError) {
        guard unsafe chmod(path, mode) == 0 else { throw SystemError("chmod") }
    }

    package static func changeOwner(_ path: String, user: UInt32, group: UInt32) throws(SystemError)
    {
        guard unsafe chown(path, user, group) == 0 else { throw SystemError("chown") }
    }

    /// The same of a folder that is no symbolic link.
    package static func changeOwner(
        ofFolder path: String, user: UInt32, group: UInt32
    ) throws(SystemError) {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let number = unsafe clinux_open(path, flags, 0)
        guard number >= 0 else { throw SystemError("open") }
        let folder = Descriptor(owning: number)
        guard fchown(folder.number, user, group) == 0 else { throw SystemError("fchown") }
    }

    /// What a symbolic link says.
    package static func target(ofLink path: String) throws(SystemError) -> String {
        var room = [UInt8](repeating: 0, count: 4096)
        let size = room.count
        let count = unsafe room.withUnsafeMutableBytes {
            unsafe readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), size)
        }
        guard count >= 0 else { throw SystemError("readlink") }
        return String(decoding: room[..<count], as: UTF8.self)
    }

    /// The names in a folder, without `.` and `..`, in no order.
    package static func names(in folder: String) throws(SystemError) -> [String] {
        guard let stream = unsafe opendir(folder) else { throw SystemError("opendir") }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
