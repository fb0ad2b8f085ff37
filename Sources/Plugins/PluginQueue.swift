import Signals

/// The lines that wait for one plug-in: bounded, in order, with gaps that its sequence numbers
/// show.
struct PluginQueue {
    /// Bytes that may wait for one plug-in, whatever `queue.length` is: lines are about 1 KiB, and
    /// 14 at most.
    static let bytesMax = 16 << 20

    /// A line without its beginning, which carries the sequence number.
    private struct Line {
        let signal: Signal
        /// From `,"time"` to the line feed; shared by all plug-ins.
        let body: [UInt8]
        /// Lines that were lost in front of it.
        var lostBefore: UInt64
    }

    private let length: Int
    private let whenFull: PluginOptions.WhenFull
    private var lines: [Line] = []
    private var first = 0
    private var bytes = 0
    /// Lines lost since the last one that was added.
    private var lostAtEnd: UInt64 = 0
    private var seq: UInt64 = 0
    /// Lines lost since the plug-in's first start.
    private(set) var dropped: UInt64

    /// - Parameter dropped: lines lost before.
    init(length: Int, whenFull: PluginOptions.WhenFull, dropped: UInt64 = 0) {
        self.dropped = dropped
        self.length = length
        self.whenFull = whenFull
    }

    var count: Int { lines.count - first }
    var isEmpty: Bool { count == 0 }

    /// True when one more line would cost one.
    var isFull: Bool { count >= length || bytes >= Self.bytesMax }

    /// Adds a line; when there is no room one is lost, by the plug-in's choice the newest or the
    /// oldest.
    mutating func add(_ signal: Signal, _ body: [UInt8]) {
        if isFull {
            guard whenFull == .oldest, count > 0 else { return lose(1) }
            dropOldest()
        }
        lines.append(Line(signal: signal, body: body, lostBefore: lostAtEnd))
        lostAtEnd = 0
        bytes += body.count
    }

    /// Counts signals that were lost before they were lines.
    mutating func lose(_ count: UInt64) {
        dropped += count
        lostAtEnd += count
    }

    private mutating func dropOldest() {
        let line = lines[first]
        remove()
        dropped += 1
        if isEmpty {
            lostAtEnd += line.lostBefore + 1
        } else {
            lines[first].lostBefore += line.lostBefore + 1
        }
    }

    /// Appends the oldest line with its sequence number, which counts lost ones too; false when
    /// there is none.
    mutating func next(into target: inout [UInt8]) -> Bool {
        guard !isEmpty else { return false }
        let line = lines[first]
        seq += 1 + line.lostBefore
        target += PluginText.heads[Int(line.signal.rawValue)]
        target += String(seq).utf8
        target += line.body
        remove()
        return true
    }

    private mutating func remove() {
        bytes -= lines[first].body.count
        first += 1
        // Moving what is left costs less than one step for each line that was taken.
        if first > 64, first > lines.count / 2 {
            lines.removeFirst(first)
            first = 0
        }
    }

    /// Begins with 1 again, for a process that was started anew. Gaps in front of what waits are
    /// forgotten with the old numbers; `plugin_started` says how much was lost.
    mutating func restart() {
        seq = 0
        lostAtEnd = 0
        for index in first..<lines.count { lines[index].lostBefore = 0 }
    }

    /// Counts what still waits as lost.
    mutating func giveUp() -> UInt64 {
        let rest = UInt64(count)
        lines = []
        first = 0
        bytes = 0
        dropped += rest
        return rest
    }
}
