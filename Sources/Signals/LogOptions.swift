package import Configuration

/// Where the access log and the error log go.
public struct LogOptions: Sendable, Equatable {
    public enum Destination: Hashable, Sendable {
        case standardOutput
        case standardError
        /// An absolute path.
        case file(String)

        init(_ text: String) {
            self =
                switch text {
                case "stdout": .standardOutput
                case "stderr": .standardError
                default: .file(text)
                }
        }
    }

    public enum Format: String, CaseIterable, Sendable { case json, combined }

    public enum Level: String, CaseIterable, Sendable {
        case debug, info, warning, error
    }

    /// Nil: no access log is written.
    public var access: Destination?
    public var format: Format
    public var error: Destination
    /// The least severe that is written.
    public var level: Level
}

extension LogOptions {
    /// Reads the effective configuration.
    package init(_ configuration: EffectiveConfiguration) {
        access = configuration.value(Self.accessPath).map(Destination.init)
        format = configuration.value(Self.accessFormat)
        error = Destination(configuration.value(Self.errorPath))
        level = configuration.value(Self.errorLevel)
    }
}

extension LogOptions {
    private static let words = ["stdout", "stderr"]

    package static let accessPath = Setting(
        optional: "logs.access.path", .path("a file", words: words), found: "none is written",
        "one line for each request", example: "/var/log/proxy/access.json")
    static let accessFormat = Setting(
        "logs.access.format", SettingType<Format>.choice, default: "json",
        "JSON, or the combined format with duration, endpoint and id behind it",
        example: "combined")
    package static let errorPath = Setting(
        "logs.error.path", .path("a file", words: words), default: "stderr",
        "one JSON line for each event of the proxy itself", example: "/var/log/proxy/error.json")
    static let errorLevel = Setting(
        "logs.error.level", SettingType<Level>.choice, default: "info",
        "the least severe that is written", example: "warning")

    package static let keys = Keys(
        [
            accessPath.declaration, accessFormat.declaration, errorPath.declaration,
            errorLevel.declaration,
        ],
        shapes: [
            Shape("logs", "what is written about requests and about the proxy"),
            Shape("logs.access", "the access log"),
            Shape("logs.error", "the error log"),
        ],
        later: ["logs.access.fields", "logs.access.sample", "logs.access.rotate", "logs.syslog"])
}
