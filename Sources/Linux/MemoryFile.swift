import CLinux

/// Files that live in memory only and have no name: for shared memory, and to hand bytes to
/// children.
package enum MemoryFile {
    /// A writable memory file of `size` zero bytes, mode 0600, whose size can never change again.
    ///
    /// - Parameter name: shown in `/proc/PID/maps`, for people only.
    package static func shared(name: String, size: Int) throws(SystemError) -> Descriptor {
        let file = try create(name)
        guard ftruncate(file.number, off_t(size)) == 0 else { throw SystemError("ftruncate") }
        try seal(file, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
        return file
    }

    /// A memory file that holds these bytes for ever: nobody, not even its maker, can alter it.
    package static func sealed(name: String, _ bytes: [UInt8]) throws(SystemError) -> Descriptor {
        let file = try create(name)
        try file.writeAll(bytes)
        guard lseek(file.number, 0, SEEK_SET) == 0 else { throw SystemError("lseek") }
        try seal(file, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
        return file
    }

    private static func create(_ name: String) throws(SystemError) -> Descriptor {
        let number = unsafe memfd_create(name, UInt32(MFD_CLOEXEC) | UInt32(MFD_ALLOW_SEALING))
        guard number >= 0 else { throw SystemError("memfd_create") }
        let file = Descriptor(owning: number)
        guard fchmod(file.number, 0o600) == 0 else { throw SystemError("fchmod") }
        return file
    }

    private static func seal(_ file: borrowing Descriptor, _ seals: Int32) throws(SystemError) {
        guard clinux_fcntl(file.number, F_ADD_SEALS, seals) == 0 else { throw SystemError("fcntl") }
    }
}
