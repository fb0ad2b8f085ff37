import CLinux

/// What this process is to the kernel and to its family.
package enum ProcessTraits {
    package static var pid: Int32 { getpid() }
    package static var parent: Int32 { getppid() }
    package static var isRoot: Bool { geteuid() == 0 }
    package static var effectiveUser: UInt32 { geteuid() }
    package static var effectiveGroup: UInt32 { getegid() }

    /// Orphans below this process become its children instead of init's.
    package static func becomeSubreaper() throws(SystemError) {
        guard clinux_prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 else { throw SystemError("prctl") }
    }

    /// No core dump and no debugger: memory with keys or clients' data stays in the process.
    package static func forbidDumping() throws(SystemError) {
        guard clinux_prctl(PR_SET_DUMPABLE, 0) == 0 else { throw SystemError("prctl") }
    }

    /// Has the kernel send `signal` when the parent ends.
    ///
    /// Changing the user clears it, so call it again after that; a parent that has ended already is
    /// seen by its number having changed from `parent`, and is an `ESRCH`.
    package static func endWithParent(_ parent: Int32, signal: Int32 = SIGKILL) throws(SystemError)
    {
        guard clinux_prctl(PR_SET_PDEATHSIG, UInt(signal)) == 0 else { throw SystemError("prctl") }
        guard getppid() == parent else { throw SystemError("prctl", number: ESRCH) }
    }

    /// The name that `ps` and `top` show, cut at 15 bytes.
    package static func rename(to name: String) {
        _ = unsafe clinux_rename_process(name)
    }

    /// Whether descriptor `number` is a terminal.
    package static func isTerminal(_ number: Int32) -> Bool { isatty(number) == 1 }

    /// Whether descriptor `number` is a terminal that has hung up: its window was closed, its line
    /// was lost.
    package static func isDeadTerminal(_ number: Int32) -> Bool {
        var settings = termios()
        return unsafe tcgetattr(number, &settings) != 0 && clinux_errno() == EIO
    }

    /// Whether this process has a controlling terminal, also when none of its descriptors is one.
    package static var hasTerminal: Bool {
        let number = unsafe clinux_open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK, 0)
        guard number >= 0 else { return false }
        close(number)
        return true
    }

    /// This process's environment as `NAME=value` entries.
    package static var environment: [String] {
        var entries: [String] = []
        guard var position = unsafe clinux_environment() else { return [] }
        while let entry = unsafe position.pointee {
            entries.append(unsafe String(cString: entry))
            unsafe position += 1
        }
        return entries
    }

    /// One variable of this process's environment.
    package static func variable(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    /// Sets a variable of this process's environment.
    package static func setVariable(_ name: String, to value: String) {
        _ = unsafe setenv(name, value, 1)
    }

    /// The parent of a process, and its user: nil when its real, effective and other users differ.
    /// Nil when the process is not there.
    package static func family(of pid: Int32) -> (parent: Int32, user: UInt32?)? {
        guard let text = try? FileSystem.readText("/proc/\(pid)/status") else { return nil }
        func numbers(_ name: String) -> [UInt32] {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
            return line?.split(separator: "\t").dropFirst().compactMap { UInt32($0) } ?? []
        }
        guard let parent = numbers("PPid:").first.flatMap({ Int32(exactly: $0) }) else {
            return nil
        }
        let users = Set(numbers("Uid:"))
        return (parent, users.count == 1 ? users.first : nil)
    }

    /// Whether a process runs and has not begun to end.
    ///
    /// Its streams are closed before its parent hears of its end, so that the kernel's own mark is
    /// read (`PF_EXITING` in proc_pid_stat(5)), which is set before that. Where `/proc` does not
    /// show the process it is only known whether its number is in use.
    package static func lives(_ pid: Int32) -> Bool {
        guard pid > 0 else { return false }
        guard let text = try? FileSystem.readText("/proc/\(pid)/stat"),
            let name = text.lastIndex(of: ")")
        else { return kill(pid, 0) == 0 || clinux_errno() == EPERM }
        let fields = text[text.index(after: name)...].split(separator: " ")
        guard fields.count > 6, let flags = UInt32(fields[6]) else { return true }
        return fields[0] != "Z" && fields[0] != "X" && flags & exitingFlag == 0
    }

    /// `PF_EXITING` of the kernel's `sched.h`.
    private static let exitingFlag: UInt32 = 0x4

    /// Bits that files made from now on do not get; gives those that held before.
    @discardableResult
    package static func setFileMask(_ mask: UInt32) -> UInt32 { umask(mask) }

    /// Where this process stands, absolute.
    package static var folder: String {
        (try? FileSystem.target(ofLink: "/proc/self/cwd")) ?? "/"
    }

    /// Ends the process at once, without any of its clean-up.
    package static func exitNow(_ code: Int32) -> Never { _exit(code) }

    /// Resident memory of a process in bytes; nil when it is not there.
    package static func residentBytes(of pid: Int32) -> UInt64? {
        guard let text = try? FileSystem.readText("/proc/\(pid)/statm"),
            let pages = text.split(separator: " ").dropFirst().first.flatMap({ UInt64($0) })
        else { return nil }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
