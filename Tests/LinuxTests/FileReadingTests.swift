import CLinux
import Testing

@testable import Linux

@Suite struct FileReadingTests {
    @Test func `a pipe, a device and a folder are refused at once, and a file is read`() throws {
        let folder = "/tmp/linux-tests-reading-\(ProcessTraits.pid)"
        try FileSystem.makeFolder(folder)
        defer { try? FileSystem.removeTree(folder) }
        #expect(unsafe mkfifo("\(folder)/pipe", 0o600) == 0)
        for path in ["\(folder)/pipe", "/dev/zero"] {
            #expect(throws: SystemError("open", number: SystemError.irregular)) {
                _ = try FileSystem.read(path)
            }
        }
        #expect(throws: SystemError("open", number: EISDIR)) { _ = try FileSystem.read(folder) }
        try FileSystem.write([1, 2], to: "\(folder)/file")
        #expect(try FileSystem.read("\(folder)/file") == [1, 2])
        // A file of the kernel, which has no size.
        #expect(try FileSystem.readText("/proc/self/status").contains("Pid:"))
    }

    @Test func `a number without a name is a user, and so is a group`() {
        let account = Account.named("43210987")
        #expect(account?.user == 43_210_987 && account?.group == 43_210_987)
        #expect(account?.groups == [43_210_987])
        #expect(Account.named("43210987", group: "43210988")?.group == 43_210_988)
        #expect(Account.named("43210987", group: "no-such-group-x") == nil)
        // The kernel takes it for "as it is".
        #expect(Account.named("4294967295") == nil)
        #expect(Account.groupNumber(named: "4294967295") == nil)
        #expect(Account.named("no-such-user-x") == nil)
    }

    @Test func `a terminal is dead when its other end has closed`() throws {
        let main = posix_openpt(O_RDWR | O_NOCTTY)
        try #require(main >= 0 && grantpt(main) == 0 && unlockpt(main) == 0)
        let name = unsafe try #require(ptsname(main).map { unsafe String(cString: $0) })
        let other = unsafe clinux_open(name, O_RDWR | O_NOCTTY, 0)
        #expect(!ProcessTraits.isDeadTerminal(other))
        close(main)
        #expect(ProcessTraits.isDeadTerminal(other))
        close(other)
        #expect(!ProcessTraits.isDeadTerminal(other))
        let nowhere = try FileSystem.openLog("/dev/null")
        #expect(!ProcessTraits.isDeadTerminal(nowhere.number))
    }
}
