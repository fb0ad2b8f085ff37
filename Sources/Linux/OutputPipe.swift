import CLinux

/// What a child writes on its standard output and error, taken line by line without ever waiting.
package struct OutputPipe: ~Copyable {
    /// Longest line kept whole in bytes; a longer one comes in pieces of this size.
    package static let lineBytesMax = 16 << 10
    /// Bytes taken in one call, so that a child that writes without end holds nobody up.
    private static let turnBytesMax = 256 << 10

    private let descriptor: Descriptor
    private var rest: [UInt8] = []
    package private(set) var isClosed = false

    package var number: Int32 { descriptor.number }

    /// - Parameter descriptor: the read end, made non-blocking by `pipe`.
    package init(owning descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// A pipe: its reader, non-blocking, and the blocking write end for a child; both
    /// close-on-exec.
    package static func pipe() throws(SystemError) -> Ends {
        var numbers: [Int32] = [-1, -1]
        guard unsafe pipe2(&numbers, O_CLOEXEC) == 0 else { throw SystemError("pipe2") }
        let ends = Ends(
            reader: Descriptor(owning: numbers[0]), writer: Descriptor(owning: numbers[1]))
        guard clinux_fcntl(numbers[0], F_SETFL, O_NONBLOCK) == 0 else { throw SystemError("fcntl") }
        return ends
    }

    package struct Ends: ~Copyable {
        package let reader: Descriptor
        package let writer: Descriptor

        /// Gives both away; the caller closes them, or hands them on.
        package consuming func release() -> (reader: Int32, writer: Int32) {
            (reader.release(), writer.release())
        }
    }

    /// The whole lines that have come, without their ends; at the end of the pipe also an
    /// unfinished last one.
    ///
    /// Bytes that are no UTF-8 are replaced.
    package mutating func lines() -> [String] {
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        var lines: [String] = []
        var taken = 0
        while taken < Self.turnBytesMax, !isClosed {
            let room = piece.count
            let got = unsafe read(descriptor.number, &piece, room)
            if got < 0 { if clinux_errno() == EINTR { continue } else { break } }
            if got == 0 {
                isClosed = true
                break
            }
            taken += got
            append(piece[..<got], to: &lines)
        }
        if isClosed && !rest.isEmpty {
            lines.append(String(decoding: rest, as: UTF8.self))
            rest = []
        }
        return lines
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>, to lines: inout [String]) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
                lines.append(String(decoding: rest, as: UTF8.self))
                rest.removeAll(keepingCapacity: true)
            } else {
                rest.append(byte)
                if rest.count == Self.lineBytesMax {
                    lines.append(String(decoding: rest, as: UTF8.self))
                    rest.removeAll(keepingCapacity: true)
                }
            }
        }
    }
}
