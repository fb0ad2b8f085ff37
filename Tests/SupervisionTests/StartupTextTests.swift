import Testing

@testable import Supervision

@Suite struct StartupTextTests {
    @Test func `an app gets what was chosen, clickable URLs and how to trust them`() {
        let text = StartupText(
            version: "0.1", urls: ["https://localhost:8443", "http://localhost:8080"],
            nanoseconds: 420_000_000,
            app: .init(
                description: "app.py → app (Flask, WSGI)", workers: 4, threads: 1,
                python: "/srv/shop/.venv/bin/python", folder: "/srv/shop"),
            stateFolder: "/home/a/.local/share/proxy", hasDevelopmentCertificate: true)
        #expect(
            text.text == """
                proxy 0.1  ·  app.py → app (Flask, WSGI)  ·  4 workers × 1 thread  ·  ./.venv
                  4 processes do not share globals: see `proxy manual workers`

                  https://localhost:8443      certificate from your own dev CA, renewed by itself; \
                a browser warns until it trusts that CA
                  http://localhost:8080
                  curl --cacert /home/a/.local/share/proxy/ca/root.pem https://localhost:8443/

                  Ready in 0.4 s.  Ctrl-C stops.  --print-config shows this as a file.

                """)
    }

    @Test func `without an app it says where it listens`() {
        let text = StartupText(
            version: "0.1", urls: ["http://*:80"], nanoseconds: 10_000_000, app: nil,
            stateFolder: "/", hasDevelopmentCertificate: false)
        #expect(
            text.text == """
                proxy 0.1

                  http://localhost

                  Ready in 0.1 s.  Ctrl-C stops.

                """)
    }

    @Test(arguments: [
        ("http://*:80", "http://localhost"), ("https://0.0.0.0:443", "https://localhost"),
        ("https://[::]:8443", "https://localhost:8443"),
        ("http://127.0.0.1:443", "http://127.0.0.1:443"),
        ("https://[::1]:80", "https://[::1]:80"),
    ])
    func `a URL is one that a browser opens`(url: String, expected: String) {
        #expect(StartupText.clickable(url) == expected)
    }

    @Test(arguments: [
        ("/a/.venv/bin/python3", "/a", "./.venv"), ("/a/.venv/bin/python3", "/b", "/a/.venv"),
        ("/usr/bin/python3", "/a", "/usr/bin/python3"),
    ])
    func `an interpreter is named by its venv`(python: String, folder: String, expected: String) {
        #expect(StartupText.venv(python, folder: folder) == expected)
    }
}

@Suite struct NameScheduleTests {
    private let second: UInt64 = 1_000_000_000

    @Test func `a new name is due at once and then when its answer is over its time`() {
        var schedule = NameSchedule()
        schedule.set(["b", "a"], now: 5)
        #expect(schedule.deadline == 5)
        #expect(schedule.takeDue(now: 5) == ["a", "b"])
        #expect(schedule.takeDue(now: 5) == [])
        #expect(schedule.deadline == nil)
        schedule.answered("a", seconds: 60, now: 5)
        #expect(schedule.deadline == 5 + 60 * second)
        schedule.set(["a"], now: 6)
        #expect(schedule.takeDue(now: 6) == [])
        schedule.answered("b", seconds: 1, now: 7)
        #expect(schedule.deadline == 5 + 60 * second)
    }

    @Test(arguments: [(0, 1), (nil, 5), (7, 7), (604_800, 3600)])
    func `a time to live is kept within bounds`(seconds: Int?, expected: UInt64) {
        var schedule = NameSchedule()
        schedule.set(["a"], now: 0)
        _ = schedule.takeDue(now: 0)
        schedule.answered("a", seconds: seconds, now: 0)
        #expect(schedule.deadline == expected * second)
    }

    @Test func `failures are tried again, less and less often`() {
        var schedule = NameSchedule()
        schedule.set(["a"], now: 0)
        let waits = (0..<7).map { _ in
            _ = schedule.takeDue(now: .max)
            schedule.failed("a", now: 0)
            return schedule.deadline! / second
        }
        #expect(waits == [1, 2, 4, 8, 16, 30, 30])
        schedule.answered("a", seconds: 5, now: 0)
        _ = schedule.takeDue(now: .max)
        schedule.failed("a", now: 0)
        #expect(schedule.deadline == second)
    }
}
