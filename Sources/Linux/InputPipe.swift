import CLinux

extension Descriptor {
    /// Writes once; with a non-blocking descriptor it never waits.
    ///
    /// A pipe without a reader is `.failed(EPIPE)` where the process ignores `SIGPIPE`.
    public borrowing func writeOnce(_ bytes: Span<UInt8>) -> SendResult {
        while true {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe CLinux.write(number, $0.baseAddress, $0.count)
            }
            if count >= 0 { return .bytes(count) }
            let error = clinux_errno()
            if error == EAGAIN { return .wouldBlock }
            if error != EINTR { return .failed(error) }
        }
    }
}

/// The pipe of a child's standard input.
package enum InputPipe {
    /// The writer is non-blocking, the read end for the child blocks; both are close-on-exec.
    package struct Ends: ~Copyable {
        package let reader: Descriptor
        package let writer: Descriptor

        /// Gives both away; the caller closes them, or hands them on.
        package consuming func release() -> (reader: Int32, writer: Int32) {
            (reader.release(), writer.release())
        }
    }

    package static func pipe() throws(SystemError) -> Ends {
        var numbers: [Int32] = [-1, -1]
        guard unsafe pipe2(&numbers, O_CLOEXEC) == 0 else { throw SystemError("pipe2") }
        let ends = Ends(
            reader: Descriptor(owning: numbers[0]), writer: Descriptor(owning: numbers[1]))
        guard clinux_fcntl(numbers[1], F_SETFL, O_NONBLOCK) == 0 else { throw SystemError("fcntl") }
        return ends
    }
}
