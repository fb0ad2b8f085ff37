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

    /// The oldest signal that waits; nil when there is none. Equal ones that wait are one.
    package func next() -> Int32? {
        var info = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        let got = unsafe read(descriptor.number, &info, size)
        return got == size ? Int32(info.ssi_signo) : nil
    }

    /// Lets the process ignore a signal for good; a pipe or socket that closed is an error instead.
    package static func ignore(_ number: Int32) {
        clinux_ignore_signal(number)
    }
}
