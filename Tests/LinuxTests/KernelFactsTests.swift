import CLinux
import Testing

@testable import Linux

@Suite struct MemoryFileTests {
    @Test func `a sealed file keeps its bytes from everybody`() throws {
        let file = try MemoryFile.sealed(name: "sealed", Array("fixed".utf8))
        #expect(try file.readAll() == Array("fixed".utf8))
        #expect(throws: SystemError("write", number: EPERM)) { try file.writeAll([1]) }
        #expect(ftruncate(file.number, 0) == -1)
    }

    @Test func `a shared file can be written and never changes its size`() throws {
        let file = try MemoryFile.shared(name: "shared", size: 8192)
        #expect(try file.readAll().count == 8192)
        try file.writeAll([1, 2, 3])
        #expect(try file.readAll().prefix(4) == [1, 2, 3, 0])
        #expect(ftruncate(file.number, 4096) == -1)
        #expect(ftruncate(file.number, 16384) == -1)
    }
}

@Suite struct AccountTests {
    @Test func `finds root by name and number`() throws {
        let root = try #require(Account.named("root"))
        #expect(root.user == 0 && root.group == 0 && root.name == "root")
        #expect(Account.named("0") == root)
        #expect(Account.userName(of: 0) == "root")
    }

    @Test func `finds nobody with another group`() throws {
        let account = try #require(Account.named("nobody", group: "daemon"))
        #expect(account.group == Account.groupNumber(named: "daemon"))
        #expect(account.groups.contains(account.group))
    }

    @Test func `who is not there is not found`() {
        #expect(Account.named("no-such-user-here") == nil)
        #expect(Account.named("root", group: "no-such-group-here") == nil)
    }

    @Test(
        .enabled(
            if: !ProcessTraits.isRoot && Account.named("\(ProcessTraits.effectiveUser)") != nil,
            "of an ordinary user with a name"))
    func `staying who one is needs no right`() throws {
        let own = try #require(Account.named("\(ProcessTraits.effectiveUser)"))
        try own.assume()
        #expect(ProcessTraits.effectiveUser == own.user)
    }
}

@Suite struct RandomnessTests {
    @Test func `random bytes fill all the room`() throws {
        var seen = [Bool](repeating: false, count: 64)
        for _ in 0..<16 {
            let bytes = try Randomness.bytes(64)
            #expect(bytes.count == 64)
            for (index, byte) in bytes.enumerated() where byte != 0 { seen[index] = true }
        }
        #expect(seen.allSatisfy { $0 })
    }
}

@Suite struct CoresTests {
    @Test func `there is at least one core`() { #expect(Cores.available >= 1) }

    @Test(arguments: [
        ("max 100000", nil), ("100000 100000", 1), ("150000 100000", 2), ("10000 100000", 1),
        ("400000 100000\n", 4), ("", nil), ("100000 0", nil),
    ])
    func `a share of processors is rounded up`(text: String, expected: Int?) {
        #expect(Cores.quota(fromMaximum: text) == expected)
    }
}

@Suite struct RoleSheetTests {
    @Test func `what is written is read`() {
        var sheet = RoleSheet()
        sheet["edge"] = "3"
        sheet["runtime"] = "/run/with blank/x"
        sheet["empty"] = ""
        sheet["listener.1"] = "b"
        sheet["listener.0"] = "a"
        let copy = RoleSheet(parsing: sheet.bytes)
        #expect(copy == sheet)
        #expect(copy.integer("edge") == 3)
        #expect(copy["runtime"] == "/run/with blank/x")
        #expect(copy["empty"] == "")
        #expect(copy["nothing"] == nil)
        #expect(copy.names(after: "listener.") == ["1", "0"])
        #expect(copy.descriptorNumber("control") == nil)
    }
}

@Suite struct ServiceNotificationTests {
    @Test func `says ready to the socket that asked`() throws {
        let path = "/tmp/linux-tests-notify-\(ProcessTraits.pid)"
        try FileSystem.remove(path)
        let receiver = Descriptor(
            owning: socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        let address = try SocketAddress.unix(path: path)
        let bound = unsafe address.withRaw { raw, size in
            unsafe clinux_address_bind(receiver.number, raw, size)
        }
        #expect(bound == 0)
        #expect(try ServiceNotification.send("READY=1", to: path))
        var bytes = [UInt8](repeating: 0, count: 64)
        let got = unsafe read(receiver.number, &bytes, 64)
        #expect(String(decoding: bytes[..<got], as: UTF8.self) == "READY=1")
        try FileSystem.remove(path)
    }

    @Test func `nobody asked is no error`() throws {
        #expect(try ServiceNotification.send("READY=1", to: nil) == false)
    }
}

@Suite struct FileSystemTests {
    @Test func `folders are made with those above and files are written whole`() throws {
        let folder = "/tmp/linux-tests-\(ProcessTraits.pid)-\(Clock.monotonic)"
        try FileSystem.makeFolder("\(folder)/a/b", mode: 0o711)
        try FileSystem.makeFolder("\(folder)/a/b", mode: 0o711)
        #expect(try FileSystem.status(of: "\(folder)/a/b").mode == 0o711)
        try FileSystem.write(Array("text".utf8), to: "\(folder)/a/b/file", mode: 0o600)
        #expect(try FileSystem.readText("\(folder)/a/b/file") == "text")
        #expect(try FileSystem.status(of: "\(folder)/a/b/file").mode == 0o600)
        #expect(try FileSystem.names(in: "\(folder)/a/b") == ["file"])
        let log = try FileSystem.openLog("\(folder)/log")
        try log.writeAll(Array("one\n".utf8))
        try FileSystem.rename("\(folder)/log", to: "\(folder)/log.1")
        let fresh = try FileSystem.openLog("\(folder)/log")
        try fresh.writeAll(Array("two\n".utf8))
        #expect(try FileSystem.readText("\(folder)/log.1") == "one\n")
        #expect(try FileSystem.readText("\(folder)/log") == "two\n")
        #expect(throws: SystemError("open", number: ENOENT)) {
            _ = try FileSystem.read("\(folder)/nothing")
        }
        for path in ["a/b/file", "log", "log.1"] { try FileSystem.remove("\(folder)/\(path)") }
        for path in ["/a/b", "/a", ""] { #expect(unsafe rmdir("\(folder)\(path)") == 0) }
    }
}

@Suite struct ResourceLimitTests {
    @Test func `a limit is raised to what the kernel lets us and never lowered`() throws {
        let before = try ResourceLimit(.openFiles)
        #expect(try ResourceLimit.raise(.openFiles, to: 16) == before.soft)
        #expect(try ResourceLimit.raise(.openFiles, to: before.soft) == before.soft)
    }
}

@Suite struct JSONValueTests {
    @Test(arguments: [
        #"{"a":1,"b":[true,false,null],"c":{"d":-2.5}}"#, #""q\"\\\n\t\u0001""#, "[]", "{}", "0",
        "-1", #"["ä€😀"]"#, "9223372036854775807",
    ])
    func `what is read is written the same`(text: String) throws {
        let value = try #require(JSONValue(parsing: Array(text.utf8)))
        #expect(String(decoding: value.bytes, as: UTF8.self) == text)
    }

    @Test(arguments: [
        (#" { "a" : 1 } "#, #"{"a":1}"#), (#""\u00e4\ud83d\ude00\/""#, #""ä😀/""#),
        ("1e2", "100.0"),
    ])
    func `other ways to write the same are read`(text: String, expected: String) throws {
        let value = try #require(JSONValue(parsing: Array(text.utf8)))
        #expect(String(decoding: value.bytes, as: UTF8.self) == expected)
    }

    @Test(arguments: [
        "", "{", "[1,]", "{\"a\"}", "01", "1.", "+1", "nul", "\"a", "\"\u{1}\"", "\"\\x\"",
        "\"\\ud800\"", "[1] x", "{a:1}", "'a'",
    ])
    func `what is no JSON is refused`(text: String) {
        #expect(JSONValue(parsing: Array(text.utf8)) == nil)
    }

    @Test func `what is nested too deep is refused`() {
        let text = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(JSONValue(parsing: Array(text.utf8)) == nil)
    }

    @Test func `bytes that are no text are refused`() {
        #expect(JSONValue(parsing: [0x22, 0xFF, 0x22]) == nil)
    }
}
