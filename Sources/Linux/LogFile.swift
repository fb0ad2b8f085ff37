import CLinux

/// Writing whole lines to a log's descriptor, which somebody else opened.
public enum LogFile {
    /// Writes what the log takes without making anybody wait, whatever the descriptor is: a file
    /// (with `O_APPEND`) gets all of it with one call, so that the lines of several writers do not
    /// mix; a pipe, socket or terminal, which others may share and expect to wait, as much as it
    /// has room for, in pieces that end with a line and that the kernel takes whole (PIPE_BUF,
    /// pipe(7)). A line longer than `lineBytesMax` may be torn there by those of others.
    ///
    /// `SIGPIPE` has to be ignored: a pipe without a reader is `failed`.
    public static func write(_ bytes: Span<UInt8>, to file: Int32) -> SendResult {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { return .failed(clinux_errno()) }
        let isFile = clinux_is_regular(status.st_mode) != 0
        var done = 0
        while done < bytes.count {
            let end = isFile ? bytes.count : endOfLines(bytes, from: done)
            switch writePiece(bytes.extracting(done..<end), file) {
            case .bytes(let count) where count > 0: done += count
            case let other: return done > 0 ? .bytes(done) : other
            }
        }
        return .bytes(done)
    }

    /// What a pipe that is ready takes without blocking, and whole (PIPE_BUF, pipe(7)), in bytes.
    private static let pipePieceSize = 4096

    /// The longest line, in bytes, that stays whole beside those of other writers: a pipe's or
    /// socket's is short, a file takes any, and on a terminal whole words matter more.
    public static func lineBytesMax(of file: Int32) -> Int {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { return .max }
        let isShared = clinux_is_pipe(status.st_mode) != 0 || clinux_is_socket(status.st_mode) != 0
        return isShared ? pipePieceSize : .max
    }

    /// Where the last line ends that fits into a piece; of a line that does not, a piece.
    private static func endOfLines(_ bytes: Span<UInt8>, from start: Int) -> Int {
        let most = min(start + pipePieceSize, bytes.count)
        var end = most
        while end > start, bytes[end - 1] != 0x0A { end -= 1 }
        return end > start ? end : most
    }

    private static func writePiece(_ bytes: Span<UInt8>, _ file: Int32) -> SendResult {
        var entry = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&entry, 1, 0) == 1 else { return .wouldBlock }
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
