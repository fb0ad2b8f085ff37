import Memory

/// Cuts what a child prints into lines, whatever pieces it comes in, within a bound.
///
/// A line longer than `lineBytesMax` comes in several pieces, cut between characters where it can be.
/// A carriage return before the line feed is left out; empty lines are too.
public struct LineSplitter: ~Copyable {
    /// The longest piece in bytes; the rest of a longer line follows as the next one.
    public static let lineBytesMax = 8192

    private var memory: ByteScratch? = nil

    public init() {}

    /// Takes bytes and calls `line` for each line that they complete.
    ///
    /// Memory is held only while a line is incomplete.
    public mutating func take(_ bytes: Span<UInt8>, line: (Span<UInt8>) -> Void) {
        var start = 0
        for index in bytes.indices where bytes[index] == 0x0A {
            take(piece: bytes.extracting(start..<index), line: line)
            flush(line: line)
            start = index + 1
        }
        take(piece: bytes.extracting(start..<bytes.count), line: line)
    }

    /// Tells a last line that had no line feed, at the end of the output.
    public mutating func end(line: (Span<UInt8>) -> Void) {
        flush(line: line)
    }

    private mutating func take(piece: Span<UInt8>, line: (Span<UInt8>) -> Void) {
        var start = 0
        while start < piece.count {
            if memory == nil { memory = ByteScratch(capacity: Self.lineBytesMax) }
            let held = memory!.writer.count
            let count = min(Self.lineBytesMax - held, piece.count - start)
            let rest = piece.extracting(start..<piece.count)
            let part = rest.cut(at: count)
            if part.isEmpty {
                flush(line: line)
                continue
            }
            memory!.writer.write(part)
            start += part.count
            if memory!.writer.count == Self.lineBytesMax { flush(line: line) }
        }
    }

    private mutating func flush(line: (Span<UInt8>) -> Void) {
        guard let held = memory.take() else { return }
        var text = held.bytes
        if text.count > 0, text[text.count - 1] == 0x0D {
            text = text.extracting(0..<(text.count - 1))
        }
        if !text.isEmpty { line(text) }
    }
}
