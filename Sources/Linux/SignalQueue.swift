import CLinux

/// Signals as something to read: blocked for this process, and taken from a descriptor instead.
///
/// The mask is inherited by children, which is why `ProcessLaunch` starts each with an empty one.
package struct SignalQueue: ~Copyable {
    /// Readable when a signal waits.
    package let descriptor: Descriptor

    /// Blocks `signals` in the calling thread (call it before any other thread is made) and queues
    /// them.
    package init(_ signals: [Int32]) throws(SystemError) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        guard unsafe pthread_sigmask(SIG_BLOCK, &set, nil) == 0 else {
            throw SystemError("pthread_sigmask")
        }
        let number = unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        guard number >= 0 else { throw SystemError("signalfd") }
        descriptor = Descriptor(owning: number)
    }

    /// Keeps the signals that steer a running proxy from ending one that is still reading its
    /// configuration: they wait for the queue. Those that end a proxy end it at once until then.
    package static func holdSteering() {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in [SIGHUP, SIGUSR1, SIGUSR2] { unsafe sigaddset(&set, signal) }
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// The oldest signal that waits; nil when there is none. Equal ones that wait are one.
    package func next() -> Int32? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        let got = unsafe read(descriptor.number, &info, size)
        return got == size ? Int32(info.ssi_signo) : nil
    }

    /// Leaves the signals that steer a proxy to its master, which tells its children by their
    /// channels: a service manager or `killall` sends them to each process. A write to a pipe
    /// without a reader, or over a limit on file sizes, is an error of that write alone.
    ///
    /// Not for a process that becomes another program, which would inherit it.
    package static func leaveToMaster() {
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ] {
            ignore(signal)
        }
    }

    /// Lets the process ignore a signal for good; a pipe or socket that closed is an error instead.
    package static func ignore(_ number: Int32) {
        clinux_ignore_signal(number)
    }
}
