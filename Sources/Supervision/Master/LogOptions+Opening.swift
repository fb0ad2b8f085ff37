internal import Linux
internal import Signals

// A log that cannot be opened is named with its key and its path.
extension LogOptions {
    func openingErrors(_ body: () throws(SystemError) -> Void) throws(MasterFailure) {
        try Self.opening("logs.error.path", error, body)
    }

    func openingAccess(_ body: () throws(SystemError) -> Void) throws(MasterFailure) {
        try Self.opening("logs.access.path", access, body)
    }

    private static func opening(
        _ key: String, _ destination: Destination?, _ body: () throws(SystemError) -> Void
    ) throws(MasterFailure) {
        do throws(SystemError) {
            try body()
        } catch {
            let name =
                switch destination {
                case .file(let path): path
                case .standardOutput: "standard output"
                case .standardError, nil: "standard error"
                }
            throw MasterFailure(error, while: "\(key): \(name) cannot be opened")
        }
    }
}
