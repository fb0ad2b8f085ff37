import Memory

/// How much an event matters, for `logs.error.level`.
public enum EventLevel: UInt8, Comparable, CaseIterable, Sendable {
    case debug = 0
    case info
    case warning
    case error

    /// The word in the line and in the configuration.
    public var word: StaticString {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }

    public static func < (one: EventLevel, other: EventLevel) -> Bool {
        one.rawValue < other.rawValue
    }
}

/// Builds the lines of the error log: `{"time":…,"level":"info","event":"ready",…}`, or for a
/// terminal `2026-11-22T08:00:01.237Z info ready pid=812`.
///
/// One value makes one line after the other in the same memory: `begin`, any `add`, `end`, then
/// `bytes`. Whatever is added, the result is one whole line: text is escaped, and cut where the
/// line would become longer than what it was made for, `bytesMax` at most; a field for which no
/// room is left is left out.
public struct EventLine: ~Copyable {
    /// The longest line in bytes: a line of 16 KiB that a child printed fits, with what stands
    /// around it.
    public static let bytesMax = 20_480
    /// Kept free for the end of the line.
    private static let endBytes = 4
    /// Room for a key and a value that is no text.
    private static let fieldBytes = 128

    /// What lines are written for.
    public enum Format: Sendable {
        /// One JSON object a line.
        case json
        /// Words for people.
        case text
    }

    private let format: Format
    private var memory: ByteScratch
    private var time = TimeText()

    /// - Parameter limit: the longest line in bytes, where lines longer than that may be torn.
    public init(format: Format = .json, bytesAtMost limit: Int = bytesMax) {
        precondition(limit >= Self.bytesMin)
        self.format = format
        memory = ByteScratch(capacity: min(limit, Self.bytesMax))
    }

    /// The least room for a line: what begins it and some fields.
    private static let bytesMin = 1024

    /// The line as built so far; whole after `end`.
    public var bytes: Span<UInt8> {
        @_lifetime(borrow self)
        get { memory.bytes }
    }

    /// Begins a line and forgets the one before.
    /// - Parameter wall: Unix nanoseconds.
    public mutating func begin(_ level: EventLevel, _ event: StaticString, wall: UInt64) {
        memory.removeAll()
        switch format {
        case .json:
            memory.writer.write("{\"time\":\"")
            time.writeRFC3339(wall, to: &memory.writer)
            memory.writer.write("\",\"level\":\"")
            memory.writer.write(level.word)
            memory.writer.write("\",\"event\":\"")
            memory.writer.write(event)
            memory.writer.write(0x22)
        case .text:
            time.writeRFC3339(wall, to: &memory.writer)
            memory.writer.write(0x20)
            memory.writer.write(level.word)
            memory.writer.write(0x20)
            memory.writer.write(event)
        }
    }

    /// Ends the line with a line feed.
    public mutating func end() {
        memory.writer.write(format == .json ? "}\n" : "\n")
    }

    /// Adds text that may hold anything.
    public mutating func add(_ key: StaticString, _ text: Span<UInt8>) { _ = addFront(key, text) }

    /// - Returns: how many of the text's bytes are in the line.
    private mutating func addFront(_ key: StaticString, _ text: Span<UInt8>) -> Int {
        guard beginField(key) else { return 0 }
        let part = text.front(inJSON: room)
        write(part)
        return part.count
    }

    /// Adds text of which the end says the most, such as a traceback: where there is no room for
    /// all of it, its front is left out.
    public mutating func add(_ key: StaticString, endOf text: String) {
        guard beginField(key) else { return }
        var text = text
        text.makeContiguousUTF8()
        write(text.utf8.span.end(inJSON: room))
    }

    /// Bytes that a text may take.
    private var room: Int {
        memory.writer.capacity - memory.writer.count - Self.endBytes - 2
    }

    private mutating func write(_ text: Span<UInt8>) {
        if format == .text, text.isWord {
            memory.writer.write(text)
        } else {
            memory.writer.writeJSON(text)
        }
    }

    /// Adds a word of the program's own.
    public mutating func add(_ key: StaticString, _ word: StaticString) {
        add(key, word.bytes)
    }

    /// Adds a string, for the processes that do not serve requests.
    public mutating func add(_ key: StaticString, text: String) {
        var text = text
        text.makeContiguousUTF8()
        add(key, text.utf8.span)
    }

    /// Adds a list of strings.
    public mutating func add(_ key: StaticString, texts: [String]) {
        guard beginField(key) else { return }
        memory.writer.write(0x5B)
        for (index, text) in texts.enumerated() {
            let bytes = text.utf8.span
            let room = memory.writer.capacity - memory.writer.count - Self.fieldBytes
            guard room >= bytes.sizeInJSON else { break }
            if index > 0 { memory.writer.write(0x2C) }
            memory.writer.writeJSON(bytes)
        }
        memory.writer.write(0x5D)
    }

    /// Adds a number.
    public mutating func add(_ key: StaticString, _ number: Int) {
        guard beginField(key) else { return }
        if number < 0 { memory.writer.write(0x2D) }
        memory.writer.write(decimal: UInt64(number.magnitude))
    }

    /// Adds nanoseconds as seconds with six decimals.
    public mutating func add(_ key: StaticString, seconds nanoseconds: UInt64) {
        guard beginField(key) else { return }
        memory.writer.write(seconds: nanoseconds)
    }

    /// Adds true or false.
    public mutating func add(_ key: StaticString, _ flag: Bool) {
        guard beginField(key) else { return }
        memory.writer.write(flag ? "true" : "false")
    }

    /// Adds a request's id.
    public mutating func add(_ key: StaticString, _ id: RequestID) {
        guard beginField(key) else { return }
        if format == .json { memory.writer.write(0x22) }
        id.write(to: &memory.writer)
        if format == .json { memory.writer.write(0x22) }
    }

    /// Adds a client's address.
    public mutating func add(_ key: StaticString, _ address: PeerAddress) {
        guard beginField(key) else { return }
        if format == .json { memory.writer.write(0x22) }
        address.write(to: &memory.writer)
        if format == .json { memory.writer.write(0x22) }
    }

    /// Makes a whole line of what a child printed, with where it comes from (`web/3`,
    /// `plugin/tap`).
    ///
    /// - Returns: how many bytes of the text are in the line; what is left is for the next one.
    public mutating func output(
        of source: Span<UInt8>, _ text: Span<UInt8>, wall: UInt64
    ) -> Int {
        begin(.info, "output", wall: wall)
        add("source", source)
        let count = addFront("text", text)
        end()
        return count
    }

    /// Writes the key, unless the line is full.
    private mutating func beginField(_ key: StaticString) -> Bool {
        let free = memory.writer.capacity - memory.writer.count
        guard free >= Self.fieldBytes + key.utf8CodeUnitCount else { return false }
        switch format {
        case .json:
            memory.writer.write(",\"")
            memory.writer.write(key)
            memory.writer.write("\":")
        case .text:
            memory.writer.write(0x20)
            memory.writer.write(key)
            memory.writer.write(0x3D)
        }
        return true
    }
}

extension Span<UInt8> {
    /// True for text that needs no quotes on a terminal: printable, not empty, no blank.
    fileprivate var isWord: Bool {
        var blanks = 0
        for index in indices where self[index] == 0x20 { blanks += 1 }
        return !isEmpty && blanks == 0 && isPlain
    }
}
