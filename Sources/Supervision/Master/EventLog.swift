internal import Linux
internal import Signals

/// The error log: one line for each event of the master, and for each line its children print.
///
/// Writing never waits: what a full pipe or disk does not take is lost and counted, and said with
/// the next line that gets through.
final class EventLog {
    private var file: OpenFile?
    private var level: EventLevel
    private var line: EventLine
    private var lost = 0
    /// On a terminal the start is told by its last lines; what is only progress is left out until
    /// then.
    var hidesProgress = false

    /// Begins on standard error, as JSON, or as text on a terminal.
    init() {
        level = .info
        line = Self.line(for: 2)
    }

    private static func line(for number: Int32) -> EventLine {
        EventLine(
            format: ProcessTraits.isTerminal(number) ? .text : .json,
            bytesAtMost: LogFile.lineBytesMax(of: number))
    }

    /// The descriptor that children inherit for their own lines.
    var number: Int32 { file?.number ?? 2 }

    /// Whether people read it as it is written.
    var isTerminal: Bool { ProcessTraits.isTerminal(number) }

    /// Goes over to the destination of a configuration, or opens the same one anew.
    func open(_ options: LogOptions) throws(SystemError) {
        file = try Self.file(options.error)
        level =
            switch options.level {
            case .debug: .debug
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
        line = Self.line(for: number)
    }

    /// Opens a destination of the error log.
    static func file(_ destination: LogOptions.Destination) throws(SystemError) -> OpenFile {
        switch destination {
        case .standardError: OpenFile(owning: try FileSystem.log(on: 2))
        case .standardOutput: OpenFile(owning: try FileSystem.log(on: 1))
        case .file(let path): try OpenFile(log: path)
        }
    }

    /// Writes an event; `fill` adds its fields.
    func write(
        _ level: EventLevel, _ event: StaticString, _ fill: (inout EventLine) -> Void = { _ in }
    ) {
        guard level >= self.level, level > .info || !hidesProgress else { return }
        line.begin(level, event, wall: Clock.wall)
        fill(&line)
        if lost > 0 { line.add("lost", lost) }
        line.end()
        emit()
    }

    func debug(_ event: StaticString, _ fill: (inout EventLine) -> Void = { _ in }) {
        write(.debug, event, fill)
    }

    func info(_ event: StaticString, _ fill: (inout EventLine) -> Void = { _ in }) {
        write(.info, event, fill)
    }

    func warning(_ event: StaticString, _ fill: (inout EventLine) -> Void = { _ in }) {
        write(.warning, event, fill)
    }

    func error(_ event: StaticString, _ fill: (inout EventLine) -> Void = { _ in }) {
        write(.error, event, fill)
    }

    /// Writes a line that a child printed; one that is too long for the log is several.
    func output(of source: String, _ text: String) {
        guard .info >= level else { return }
        var source = source
        var text = text
        source.makeContiguousUTF8()
        text.makeContiguousUTF8()
        let bytes = text.utf8.span
        var done = 0
        repeat {
            let rest = bytes.extracting(done..<bytes.count)
            let count = line.output(of: source.utf8.span, rest, wall: Clock.wall)
            emit()
            done += count
            guard count > 0 else { return }
        } while done < bytes.count
    }

    private func emit() {
        if Descriptor.writeNow(line.bytes, to: number) { lost = 0 } else { lost += 1 }
    }
}

/// A descriptor that several own together.
final class OpenFile: Sendable {
    let descriptor: Descriptor
    var number: Int32 { descriptor.number }

    init(owning descriptor: consuming Descriptor) { self.descriptor = descriptor }

    convenience init(log path: String) throws(SystemError) {
        self.init(owning: try FileSystem.openLog(path))
    }
}
