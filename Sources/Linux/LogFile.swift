import CLinux

/// Writing whole lines to a log's descriptor, which somebody else opened with `O_APPEND`.
public enum LogFile {
    /// Writes the bytes with one call.
    ///
    /// `SIGPIPE` has to be ignored: a pipe without a reader is `failed`.
    public static func write(_ bytes: Span<UInt8>, to file: Int32) -> SendResult {
        while true {
            let count = unsafe bytes.withUnsafeBufferPointer { buffer in
                unsafe CLinux.write(file, buffer.baseAddress, buffer.count)
            }
            if count >= 0 { return .bytes(count) }
            let number = clinux_errno()
            if number == EAGAIN { return .wouldBlock }
            if number != EINTR { return .failed(number) }
        }
    }
}
