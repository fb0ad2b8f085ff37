import ArgumentParser

extension ExitCode {
    /// The command line is wrong. swift-argument-parser's own 64 becomes this.
    static let usage = ExitCode(2)
    /// A right is missing.
    static let permission = ExitCode(77)
    /// The configuration is wrong (`EX_CONFIG`); systemd does not start again on it.
    static let configuration = ExitCode(78)
}
