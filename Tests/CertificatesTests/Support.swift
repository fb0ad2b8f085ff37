import Foundation

/// A folder that goes with this object.
final class TemporaryFolder {
    let path = NSTemporaryDirectory() + "proxy-certificates-" + UUID().uuidString

    init() {
        try? FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// A file's bytes; none where it cannot be read.
    func read(_ name: String) -> [UInt8] {
        Array((try? Data(contentsOf: URL(fileURLWithPath: path + "/" + name))) ?? Data())
    }
}

/// Runs a program to its end; its output and errors together.
func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
}
