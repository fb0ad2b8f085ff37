import Foundation
import Linux
import TLS
import Testing

@testable import Certificates

@Suite struct DevelopmentAuthorityTests {
    let folder = TemporaryFolder()
    let now = Int64(Date().timeIntervalSince1970)

    var authority: DevelopmentAuthority {
        DevelopmentAuthority(folder: folder.path + "/state/ca", owner: "me@here")
    }

    func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(
            atPath: folder.path + "/state/ca" + name)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? 0
    }

    @Test func `makes root and leaf once, for its owner alone`() throws {
        let first = try authority.prepare(now: now)
        #expect(first.madeRoot && first.madeLeaf)
        #expect(first.leafNotAfter == now + 90 * 86400)
        #expect(first.rootPath == folder.path + "/state/ca/root.pem")
        #expect(try mode("") == 0o700)
        for name in ["/root.pem", "/root-key.pem", "/localhost.pem"] {
            #expect(try mode(name) == 0o600)
        }
        let root = try CertificateFacts(pem: folder.read("state/ca/root.pem"))
        #expect(root.subject == "O=proxy, CN=proxy dev CA me@here")
        let leaf = try CertificateFacts(pem: first.certificate.certificate)
        #expect(leaf.dnsNames == ["localhost"])
        #expect(leaf.addresses == ["127.0.0.1", "::1"])
        #expect(
            String(decoding: folder.read("state/ca/root.pem"), as: UTF8.self).contains("KEY")
                == false)
        let second = try authority.prepare(now: now)
        #expect(!second.madeRoot && !second.madeLeaf)
        #expect(second.certificate.certificate == first.certificate.certificate)
        _ = try TLSContext(certificates: [second.certificate], settings: TLSServerSettings())
    }

    @Test func `remakes the leaf for other names, and only then`() throws {
        _ = try authority.prepare(now: now)
        let names = ["App.Test", "10.0.0.1", "0:0::1", "localhost"]
        let named = try authority.prepare(names: names, now: now)
        #expect(!named.madeRoot && named.madeLeaf)
        let facts = try CertificateFacts(pem: named.certificate.certificate)
        #expect(facts.dnsNames == ["localhost", "app.test"])
        #expect(facts.addresses == ["127.0.0.1", "::1", "10.0.0.1"])
        #expect(try authority.prepare(names: names.reversed(), now: now).madeLeaf == false)
        #expect(try authority.prepare(now: now).madeLeaf)
    }

    @Test func `remakes the leaf before it ends, and the root before it would cut leaves short`()
        throws
    {
        let first = try authority.prepare(now: now)
        let day: Int64 = 86400
        #expect(try authority.prepare(now: now + 60 * day).madeLeaf == false)
        let later = try authority.prepare(now: now + 61 * day)
        #expect(later.madeLeaf && !later.madeRoot)
        #expect(later.leafNotAfter == now + 151 * day)
        let end = try authority.prepare(now: now + 3561 * day)
        #expect(end.madeLeaf && end.madeRoot)
        #expect(first.rootPath == end.rootPath)
    }

    @Test func `it says from when on there will be another leaf`() throws {
        let first = try authority.prepare(now: now)
        #expect(first.renewAt == now + 60 * 86400 + 1)
        #expect(try authority.prepare(now: first.renewAt - 1).madeLeaf == false)
        let second = try authority.prepare(now: first.renewAt)
        #expect(second.madeLeaf)
        #expect(second.renewAt == first.renewAt + 60 * 86400 + 1)
    }

    @Test(arguments: [
        ("localhost.pem", false, true), ("root-key.pem", true, true), ("root.pem", false, false),
    ])
    func `a file that is damaged or gone is made anew`(
        name: String, madeRoot: Bool, madeLeaf: Bool
    ) throws {
        _ = try authority.prepare(now: now)
        let path = folder.path + "/state/ca/" + name
        for damage in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", nil] {
            if let damage {
                try Data(damage.utf8).write(to: URL(fileURLWithPath: path))
            } else {
                try FileManager.default.removeItem(atPath: path)
            }
            let outcome = try authority.prepare(now: now)
            #expect(outcome.madeRoot == madeRoot)
            #expect(outcome.madeLeaf == madeLeaf)
            let leaf = outcome.certificate.certificate
            let root = folder.read("state/ca/root.pem")
            #expect(CertificateIssuing.verify(leaf, signedBy: root))
        }
    }

    @Test func `a leaf of another root is not kept`() throws {
        _ = try authority.prepare(now: now)
        let other = try CertificateIssuing.makeRoot(name: "other", days: 3650, now: now)
        let leaf = try CertificateIssuing.makeLeaf(
            names: DevelopmentAuthority.localNames, root: other, days: 90, now: now)
        try Data(leaf.certificate + leaf.key).write(
            to: URL(fileURLWithPath: folder.path + "/state/ca/localhost.pem"))
        #expect(try authority.prepare(now: now).madeLeaf)
    }

    @Test func `a folder that others could read is closed, and one that cannot be made is named`()
        throws
    {
        _ = try authority.prepare(now: now)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o755], ofItemAtPath: folder.path + "/state/ca")
        _ = try authority.prepare(now: now)
        #expect(try mode("") == 0o700)
        try Data().write(to: URL(fileURLWithPath: folder.path + "/file"))
        let blocked = DevelopmentAuthority(folder: folder.path + "/file/ca", owner: "me@here")
        let failure = #expect(throws: DevelopmentAuthority.Failure.self) {
            _ = try blocked.prepare(now: now)
        }
        #expect(failure?.description == "\(folder.path)/file/ca: mkdir: Not a directory")
    }

    @Test func `a long owner is cut to what a common name may hold`() throws {
        let long = DevelopmentAuthority(
            folder: folder.path + "/long", owner: String(repeating: "ü", count: 100))
        _ = try long.prepare(now: now)
        let root = try CertificateFacts(pem: folder.read("long/root.pem"))
        #expect(root.subject.hasPrefix("O=proxy, CN=proxy dev CA ü"))
        #expect(root.subject.utf8.count <= "O=proxy, CN=".utf8.count + 64)
    }

    @Test func `curl, openssl and Python in its strictest mode accept the leaf`() throws {
        _ = try authority.prepare(names: ["app.test", "*.app.test"], now: now)
        let script = try #require(
            Bundle.module.url(forResource: "strict", withExtension: "py")?.path)
        let (status, output) = try run(["python3", script, folder.path + "/state/ca"])
        #expect(status == 0, "\(output)")
        #expect(
            output.split(separator: "\n").map(String.init) == [
                "python localhost ok", "python 127.0.0.1 ok", "python ::1 ok", "python app.test ok",
                "python a.app.test ok", "python other.test refused", "curl 0 hello",
                "openssl localhost.pem: OK",
            ], "\(output)")
    }
}
