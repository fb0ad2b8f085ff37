package import Configuration
package import Linux

/// Why the proxy could not start, or a command could not be done: for people, and as an exit code.
package struct MasterFailure: Error, Sendable {
    /// The exit codes of every command (contract, section 1).
    package enum Code: Int32, Sendable {
        case failed = 1
        case usage = 2
        case unchecked = 3
        case taken = 69
        case permission = 77
        case configuration = 78
    }

    package var code: Code
    /// One line that says what is wrong and how it is mended.
    package var message: String
    /// What is wrong in the configuration, when that is it.
    package var diagnostics: [Diagnostic]

    package init(_ code: Code, _ message: String, diagnostics: [Diagnostic] = []) {
        self.code = code
        self.message = message
        self.diagnostics = diagnostics
    }

    /// A system call that failed while doing something that is named.
    package init(_ error: SystemError, while doing: String) {
        self.init(error.isPermission ? .permission : .failed, "\(doing): \(error)")
    }
}

extension SystemError {
    /// The kernel refused for want of a right.
    var isPermission: Bool { number == 1 || number == 13 }
    /// The address or port belongs to somebody else.
    var isTaken: Bool { number == 98 }
}
