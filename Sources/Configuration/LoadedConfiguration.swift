/// What came of reading, resolving and checking a configuration.
package struct LoadedConfiguration: Sendable {
    /// The configuration to run; nil when there are errors.
    package var effective: EffectiveConfiguration?
    /// Errors and warnings in the order of the file.
    package var diagnostics: [Diagnostic]
    /// What was decided and is worth a line, such as the ports that `listen: auto` took.
    package var notices: [String]
    /// The file as the user named it, or `command line`.
    package var file: String
    /// The absolute folder of the file, where plug-ins start.
    package var folder: String

    package init(
        effective: EffectiveConfiguration?, diagnostics: [Diagnostic], notices: [String] = [],
        file: String, folder: String
    ) {
        self.effective = effective
        self.diagnostics = diagnostics
        self.notices = notices
        self.file = file
        self.folder = folder
    }
}
