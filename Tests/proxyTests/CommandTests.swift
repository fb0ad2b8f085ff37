import Foundation
import Testing

@testable import proxy

/// What the program answered.
private struct Answer: Equatable {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs the `proxy` that was built beside these tests.
private func run(
    _ arguments: [String], in folder: TemporaryFolder? = nil, environment: [String: String] = [:]
) throws -> Answer {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: own).deletingLastPathComponent()
        .appendingPathComponent("proxy")
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder.path) }
    // Files, not pipes: nothing can fill up and wait.
    let files = try TemporaryFolder()
    let paths = [try files.write("", to: "output"), try files.write("", to: "errors")]
    let handles = try paths.map { try FileHandle(forWritingTo: URL(fileURLWithPath: $0)) }
    process.standardOutput = handles[0]
    process.standardError = handles[1]
    try process.run()
    process.waitUntilExit()
    let texts = try paths.map { try String(contentsOfFile: $0, encoding: .utf8) }
    return Answer(status: process.terminationStatus, output: texts[0], errors: texts[1])
}

private let good = "listen: \"http://127.0.0.1:0\"\nservices: { demo: { demo: true } }\n"
private let bad =
    """
    listen: "http://127.0.0.1:0"
    services:
      demo:
        demo: true
        worker: 4
        queue: { wait: 10 }

    """

@Suite struct CommandTests {
    @Test func `a good file is ok`() throws {
        let folder = try TemporaryFolder()
        try folder.write(good, to: "good.yaml")
        #expect(
            try run(["-t", "--conf", "good.yaml"], in: folder)
                == Answer(status: 0, output: "good.yaml: ok\n", errors: ""))
        #expect(
            try run(["run", "--test", "--conf", "good.yaml", "--json"], in: folder)
                == Answer(status: 0, output: "[]\n", errors: ""))
    }

    @Test func `a bad file is told line by line and ends with 78`() throws {
        let folder = try TemporaryFolder()
        try folder.write(bad, to: "bad.yaml")
        let lines = """
            bad.yaml:5:5: error: services.demo.worker: unknown key; did you mean workers?
            bad.yaml:6:20: error: services.demo.queue.wait: 10 has no unit; did you mean 10s?
            2 errors

            """
        for arguments in [["-t"], ["-T"], []] {
            #expect(
                try run(arguments + ["--conf", "bad.yaml"], in: folder)
                    == Answer(status: 78, output: "", errors: lines))
        }
        let json = try run(["-t", "--json", "--conf", "bad.yaml"], in: folder)
        let list = try JSONSerialization.jsonObject(with: Data(json.output.utf8))
        let findings = try #require(list as? [[String: Any]])
        #expect(json.status == 78)
        #expect(findings.count == 2)
        #expect(
            Set(findings[0].keys)
                == ["file", "line", "column", "severity", "key", "message", "suggestion"])
        #expect(findings[0]["line"] as? Int == 5)
        #expect(findings[0]["suggestion"] as? String == "workers")
    }

    @Test func `a file that is not there, a folder, and one that is no text`() throws {
        let folder = try TemporaryFolder()
        try folder.makeFolder("sub")
        #expect(
            try run(["-t", "--conf", "gone.yaml"], in: folder)
                == Answer(
                    status: 78, output: "",
                    errors: "gone.yaml: error: cannot be read: No such file or directory\n1 error\n"
                ))
        #expect(
            try run(["-t", "--conf", "/dev/zero"], in: folder)
                == Answer(
                    status: 78, output: "",
                    errors: "/dev/zero: error: cannot be read: it is a pipe or a device, and a "
                        + "reload can read only files again\n1 error\n"))
        #expect(
            try run(["--conf", "sub"], in: folder)
                == Answer(
                    status: 78, output: "",
                    errors: "sub: error: is a folder; name the file in it\n1 error\n"))
    }

    @Test func `the printed configuration is a good file`() throws {
        let folder = try TemporaryFolder()
        try folder.write(good, to: "good.yaml")
        let printed = try run(["-T", "--conf", "good.yaml"], in: folder)
        #expect((printed.status, printed.errors) == (0, ""))
        try folder.write(printed.output, to: "printed.yaml")
        let again = try run(["--print-config", "--conf", "printed.yaml"], in: folder)
        #expect(
            again.output.split(separator: "\n").dropFirst()
                == printed.output.split(separator: "\n").dropFirst())
    }

    @Test func `an app runs without a file`() throws {
        let folder = try TemporaryFolder()
        try folder.write("#!/bin/sh\nexit 0\n", to: ".venv/bin/python", mode: 0o755)
        let printed = try run(
            [
                "-T", "--app", "shop:app", "--workers", "3", "--threads", "2", "--listen",
                "http://127.0.0.1:0",
            ], in: folder, environment: ["VIRTUAL_ENV": ""])
        #expect((printed.status, printed.errors) == (0, ""))
        for line in [
            "- url: \"http://127.0.0.1:0\"", "app: \"shop:app\"", "workers: 3", "threads: 2",
            "dir: \(folder.path)", "python: \(folder.path)/.venv/bin/python",
        ] {
            #expect(
                printed.output.split(separator: "\n").contains {
                    $0.hasSuffix(line)
                        || $0.hasSuffix(line.replacingOccurrences(of: ": /", with: ": \"/") + "\"")
                }, "\(line) in \(printed.output)")
        }
        let wrong = try run(["-t", "--app", "shop", "--workers", "0"], in: folder)
        #expect(
            wrong
                == Answer(
                    status: 78, output: "",
                    errors: """
                        command line: error: services.app.app: "shop" has no colon; \
                        write module:attribute; did you mean "shop:app"?
                        command line: error: services.app.workers: 0 is out of bounds, \
                        from 1 to 1024
                        2 errors

                        """))
    }

    @Test(arguments: [
        [], ["--conf", "a", "--app", "b:c"], ["--bogus"], ["--conf"], ["--conf", "a", "--json"],
        ["--conf", "a", "--workers", "2"], ["-t", "-T", "--conf", "a"],
        ["manual", "--schema", "listen"], ["frobnicate"], ["top"],
    ])
    func `a wrong command line ends with 2`(arguments: [String]) throws {
        let answer = try run(arguments)
        #expect((answer.status, answer.output) == (2, ""))
        #expect(answer.errors.hasPrefix("Error: "))
    }

    @Test func `a command that is not there is told with those that are`() throws {
        #expect(
            try run(["relaod", "--apps"])
                == Answer(
                    status: 2, output: "",
                    errors: "Error: there is no command relaod, only run, reload, stop, status, "
                        + "manual, help; did you mean reload?\n"))
    }

    @Test(arguments: ["reload", "stop", "status"])
    func `a command never goes to another proxy than that of its file`(command: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("listen: [\n", to: "broken.yaml")
        try folder.write(good + "admin: { socket: \"${NOT_SET}/a.sock\" }\n", to: "unset.yaml")
        try folder.write(good + "admn: { socket: a.sock }\n", to: "typo.yaml")
        try folder.write("- a\n", to: "list.yaml")
        for file in [
            "gone.yaml", "broken.yaml", "unset.yaml", "typo.yaml", "list.yaml", "/dev/null",
        ] {
            let answer = try run([command, "--conf", file], in: folder)
            #expect((answer.status, answer.output) == (78, ""))
            #expect(answer.errors.hasPrefix("\(file):"))
            #expect(
                answer.errors.hasSuffix(
                    "proxy: \(file) does not tell where its proxy answers; mend it, or name the "
                        + "socket: --socket PATH\n"))
        }
        // What is wrong elsewhere is no hindrance.
        try folder.write(bad + "admin: { socket: a.sock }\nhtpp: 1\n", to: "bad.yaml")
        #expect(
            try run([command, "--conf", "bad.yaml"], in: folder)
                == Answer(
                    status: 69, output: "",
                    errors: "no proxy answers on \(folder.path)/a.sock; is it running? "
                        + "proxy --conf FILE\n"))
    }

    @Test(arguments: ["reload", "stop", "status"])
    func `what failed is JSON too`(command: String) throws {
        let folder = try TemporaryFolder()
        let nobody = try run([command, "--json", "--socket", "a.sock"], in: folder)
        #expect((nobody.status, nobody.errors) == (69, ""))
        #expect(
            nobody.output == "{\"ok\":false,\"exit\":69,\"error\":\"no proxy answers on a.sock; "
                + "is it running? proxy --conf FILE\",\"diagnostics\":[]}\n")
        let gone = try run([command, "--json", "--conf", "gone.yaml"], in: folder)
        #expect((gone.status, gone.errors) == (78, ""))
        #expect(gone.output.contains("\"message\":\"cannot be read: No such file or directory\""))
    }

    @Test func `version, help and manual answer on standard output`() throws {
        #expect(try run(["--version"]) == Answer(status: 0, output: "proxy 0.1.0\n", errors: ""))
        let help = try run(["--help"])
        #expect((help.status, help.errors) == (0, ""))
        #expect(help.output.contains("manual"))
        let manual = try run(["manual", "services.shop.timeout.connect"])
        #expect(manual.output.hasPrefix("services.*.timeout.connect\n"))
        #expect(try run(["manual"]).output.contains("\n  services.*.workers  ("))
        let wrong = try run(["manual", "wrokers"])
        #expect(
            wrong
                == Answer(
                    status: 1, output: "",
                    errors: "proxy: there is no key wrokers; did you mean workers?\n"))
        #expect(
            try run(["manual", "--json", "wrokers"]).output
                .hasPrefix("{\"ok\":false,\"exit\":1,\"error\":"))
    }

    @Test func `the schema is JSON and takes what the reader takes`() throws {
        let schema = try run(["manual", "--schema"])
        let object = try JSONSerialization.jsonObject(with: Data(schema.output.utf8))
        let root = try #require(object as? [String: Any])
        #expect(root["required"] as? [String] == ["listen", "services"])
    }
}
