import CLinux

extension FileSystem {
    /// Removes a folder and all that is in it, links as links; one that is not there is no error.
    package static func removeTree(_ path: String) throws(SystemError) {
        try removeEntry(path, of: AT_FDCWD)
    }

    /// Removes all that is in a folder, but for the names in `keeping`.
    package static func emptyFolder(_ path: String, keeping: Set<String>) throws(SystemError) {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let number = unsafe clinux_open(path, flags, 0)
        guard number >= 0 else { throw SystemError("open") }
        try removeEntries(of: Descriptor(owning: number), keeping: keeping)
    }

    /// Goes from folder to folder by descriptors: one whose owner puts a link in the place of a
    /// folder meanwhile leads nobody out of the tree.
    private static func removeEntry(_ name: String, of folder: Int32) throws(SystemError) {
        guard unsafe unlinkat(folder, name, 0) != 0 else { return }
        switch clinux_errno() {
        case ENOENT: return
        case EISDIR: break
        default: throw SystemError("unlink")
        }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let number = unsafe clinux_openat(folder, name, flags, 0)
        guard number >= 0 else { throw SystemError("openat") }
        try removeEntries(of: Descriptor(owning: number), keeping: [])
        guard unsafe unlinkat(folder, name, AT_REMOVEDIR) == 0 || clinux_errno() == ENOENT else {
            throw SystemError("rmdir")
        }
    }

    private static func removeEntries(
        of folder: borrowing Descriptor, keeping: Set<String>
    ) throws(SystemError) {
        for name in try names(in: "/proc/self/fd/\(folder.number)") where !keeping.contains(name) {
            try removeEntry(name, of: folder.number)
        }
    }
}
