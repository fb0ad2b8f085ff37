import CLinux

/// Owns one file descriptor and closes it when it goes out of scope.
public struct Descriptor: ~Copyable, Sendable {
    /// The descriptor's number, valid as long as its owner lives.
    public let number: Int32

    /// Takes over a descriptor that nobody else will close.
    public init(owning number: Int32) {
        precondition(number >= 0)
        self.number = number
    }

    deinit { close(number) }

    /// Gives the number away; the caller closes it, or hands it on.
    public consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }

    /// A second descriptor of the same open file, close-on-exec.
    public borrowing func duplicate() throws(SystemError) -> Descriptor {
        let copy = clinux_fcntl(number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw SystemError("fcntl") }
        return Descriptor(owning: copy)
    }
}
