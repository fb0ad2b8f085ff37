/// Why a text is no value of a setting.
package struct Complaint: Error, Equatable, Sendable {
    /// What is wrong and what is right, without the key.
    package var message: String
    /// The text that was probably meant.
    package var suggestion: String?

    package init(_ message: String, suggestion: String? = nil) {
        self.message = message
        self.suggestion = suggestion
    }
}
