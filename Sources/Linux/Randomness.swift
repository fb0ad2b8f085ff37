import CLinux

/// Bytes that nobody can guess, from the kernel.
package enum Randomness {
    package static func bytes(_ count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = unsafe bytes.withUnsafeMutableBytes {
                unsafe getrandom($0.baseAddress! + done, $0.count - done, 0)
            }
            if got < 0 && clinux_errno() == EINTR { continue }
            guard got > 0 else { throw SystemError("getrandom") }
            done += got
        }
        return bytes
    }
}
