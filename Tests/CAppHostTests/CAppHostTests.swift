import CAppHost
import Foundation
import Testing

/// The folder of the files as they stand in the repository.
private let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Sources/CAppHost/python")

/// The files as they stand in the binary.
private func embedded() -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for file in 0..<capphost_file_count() {
        let path = (0..<capphost_path_size(file)).map { capphost_path_byte(file, $0) }
        let bytes = (0..<capphost_file_size(file)).map { capphost_file_byte(file, $0) }
        files[String(decoding: path, as: UTF8.self)] = bytes
    }
    return files
}

@Test func `every file of the worker host is in the binary, byte for byte`() throws {
    let package = folder.appendingPathComponent("proxyapp").path
    let names = try FileManager.default.contentsOfDirectory(atPath: package)
        .filter { $0.hasSuffix(".py") }
    let files = embedded()
    #expect(names.contains("zygote.py"))
    #expect(files.keys.sorted() == names.map { "proxyapp/\($0)" }.sorted())
    for (path, bytes) in files {
        let written = try Data(contentsOf: folder.appendingPathComponent(path))
        #expect([UInt8](written) == bytes, "\(path)")
    }
}

@Test func `there is nothing behind the last file and the last byte`() {
    let count = capphost_file_count()
    #expect(capphost_path_size(count) == 0 && capphost_file_size(count) == 0)
    #expect(capphost_path_byte(0, capphost_path_size(0)) == 0)
    #expect(capphost_file_byte(0, capphost_file_size(0)) == 0)
}
