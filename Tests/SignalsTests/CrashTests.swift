import Foundation
import Testing

/// Runs `SignalsHelper crash`, which forks an edge and kills it at every step.
@Suite struct CrashTests {
    @Test func `an edge killed at every step leaves each request finished exactly once`() throws {
        let result = try run(["crash"])
        #expect(result.steps > 80)
        #expect(result.violations == [])
    }

    @Test func `a master that raises nothing is found out`() throws {
        #expect(try !run(["crash", "broken"]).violations.isEmpty)
    }

    private func run(_ arguments: [String]) throws -> (steps: Int, violations: [String]) {
        let process = Process()
        process.executableURL = try #require(Bundle.main.executableURL)
            .deletingLastPathComponent().appending(path: "SignalsHelper")
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let lines = text.split(separator: "\n").map(String.init)
        let first = try #require(lines.first)
        return (try #require(Int(first.dropFirst("steps ".count))), Array(lines.dropFirst()))
    }
}
