import Foundation

@testable import TLS

/// Certificates made when the tests run; none is kept in the repository.
enum Fixtures {
    static let now = Int64(Date().timeIntervalSince1970)

    static let root = try! CertificateIssuing.makeRoot(name: "test root", days: 3650, now: now)
    static let otherRoot = try! CertificateIssuing.makeRoot(name: "other", days: 30, now: now)

    static func leaf(
        _ names: [String], days: Int64 = 90, madeAt: Int64 = now, root: IssuedCertificate = root
    ) -> IssuedCertificate {
        try! CertificateIssuing.makeLeaf(names: names, root: root, days: days, now: madeAt)
    }

    static let local = leaf(["localhost", "127.0.0.1", "::1"])

    static func certificate(
        _ issued: IssuedCertificate = local, names: [String] = [], isDefault: Bool = false
    ) -> TLSCertificate {
        TLSCertificate(
            certificate: issued.certificate, key: issued.key, names: names, isDefault: isDefault,
            label: "test.pem")
    }

    static func context(
        _ certificates: [TLSCertificate] = [certificate()],
        _ settings: TLSServerSettings = TLSServerSettings(),
        keys: (() -> TicketKeys)? = nil
    ) -> TLSContext {
        try! TLSContext(certificates: certificates, settings: settings, ticketKeys: keys)
    }

    /// Self-signed, by `openssl req`, with a key of any kind.
    static func selfSigned(newKey: [String], names: [String]) throws -> IssuedCertificate {
        let folder = try TemporaryFolder()
        let alternative = names.map { "DNS:\($0)" }.joined(separator: ",")
        let result = try run(
            ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=test", "-days", "30"] + newKey
                + ["-addext", "subjectAltName=\(alternative)"]
                + ["-keyout", folder.file("key"), "-out", folder.file("cert")])
        guard result.status == 0 else { throw Failed(text: result.output) }
        return IssuedCertificate(
            certificate: try folder.read("cert"), key: try folder.read("key"))
    }

    static let rsa = try! selfSigned(newKey: ["-newkey", "rsa:2048"], names: ["localhost"])
}

struct Failed: Error {
    var text: String
}

/// A folder that goes with this object.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "proxy-tls-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: file(name))))
    }

    func write(_ bytes: [UInt8], _ name: String) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }
}

/// Runs a program to its end; its output and errors together.
func run(_ arguments: [String], input: String = "") throws -> (status: Int32, output: String) {
    let child = try start(arguments, input: input)
    return child.finish()
}

func start(_ arguments: [String], input: String = "") throws -> Child {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    let inputPipe = Pipe()
    process.standardInput = inputPipe
    process.standardOutput = output
    process.standardError = output
    try process.run()
    inputPipe.fileHandleForWriting.write(Data(input.utf8))
    return Child(process: process, output: output, input: inputPipe)
}

/// A program that runs beside the test.
struct Child {
    let process: Process
    let output: Pipe
    let input: Pipe

    func finish() -> (status: Int32, output: String) {
        try? input.fileHandleForWriting.close()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
