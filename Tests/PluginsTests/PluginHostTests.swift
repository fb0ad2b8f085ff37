import Foundation
import Testing

@testable import Linux
@testable import Plugins
@testable import Signals

/// Real plug-in processes, in a host of their own; serialized, as each test starts several.
@Suite(.serialized) struct PluginHostTests {
    /// Short times, so that a stop does not take its four seconds in every test.
    static var quick: PluginTimes {
        var times = PluginTimes()
        times.drain = 500_000_000
        times.afterEnd = 200_000_000
        times.afterTerminate = 200_000_000
        times.firstWait = 5_000_000
        times.longestWait = 20_000_000
        times.reportInterval = 20_000_000
        return times
    }

    /// Checks a recorder's file: started first, then numbers 1 to `count` without a gap, in order.
    static func check(_ lines: [[String: Any]], count: Int) {
        #expect(lines.count == count + 1)
        #expect(lines.first?["event"] as? String == "plugin_started")
        let opened = lines.dropFirst()
        #expect(opened.compactMap { $0["seq"] as? Int } == Array(1...count))
        let numbers = opened.compactMap { ($0["data"] as? [String: Any])?["connection"] as? Int }
        #expect(numbers == Array(1...count))
    }

    @Test func `a plug-in gets plugin_started, then every event in order, then its end`() throws {
        let stage = try HostStage([Sample.recorder()], times: Self.quick)
        _ = try stage.receive("ready")
        stage.raise(300)
        let lines = try stage.lines("tap.json", atLeast: 301)
        Self.check(lines, count: 300)
        let data = lines[0]["data"] as? [String: Any] ?? [:]
        #expect(lines[0]["seq"] as? Int == 0)
        #expect(data["name"] as? String == "tap")
        #expect(data["dropped"] as? Int == 0)
        #expect(data["restarts"] as? Int == 0)
        try stage.wait("tap") { $0["delivered"]?.whole == 301 && $0["state"]?.text == "running" }
        try stage.stop()
        #expect(stage.hasNoLeftovers())
    }

    @Test func `an idle host sleeps, and news wake it`() throws {
        let stage = try HostStage([Sample.recorder()], times: Self.quick)
        _ = try stage.receive("ready")
        stage.raise(5)
        try stage.wait("tap") { $0["delivered"]?.whole == 6 }
        // Until it stands still; then not one turn is made.
        var before = -1
        for _ in 0..<200 where try stage.sleeps() != before {
            before = try stage.sleeps()
            usleep(50_000)
        }
        usleep(300_000)
        #expect(try stage.sleeps() == before)
        stage.raise(5)
        Self.check(try stage.lines("tap.json", atLeast: 11), count: 10)
        try stage.stop()
    }

    @Test func `environment and folder are those of the contract`() throws {
        let script = "echo \"$PROXY_PLUGIN $PROXY_RUNTIME $(pwd)\" > env; exec cat > /dev/null"
        let stage = try HostStage([Sample.shell("env-1", script)], times: Self.quick)
        _ = try stage.receive("ready")
        let text = try wait { try? String(contentsOfFile: stage.path("env"), encoding: .utf8) }
        #expect(text == "env-1 /run/test \(stage.folder)\n")
        try stage.stop()
    }

    @Test func `sleeping, crashing, deaf and babbling plug-ins cost the others nothing`() throws {
        let stage = try HostStage(
            [
                Sample.shell("sleeping", "exec sleep 1000", length: 10),
                Sample.shell("crashing", "exit 3"),
                Sample.shell("deaf", "exec <&-; trap '' TERM; while :; do sleep 1; done"),
                Sample.shell("babbling", "exec yes 'no JSON at all'"),
                Sample.plugin("missing", ["/no/such/program"]),
                Sample.recorder(events: SignalSet(.connectionOpened)),
            ], times: Self.quick)
        _ = try stage.receive("ready")
        for _ in 0..<20 {
            stage.raise(200)
            usleep(2000)
        }
        Self.check(try stage.lines("tap.json", atLeast: 4001), count: 4000)
        try stage.wait("crashing") { $0["state"]?.text == "muted" && $0["failures"]?.whole == 10 }
        try stage.wait("missing") { $0["state"]?.text == "muted" }
        try stage.wait("deaf") { ($0["failures"]?.whole ?? 0) > 0 }
        try stage.wait("sleeping") { ($0["dropped"]?.whole ?? 0) > 0 }
        #expect(try stage.status("sleeping")["state"]?.text == "running")
        // The sleeper never reads: the pipe keeps about 64 KiB, the queue 10 lines.
        try stage.stop()
        #expect(stage.hasNoLeftovers())
        let log = try stage.lines("error.json")
        let events = Set(log.compactMap { $0["event"] as? String })
        #expect(events == ["plugin_failed", "plugin_dropped", "plugin_muted", "output"])
        let babble = log.first { $0["source"] as? String == "babbling" }
        #expect(babble?["text"] as? String == "no JSON at all")
    }

    @Test func `a plug-in that crashed begins with 1 again and hears of it`() throws {
        let script = """
            n=$(cat lives 2>/dev/null | wc -l); echo x >> lives
            head -n 3 >> life-$n.json; [ $n -ge 2 ] && exec cat >> life-$n.json; exit 1
            """
        let stage = try HostStage(
            [
                Sample.shell("tap", script),
                Sample.recorder("other", events: SignalSet(.pluginFailed)),
            ],
            times: Self.quick)
        _ = try stage.receive("ready")
        for life in 0..<3 {
            var tries = 0
            // What was in the pipe of a process that ended is lost; so more is raised until it has
            // its lines.
            while try stage.lines("life-\(life).json").count < 3, tries < 400 {
                stage.raise(1)
                usleep(10_000)
                tries += 1
            }
            let lines = try stage.lines("life-\(life).json")
            #expect(lines.prefix(3).compactMap { $0["seq"] as? Int } == [0, 1, 2])
            let data = lines.first?["data"] as? [String: Any]
            #expect(data?["restarts"] as? Int == life)
        }
        let failed = try stage.lines("other.json", atLeast: 3)
        let reasons = failed.dropFirst().map {
            ($0["data"] as? [String: Any])?["reason"] as? String
        }
        #expect(reasons.allSatisfy { $0 == "exit 1" })
        #expect(failed.dropFirst().allSatisfy { $0["sender"] as? String == "tap" })
        try stage.stop()
        #expect(stage.hasNoLeftovers())
    }

    @Test func `a host goes on counting where a killed one was`() throws {
        let told: JSONValue = [
            ["name": "tap", "dropped": .whole(7000), "failures": .whole(2), "restarts": .whole(3)],
            ["name": "silent"],
        ]
        #expect(PluginPast.all(told)["silent"] == PluginPast())
        let stage = try HostStage(
            [Sample.recorder("tap"), Sample.recorder("new")], past: PluginPast.all(told))
        _ = try stage.receive("ready")
        func started(_ name: String) throws -> [String: Any]? {
            try stage.lines("\(name).json", atLeast: 1).first?["data"] as? [String: Any]
        }
        let data = try started("tap")
        #expect(data?["dropped"] as? Int == 7000 && data?["restarts"] as? Int == 4)
        #expect(try started("new")?["restarts"] as? Int == 0)
        let status = try stage.status("tap")
        #expect(status["dropped"]?.whole == 7000 && status["failures"]?.whole == 2)
        try stage.stop()
    }

    @Test func `events and filter choose what a plug-in gets`() throws {
        let stage = try HostStage(
            [
                Sample.recorder(
                    "errors", events: SignalSet(.requestFinished), filter: "status >= 500"),
                Sample.recorder("opened", events: SignalSet(.connectionOpened)),
            ], times: Self.quick)
        _ = try stage.receive("ready")
        for number in 1...50 {
            stage.raiseRequest(status: number % 10 == 0 ? 502 : 200, id: UInt64(number))
        }
        stage.raise(3)
        let errors = try stage.lines("errors.json", atLeast: 6)
        #expect(errors.compactMap { $0["seq"] as? Int } == Array(0...5))
        #expect(
            errors.dropFirst().allSatisfy {
                ($0["data"] as? [String: Any])?["status"] as? Int == 502
            })
        Self.check(try stage.lines("opened.json", atLeast: 4), count: 3)
        try stage.stop()
    }

    /// A ring of 16 records, far more raised than it holds: the last number says how many there
    /// were in all.
    @Test func `what a ring lost is a gap in seq, to the last record`() throws {
        let stage = try HostStage([Sample.recorder()], records: 16, times: Self.quick)
        _ = try stage.receive("ready")
        let bursts = 60
        for _ in 0..<bursts {
            stage.raise(100)
            usleep(1000)
        }
        try stage.wait("tap") {
            ($0["delivered"]?.whole ?? 0) + ($0["dropped"]?.whole ?? 0) >= bursts * 100 + 1
        }
        try stage.stop()
        let lines = try stage.lines("tap.json").filter {
            $0["event"] as? String == "connection_opened"
        }
        // Its own plugin_dropped lines take numbers too.
        let reports = try stage.lines("tap.json").filter {
            $0["event"] as? String == "plugin_dropped"
        }
        #expect(lines.count < bursts * 100)
        #expect(!reports.isEmpty)
        var shift = 0
        var wrong = 0
        for line in try stage.lines("tap.json").dropFirst() {
            if line["event"] as? String == "plugin_dropped" {
                shift += 1
                continue
            }
            let number = (line["data"] as? [String: Any])?["connection"] as? Int ?? -1
            if line["seq"] as? Int != number + shift { wrong += 1 }
        }
        #expect(wrong == 0)
    }

    @Test func `at a stop waiting lines are delivered, and what is too slow is counted`() throws {
        var times = Self.quick
        times.drain = 10_000_000_000
        let slow = "while read -r line; do echo \"$line\" >> slow.json; sleep 0.005; done"
        let stage = try HostStage([Sample.shell("slow", slow)], times: times)
        _ = try stage.receive("ready")
        stage.raise(100)
        try stage.stop()
        // All were in the pipe before its end came, and KILL comes 0.4 s after that.
        let lines = try stage.lines("slow.json")
        #expect(lines.first?["event"] as? String == "plugin_started")
        #expect(lines.count > 1)
        #expect(stage.hasNoLeftovers())
    }

    @Test func `a plug-in that ignores everything is killed at a stop, with its children`() throws {
        let script = "trap '' TERM; sleep 1000 & while :; do sleep 1; done"
        let stage = try HostStage([Sample.shell("stubborn", script)], times: Self.quick)
        _ = try stage.receive("ready")
        stage.raise(1)
        try stage.stop()
        #expect(stage.hasNoLeftovers())
    }

    @Test func `when the master dies the host and its plug-ins end`() throws {
        let stage = try HostStage(
            [Sample.recorder(), Sample.shell("deaf", "trap '' TERM; while :; do sleep 1; done")],
            times: Self.quick)
        _ = try stage.receive("ready")
        stage.raise(3)
        _ = try stage.lines("tap.json", atLeast: 4)
        stage.dieAsMaster()
        #expect(stage.hasNoLeftovers())
    }

    @Test func `a guard in front of the command changes nothing`() throws {
        let stage = try HostStage(
            [Sample.recorder(), Sample.plugin("missing", ["/no/such/program"])],
            times: Self.quick, launcher: [try Self.helper().path, "plugin", "\(getpid())"])
        _ = try stage.receive("ready")
        stage.raise(3)
        let lines = try stage.lines("tap.json", atLeast: 4)
        #expect(lines.compactMap { $0["seq"] as? Int }.prefix(4) == [0, 1, 2, 3])
        try stage.wait("missing") { $0["state"]?.text == "muted" }
        try stage.stop()
        let said = try stage.lines("error.json").compactMap { $0["text"] as? String }
        #expect(said.contains("cannot start /no/such/program: execve: No such file or directory"))
    }

    @Test func `a plug-in behind the guard ends when its host is killed`() throws {
        let host = Process()
        host.executableURL = URL(filePath: "/bin/sh")
        let script = "\"$0\" plugin $$ sleep 1000 & echo $!; wait"
        host.arguments = ["-c", script, try Self.helper().path]
        let output = Pipe()
        host.standardOutput = output
        try host.run()
        let text = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        let plugin = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        let isSleeping: () -> Bool = {
            let words = FileManager.default.contents(atPath: "/proc/\(plugin)/cmdline") ?? Data()
            return words.starts(with: Data("sleep".utf8))
        }
        _ = try wait { isSleeping() ? true : nil }
        kill(host.processIdentifier, SIGKILL)
        host.waitUntilExit()
        _ = try wait { isSleeping() ? nil : true }
    }

    private static func helper() throws -> URL {
        try #require(Bundle.main.executableURL)
            .deletingLastPathComponent().appending(path: "SignalsHelper")
    }

    @Test func `an unmuted plug-in runs again`() throws {
        let script = "[ -e good ] && exec cat > /dev/null; exit 1"
        let stage = try HostStage([Sample.shell("tap", script)], times: Self.quick)
        _ = try stage.receive("ready")
        try stage.wait("tap") { $0["state"]?.text == "muted" }
        _ = FileManager.default.createFile(atPath: stage.path("good"), contents: nil)
        try stage.send("unmute")
        try stage.wait("tap") { $0["state"]?.text == "running" }
        try stage.stop()
    }

    @Test func `another error log is used when it is given one`() throws {
        let stage = try HostStage(
            [Sample.shell("tap", "while read -r line; do echo heard; done")], times: Self.quick)
        _ = try stage.receive("ready")
        _ = try stage.lines("error.json", atLeast: 1)
        let other = try FileSystem.openLog(stage.path("other.json"))
        try stage.send("logs", descriptors: [other.number])
        _ = try stage.status("tap")
        stage.raise(1)
        let lines = try stage.lines("other.json", atLeast: 1)
        #expect(lines.first?["source"] as? String == "tap")
        #expect(lines.first?["text"] as? String == "heard")
        try stage.stop()
    }

    /// Polls for a value; the bound only ends a test that has failed.
    private func wait<Value>(_ body: () -> Value?) throws -> Value {
        for _ in 0..<4000 {
            if let value = body(), "\(value)" != "" { return value }
            usleep(5000)
        }
        throw HostStage.Missing("a file")
    }
}
