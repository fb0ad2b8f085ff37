import Linux
import Memory
import Signals

/// The host's hand on the error log. A log that blocks or fails loses lines, and holds nobody up.
struct PluginLog: ~Copyable {
    private var errors: Descriptor
    private let level: EventLevel
    private var line: EventLine

    init(errors: consuming Descriptor, level: EventLevel, format: EventLine.Format) {
        self.errors = errors
        self.level = level
        line = EventLine(format: format)
    }

    /// Goes on in another file.
    mutating func reopen(_ descriptor: consuming Descriptor) {
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

    /// Passes on a line that a plug-in printed.
    mutating func printed(_ name: String, _ text: String) {
        guard level <= .info else { return }
        line.output(of: name.utf8.span, text.utf8.span, wall: Clock.wall)
        _ = Descriptor.writeNow(line.bytes, to: errors.number)
    }
}
