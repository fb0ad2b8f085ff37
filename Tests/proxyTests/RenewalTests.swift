import Certificates
import Configuration
import Foundation
import Linux
import Supervision
import TLS
import Testing

@testable import proxy

@Suite struct RenewalTests {
    private let folder: TemporaryFolder
    private let now: Int64 = 1_795_334_401

    init() throws { folder = try TemporaryFolder() }

    private func effective(_ more: String) throws -> EffectiveConfiguration {
        let loaded = load(
            """
            listen: "https://127.0.0.1:8443"
            directories: { runtime: \(folder.path)/run, state: \(folder.path)/state }
            tls: { \(more) }
            services: { demo: { demo: true } }

            """, host: sampleHost(folder: folder.path))
        return try #require(loaded.effective, "\(loaded.diagnostics.map(\.description))")
    }

    private func reading(_ more: String) throws -> MasterReading {
        let configuration = try effective(more)
        let files = try CertificateReading(of: configuration, now: now)
        return MasterReading(
            configuration: configuration, certificates: files.encoded, renewAt: files.renewAt,
            folder: folder.path)
    }

    private func certificates(_ reading: MasterReading) throws -> [TLSCertificate] {
        try CertificateBundle(decoding: reading.certificates).certificates
    }

    @Test func `a development certificate is made anew when it is due, and nothing else`() throws {
        // A configured certificate whose file has changed meanwhile: nobody has asked for it.
        let root = try CertificateIssuing.makeRoot(name: "test", days: 3650, now: now)
        let leaf = try CertificateIssuing.makeLeaf(
            names: ["shop.example"], root: root, days: 3650, now: now)
        let file = try folder.write(
            String(decoding: leaf.certificate + leaf.key, as: UTF8.self), to: "shop.pem",
            mode: 0o600)
        let first = try reading(
            "dev_ca: true, certificates: [{ certificate: \(file), key: \(file) }]")
        try folder.write("nonsense", to: "shop.pem")
        let due = try #require(first.renewAt)
        #expect(due == now + 60 * 86400 + 1)
        let early = try renewed(first, now: due - 1).get()
        #expect(early.certificates == first.certificates && early.renewAt == due)
        let second = try renewed(first, now: due).get()
        #expect(second.renewAt == due + 60 * 86400 + 1)
        let (before, after) = (try certificates(first), try certificates(second))
        #expect(before.map(\.label) == after.map(\.label) && after.count == 2)
        #expect(after[0].certificate == before[0].certificate)
        #expect(after[1].certificate != before[1].certificate)
        let facts = try CertificateFacts(pem: after[1].certificate)
        #expect(facts.notAfter == due + 90 * 86400)
    }

    @Test func `without a development certificate nothing is ever due`() throws {
        let root = try CertificateIssuing.makeRoot(name: "test", days: 3650, now: now)
        let leaf = try CertificateIssuing.makeLeaf(
            names: ["shop.example"], root: root, days: 3650, now: now)
        let file = try folder.write(
            String(decoding: leaf.certificate + leaf.key, as: UTF8.self), to: "shop.pem",
            mode: 0o600)
        let only = try reading("certificates: [{ certificate: \(file), key: \(file) }]")
        #expect(only.renewAt == nil)
        let later = try renewed(only, now: now + 36_500 * 86400).get()
        #expect(later.certificates == only.certificates)
    }

    @Test func `a folder that cannot be used is said`() throws {
        let first = try reading("dev_ca: true")
        try FileManager.default.removeItem(atPath: "\(folder.path)/state/ca")
        try folder.write("", to: "state/ca")
        guard case .failure(let failure) = renewed(first, now: now) else {
            Issue.record("it was renewed")
            return
        }
        #expect(failure.message.contains("\(folder.path)/state/ca"))
    }
}
