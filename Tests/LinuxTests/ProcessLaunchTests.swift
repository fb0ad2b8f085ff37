import CLinux
import Testing

@testable import Linux

/// Runs a shell command with the given descriptors and gives what it wrote and how it ended.
private func run(
    _ command: String, give: [(ours: Int32, inChild: Int32)] = [], environment: [String] = ["A=1"],
    folder: String? = nil
) throws -> (lines: [String], status: ProcessEnd) {
    let ends = try OutputPipe.pipe()
    var launch = ProcessLaunch(
        program: "/bin/sh", arguments: ["sh", "-c", command], environment: environment,
        folder: folder)
    launch.give(ends.writer.number, as: 1)
    launch.give(ends.writer.number, as: 2)
    for entry in give { launch.give(entry.ours, as: entry.inChild) }
    let child = try launch.start()
    let status = try child.waitForExit()
    var result: [String] = []
    let (reader, writer) = ends.release()
    close(writer)
    var pipe = OutputPipe(owning: Descriptor(owning: reader))
    while !pipe.isClosed { result += pipe.lines() }
    return (result, status)
}

@Suite struct ProcessLaunchTests {
    @Test func `a process lives until it ends, also where nobody has reaped it`() throws {
        #expect(ProcessTraits.lives(ProcessTraits.pid) && ProcessTraits.lives(1))
        #expect(!ProcessTraits.lives(0))
        let launch = ProcessLaunch(
            program: "/bin/sleep", arguments: ["sleep", "60"], environment: [])
        let child = try launch.start()
        #expect(ProcessTraits.lives(child.pid))
        child.send(SIGKILL)
        while ProcessTraits.lives(child.pid) { usleep(1000) }
        #expect(kill(child.pid, 0) == 0)
        _ = try child.waitForExit()
        #expect(!ProcessTraits.lives(child.pid))
    }

    @Test func `a child has exactly the descriptors it was given`() throws {
        let first = try MemoryFile.sealed(name: "first", Array("one".utf8))
        let second = try MemoryFile.sealed(name: "second", Array("two".utf8))
        // Without close-on-exec, on purpose.
        let leaked = unsafe clinux_open("/dev/null", O_RDONLY, 0)
        defer { close(leaked) }
        let result = try run(
            "cat <&5; echo; cat <&7; echo; ls /proc/$$/fd",
            give: [(first.number, 5), (second.number, 7)])
        #expect(result.lines == ["one", "two", "0", "1", "2", "5", "7"])
        #expect(result.status == .exited(code: 0))
    }

    @Test func `numbers that cross each other do not overwrite each other`() throws {
        let first = try MemoryFile.sealed(name: "first", Array("one".utf8))
        let second = try MemoryFile.sealed(name: "second", Array("two".utf8))
        let result = try run(
            "cat /proc/self/fd/\(first.number) /proc/self/fd/\(second.number)",
            give: [(first.number, second.number), (second.number, first.number)])
        #expect(result.lines == ["twoone"])
    }

    @Test func `environment folder group and signals are as asked`() throws {
        let result = try run(
            "env | grep ^A=; pwd; test $$ = $(ps -o pgid= -p $$ | tr -d ' ') && echo leader; "
                + "grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/:.*\\(.\\{8\\}\\)$/ \\1/'",
            environment: ["A=b c", "PATH=/usr/bin:/bin"], folder: "/usr")
        #expect(
            result.lines == [
                "A=b c", "/usr", "leader", "SigBlk 00000000",
                "SigIgn 80000000",
            ])
    }

    @Test(arguments: [
        ("exit 3", ProcessEnd.exited(code: 3)), ("kill -9 $$", .signalled(number: 9)),
    ])
    func `says how a child ended`(command: String, status: ProcessEnd) throws {
        #expect(try run(command).status == status)
    }

    @Test func `a program that is not there is ENOENT`() {
        let launch = ProcessLaunch(
            program: "/nowhere/at/all", arguments: ["x"], environment: [])
        #expect(throws: SystemError("posix_spawn", number: ENOENT)) { _ = try launch.start() }
    }

    @Test func `a folder that is not there is ENOENT`() {
        let launch = ProcessLaunch(
            program: "/bin/true", arguments: ["x"], environment: [], folder: "/nowhere/at/all")
        #expect(throws: SystemError("posix_spawn", number: ENOENT)) { _ = try launch.start() }
    }

    @Test func `the process descriptor is readable once the child has ended and signals reach it`()
        throws
    {
        let launch = ProcessLaunch(
            program: "/bin/sleep", arguments: ["sleep", "600"], environment: [])
        let child = try launch.start()
        let poller = try Poller()
        try poller.addLevel(child.descriptor.number, token: 7)
        #expect(try poller.wait(milliseconds: 0) == 0)
        #expect(child.reap() == nil)
        let reached = child.send(SIGTERM)
        #expect(reached)
        #expect(try poller.wait(milliseconds: 10_000) == 1)
        #expect(poller.event(0).token == 7)
        #expect(child.reap() == .signalled(number: SIGTERM))
        let reachedAgain = child.send(SIGTERM)
        #expect(!reachedAgain)
    }

    @Test func `a signal to the group reaches the child's children`() throws {
        let ends = try OutputPipe.pipe()
        var launch = ProcessLaunch(
            program: "/bin/sh", arguments: ["sh", "-c", "sleep 600 & sleep 600 & echo up; wait"],
            environment: ["PATH=/usr/bin:/bin"])
        launch.give(ends.writer.number, as: 1)
        let child = try launch.start()
        let (reader, writer) = ends.release()
        close(writer)
        var pipe = OutputPipe(owning: Descriptor(owning: reader))
        var up: [String] = []
        while up.isEmpty && !pipe.isClosed { up = pipe.lines() }
        #expect(up == ["up"])
        let reached = child.sendToGroup(SIGKILL)
        #expect(reached)
        // The pipe closes when the last of them has gone.
        while !pipe.isClosed { _ = pipe.lines() }
        #expect(try child.waitForExit() == .signalled(number: SIGKILL))
    }
}
