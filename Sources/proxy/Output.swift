import Foundation

/// Text for people and tools, written whole; a reader that has gone away is no error of ours.
enum Output {
    static func standard(_ text: String) {
        try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }

    static func error(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
