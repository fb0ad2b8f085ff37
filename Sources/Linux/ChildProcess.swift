import CLinux

/// How a process ended.
package enum ProcessEnd: Equatable, Sendable, CustomStringConvertible {
    case exited(code: Int32)
    case signalled(number: Int32)

    /// - Parameter raw: what `waitpid` stored.
    package init(raw: Int32) {
        let signal = clinux_status_signal(raw)
        self = signal != 0 ? .signalled(number: signal) : .exited(code: clinux_status_code(raw))
    }

    /// As `waitpid` would store it.
    package var raw: Int32 {
        switch self {
        case .exited(let code): code << 8
        case .signalled(let number): number
        }
    }

    /// For people: `exit 1` or `signal 9 (Killed)`.
    package var description: String {
        switch self {
        case .exited(let code): return "exit \(code)"
        case .signalled(let number):
            let name = unsafe strsignal(number).map { unsafe String(cString: $0) } ?? "?"
            return "signal \(number) (\(name))"
        }
    }
}

/// A process held by a descriptor, so that a signal can never hit a stranger with the same number.
///
/// Letting it go neither ends nor reaps the process.
package struct ChildProcess: ~Copyable {
    package let pid: Int32
    /// Readable once the process has ended.
    package let descriptor: Descriptor

    /// Takes hold of a running process. Throws `ESRCH` when there is none.
    package init(pid: Int32) throws(SystemError) {
        let number = clinux_pidfd_open(pid)
        guard number >= 0 else { throw SystemError("pidfd_open") }
        self.pid = pid
        descriptor = Descriptor(owning: number)
    }

    /// Takes hold of a process whose number somebody has told us who may lie: it has to be a child
    /// of one of `parents` and, when one is named, wholly of this user.
    ///
    /// Throws `ESRCH` when there is none, `EPERM` when it is a stranger.
    package init(pid: Int32, childOf parents: [Int32], user: UInt32?) throws(SystemError) {
        let process = try ChildProcess(pid: pid)
        let family = ProcessTraits.family(of: pid)
        // Still there, so what was read is about the process that is held.
        guard let family, process.send(0) else { throw SystemError("pidfd_open", number: ESRCH) }
        guard parents.contains(family.parent), user == nil || family.user == user else {
            throw SystemError("pidfd_open", number: EPERM)
        }
        self = process
    }

    /// Sends a signal; false when the process has ended already.
    @discardableResult
    package func send(_ signal: Int32) -> Bool {
        clinux_pidfd_signal(descriptor.number, signal) == 0
    }

    /// Sends a signal to the whole process group that this process leads; false when the process
    /// has ended and was reaped: the group's number may then be somebody else's.
    @discardableResult
    package func sendToGroup(_ signal: Int32) -> Bool { send(0) && kill(-pid, signal) == 0 }

    /// Reaps the process if it has ended; nil while it runs.
    package func reap() -> ProcessEnd? {
        var status: Int32 = 0
        let got = unsafe clinux_waitpid(pid, &status, WNOHANG)
        return got == pid ? ProcessEnd(raw: status) : nil
    }

    /// Waits until the process ends, and reaps it.
    package func waitForExit() throws(SystemError) -> ProcessEnd {
        var status: Int32 = 0
        while true {
            let got = unsafe clinux_waitpid(pid, &status, 0)
            if got == pid { return ProcessEnd(raw: status) }
            guard clinux_errno() == EINTR else { throw SystemError("waitpid") }
        }
    }

    /// Whether this process has a child, an adopted orphan or one that is not reaped yet too.
    package static var hasAny: Bool {
        var facts = unsafe siginfo_t()
        let result = unsafe waitid(P_ALL, 0, &facts, WEXITED | WNOHANG | WNOWAIT)
        return result == 0
    }

    /// Reaps any one child of this process that has ended, an adopted orphan too; nil when none
    /// has.
    package static func reapAny() -> (pid: Int32, status: ProcessEnd)? {
        var status: Int32 = 0
        let pid = unsafe clinux_waitpid(-1, &status, WNOHANG)
        return pid > 0 ? (pid, ProcessEnd(raw: status)) : nil
    }
}
