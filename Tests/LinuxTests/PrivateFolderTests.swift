import Foundation
import Linux
import Testing

@Suite struct PrivateFolderTests {
    let path = NSTemporaryDirectory() + "proxy-folder-" + UUID().uuidString

    func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    }

    @Test func `makes folders and files for their owner alone, and replaces files whole`() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = try PrivateFolder(path + "/a/b")
        try folder.lock()
        #expect(try mode(path + "/a/b") == 0o700)
        #expect(try folder.read("key") == nil)
        for bytes in [[UInt8](repeating: 1, count: 100_000), [], [2, 3]] {
            try folder.write(bytes, to: "key")
            #expect(try folder.read("key") == bytes)
            #expect(try mode(path + "/a/b/key") == 0o600)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: path + "/a/b") == ["key"])
    }

    @Test func `follows no link, and closes what stood open`() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let manager = FileManager.default
        try manager.createDirectory(
            atPath: path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755])
        let folder = try PrivateFolder(path)
        #expect(try mode(path) == 0o700)
        try manager.createSymbolicLink(atPath: path + "/link", withDestinationPath: "/etc/passwd")
        #expect(throws: SystemError.self) { _ = try folder.read("link") }
        try folder.write([1], to: "link")
        #expect(try folder.read("link") == [1])
        try manager.createSymbolicLink(atPath: path + "/folder", withDestinationPath: "/tmp")
        #expect(throws: SystemError.self) { _ = try PrivateFolder(path + "/folder") }
    }

    @Test func `a file that others may read is theirs no more once it was read`() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = try PrivateFolder(path)
        try folder.write([1], to: "key")
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o644], ofItemAtPath: path + "/key")
        #expect(try folder.read("key") == [1])
        #expect(try mode(path + "/key") == 0o600)
    }

    @Test func `a file that never ends is refused`() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = try PrivateFolder(path)
        let large = [UInt8](repeating: 0, count: PrivateFolder.fileBytesMax + 1)
        try folder.write(large, to: "large")
        #expect(throws: SystemError("read", number: 27)) { _ = try folder.read("large") }
    }

    @Test func `knows who runs it and where`() {
        let parts = HostIdentity.userAtHost.split(separator: "@")
        #expect(parts.count == 2)
    }
}
