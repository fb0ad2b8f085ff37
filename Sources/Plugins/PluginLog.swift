import Linux
import Memory
import Signals

/// The host's hand on the error log. A log that blocks or fails loses lines, and holds nobody up.
struct PluginLog: ~Copyable {
    private var errors: Descriptor
    private let level: EventLevel
    private let format: EventLine.Format
    private var line: EventLine

    init(errors: consuming Descriptor, level: EventLevel, format: EventLine.Format) {
        line = EventLine(
            format: format, bytesAtMost: LogFile.lineBytesMax(of: errors.number))
        self.errors = errors
        self.level = level
        self.format = format
    }

    /// Goes on in another file.
    mutating func reopen(_ descriptor: consuming Descriptor) {
        line = EventLine(
            format: format, bytesAtMost: LogFile.lineBytesMax(of: descriptor.number))
        errors = descriptor
    }

    /// Says what happened to a plug-in.
    mutating func said(
        _ level: EventLevel, _ event: StaticString, _ name: String, _ reason: String,
        count: UInt64
    ) {
        guard level >= self.level else { return }
        line.begin(level, event, wall: Clock.wall)
        line.add("plugin", text: name)
        line.add("reason", text: reason)
        line.add("count", Int(clamping: count))
        line.end()
        _ = Descriptor.writeNow(line.bytes, to: errors.number)
    }

    /// Passes on a line that a plug-in printed; one that is too long for the log is several.
    mutating func printed(_ name: String, _ text: String) {
        guard level <= .info else { return }
        let bytes = text.utf8.span
        var done = 0
        repeat {
            let rest = bytes.extracting(done..<bytes.count)
            let count = line.output(of: name.utf8.span, rest, wall: Clock.wall)
            _ = Descriptor.writeNow(line.bytes, to: errors.number)
            done += count
            guard count > 0 else { return }
        } while done < bytes.count
    }
}
