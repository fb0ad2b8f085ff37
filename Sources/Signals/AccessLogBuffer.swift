import Memory

/// The lines of the access log that are not written yet: whole lines, in order, bounded.
///
/// The caller writes `bytesToWrite` to the log's descriptor when `isDue` says so (asked once a
/// turn) and tells what came of it. A descriptor that blocks or fails (a slow pipe, a full disk) is
/// left alone for a while; when the buffer has filled up, the newest lines are lost and counted.
/// Nothing here ever makes a request wait, and a write that stopped within a line is always carried
/// on from there.
public struct AccessLogBuffer: ~Copyable {
    /// From this many bytes on they are written without waiting for more.
    public static let flushBytes = 65_536
    /// A line is written at the latest this many nanoseconds after it was added.
    public static let flushNanoseconds: UInt64 = 1_000_000_000
    /// The least free room that a line is added to, and a largest line fits in.
    private static let lineBytesMax = RequestLine.lineBytesMax
    /// Room for lines while a pipe is slow, beyond what is flushed.
    private static let capacity = 4 * flushBytes + lineBytesMax
    /// How long a descriptor that blocks is left alone, in nanoseconds: long enough to cost
    /// nothing.
    private static let blockedNanoseconds: UInt64 = 20_000_000
    /// How long one that fails is left alone.
    private static let failedNanoseconds: UInt64 = 1_000_000_000
    /// How often lost lines are reported at most.
    private static let reportNanoseconds: UInt64 = 60_000_000_000

    /// The format that lines are added in.
    public let format: RequestLine.Format
    /// The longest line in bytes: in a pipe a longer one would be torn by those of other edges, and
    /// has its texts cut instead. `RequestLine.shortLineBytesMax` at least.
    public var lineBytesAtMost = Int.max
    private var memory = ByteScratch(capacity: capacity)
    private var line = RequestLine()
    /// Bytes at the front that have been written to the descriptor.
    private var sent = 0
    /// When the oldest line was added that is not written, for `flushNanoseconds`.
    private var oldestAt: UInt64 = 0
    /// Until then the descriptor is left alone.
    private var pausedUntil: UInt64 = 0
    private var lostUnreported: UInt64 = 0
    private var reportedAt: UInt64?
    /// Lines lost since the start.
    public private(set) var lost: UInt64 = 0

    public init(format: RequestLine.Format) {
        self.format = format
    }

    /// Adds a line, or counts it as lost when there is no room.
    /// - Parameter now: monotonic nanoseconds.
    public mutating func add(
        _ facts: RequestFacts, _ result: RequestResult, _ text: RequestText, now: UInt64
    ) {
        let free = memory.writer.capacity - memory.writer.count
        guard free >= Self.lineBytesMax else { return lose(1) }
        let start = memory.writer.count
        if start == sent { oldestAt = now }
        line.write(format, facts, result, text, to: &memory.writer)
        if memory.writer.count - start > lineBytesAtMost {
            line.shorten(
                format, facts, result, text, to: &memory.writer, from: start,
                toAtMost: lineBytesAtMost)
        }
    }

    /// True when nothing waits.
    public var isEmpty: Bool { memory.writer.count == sent }

    /// What is to be written next.
    public var bytesToWrite: Span<UInt8> {
        @_lifetime(borrow self)
        get { memory.bytes.extracting(sent..<memory.writer.count) }
    }

    /// True when `bytesToWrite` should be written in this turn.
    public func isDue(now: UInt64) -> Bool {
        guard !isEmpty, now >= pausedUntil else { return false }
        return memory.writer.count - sent >= Self.flushBytes
            || now &- oldestAt >= Self.flushNanoseconds
    }

    /// When `isDue` becomes true without another line, for the loop's timer; nil when nothing
    /// waits.
    public var dueAt: UInt64? {
        isEmpty ? nil : max(oldestAt + Self.flushNanoseconds, pausedUntil)
    }

    /// Tells that the descriptor took the first `count` bytes of `bytesToWrite`.
    ///
    /// Fewer than all mean that it blocks, or that the disk has become full.
    public mutating func wrote(_ count: Int, now: UInt64) {
        precondition(count >= 0 && count <= memory.writer.count - sent)
        sent += count
        if sent == memory.writer.count {
            memory.writer.truncate(to: 0)
            sent = 0
        } else {
            pausedUntil = now + Self.blockedNanoseconds
        }
    }

    /// Tells that the descriptor took nothing and would block.
    public mutating func blocked(now: UInt64) {
        pausedUntil = now + Self.blockedNanoseconds
    }

    /// Tells that writing failed: the disk is full, or the pipe has no reader.
    public mutating func failed(now: UInt64) {
        pausedUntil = now + Self.failedNanoseconds
    }

    /// Tells that the descriptor is another one now (USR1). What was written of a line stays with
    /// the old one, and the rest of that line is lost, so that the new one begins with a whole
    /// line.
    public mutating func reopened() {
        pausedUntil = 0
        guard sent > 0, memory.bytes[sent - 1] != 0x0A else { return }
        var next = sent
        while memory.bytes[next] != 0x0A { next += 1 }
        lose(1)
        wrote(next + 1 - sent, now: 0)
        pausedUntil = 0
    }

    /// How many lines were lost since the last report; 0 when there is nothing to say, or it was
    /// said within the last minute.
    public mutating func lossToReport(now: UInt64) -> UInt64 {
        guard lostUnreported > 0 else { return 0 }
        if let reportedAt, now &- reportedAt < Self.reportNanoseconds { return 0 }
        reportedAt = now
        defer { lostUnreported = 0 }
        return lostUnreported
    }

    /// How many lost lines were not reported, with those that are not written: nobody will.
    public var lossAtEnd: UInt64 {
        var lines: UInt64 = 0
        for index in sent..<memory.writer.count where memory.bytes[index] == 0x0A { lines += 1 }
        return lostUnreported + lines
    }

    private mutating func lose(_ count: UInt64) {
        lost += count
        lostUnreported += count
    }
}
