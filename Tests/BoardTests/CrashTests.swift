import Foundation
import Testing

/// Runs the helper `BoardCrash`, which forks children and kills them at each step; see
/// `Tests/BoardCrash`.
@Suite struct CrashTests {
    /// Scenario, and fewest steps it has to have tried, so that an empty run cannot pass.
    static let scenarios = [
        ("places", 6), ("cells", 8), ("trial", 4), ("queue", 12), ("wake", 2), ("requests", 50),
        ("ring", 30), ("keys", 40), ("stress", 60),
        ("balance", 30), ("addresses", 60),
    ]

    @Test(arguments: scenarios)
    func `killed at every step, nothing is lost or given twice`(
        scenario: String, stepsMin: Int
    ) throws {
        let result = try run([scenario])
        #expect(result.steps >= stepsMin)
        #expect(result.violations == [])
    }

    @Test(arguments: scenarios.map(\.0))
    func `a broken core is found out`(scenario: String) throws {
        #expect(try !run([scenario, "broken"]).violations.isEmpty)
    }

    private func run(_ arguments: [String]) throws -> (steps: Int, violations: [String]) {
        let program = try #require(Bundle.main.executableURL)
            .deletingLastPathComponent().appending(path: "BoardCrash")
        let process = Process()
        process.executableURL = program
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
        let steps = try #require(Int(first.dropFirst("steps ".count)))
        return (steps, Array(lines.dropFirst()))
    }
}
