import Configuration
import Foundation
import Testing

@testable import proxy

private let listen = "listen: \"http://127.0.0.1:0\"\n"
private let demo = "services: { web: { demo: true } }\n"

@Suite struct HostCheckTests {
    /// The findings of a text in a folder of its own, with that folder written as `DIR`.
    private func findings(_ yaml: String, in folder: TemporaryFolder) -> [String] {
        proxyTests.findings(yaml, host: sampleHost(folder: folder.path)).map {
            $0.replacingOccurrences(of: folder.path, with: "DIR")
        }
    }

    @Test func `a folder that is not there`() throws {
        let folder = try TemporaryFolder()
        try folder.write("", to: "file")
        let yaml = listen + "services: { web: { app: \"a:b\", dir: DIRNAME } }\n"
        #expect(
            findings(yaml.replacingOccurrences(of: "DIRNAME", with: "gone"), in: folder) == [
                "f:2:37: error: services.web.dir: the folder DIR/gone is not there"
            ])
        #expect(
            findings(yaml.replacingOccurrences(of: "DIRNAME", with: "file"), in: folder) == [
                "f:2:37: error: services.web.dir: DIR/file is no folder"
            ])
    }

    @Test func `an interpreter that is not there, no venv, not executable, dead or too old`() throws
    {
        let folder = try TemporaryFolder()
        try folder.makeFolder("empty")
        try folder.write("#!/bin/sh\nexit 1\n", to: "dead/bin/python", mode: 0o755)
        try folder.write("#!/bin/sh\nexit 39\n", to: "old/bin/python", mode: 0o755)
        try folder.write("#!/bin/sh\nexit 0\n", to: "good/bin/python", mode: 0o755)
        try folder.write("#!/bin/sh\n", to: "plain")
        try folder.write("#!/no/such/interpreter\n", to: "lost", mode: 0o755)
        let cases = [
            "gone/.venv":
                "DIR/gone/.venv is not there; make a venv: python3 -m venv DIR/gone/.venv",
            ".venv": "DIR/.venv is not there; make a venv: python3 -m venv DIR/.venv",
            "pyhton3": "there is no pyhton3, neither in DIR nor in PATH",
            "empty":
                "DIR/empty is no venv: it has no bin/python; make one: python3 -m venv DIR/empty",
            "dead": "DIR/dead/bin/python is no working Python (exit 1 on python -c ''); "
                + "make the venv anew",
            "old": "DIR/old/bin/python is older than Python 3.9",
            "plain": "DIR/plain cannot be executed; chmod +x it",
            "lost": "DIR/lost cannot be started (posix_spawn: No such file or directory); "
                + "make the venv anew",
        ]
        for (python, message) in cases {
            let yaml = listen + "services: { web: { app: \"a:b\", python: \(python) } }\n"
            #expect(
                findings(yaml, in: folder)
                    == ["f:2:40: error: services.web.python: \(message)"])
        }
        let yaml = listen + "services: { web: { app: \"a:b\", python: good } }\n"
        #expect(findings(yaml, in: folder) == [])
    }

    @Test func `a venv whose interpreter has gone says where it led`() throws {
        let folder = try TemporaryFolder()
        try folder.makeFolder(".venv/bin")
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/.venv/bin/python", withDestinationPath: "python3")
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/.venv/bin/python3",
            withDestinationPath: "/opt/gone/bin/python3.9")
        let lost =
            "DIR/.venv/bin/python is a link that leads to /opt/gone/bin/python3.9, which is not "
            + "there"
        let yaml = listen + "services: { web: { app: \"a:b\", python: .venv } }\n"
        #expect(
            findings(yaml, in: folder) == [
                "f:2:40: error: services.web.python: \(lost); make the venv anew: python3 -m venv "
                    + "--clear DIR/.venv"
            ])
        let found = load(
            listen + "services: { web: { app: \"a:b\" } }\n", host: sampleHost(folder: folder.path))
        #expect(found.notices.count == 1)
        #expect(
            found.notices.first?.replacingOccurrences(of: folder.path, with: "DIR")
                .hasSuffix("since \(lost)") == true)
    }

    @Test func `a venv beside the app is found by itself`() throws {
        let folder = try TemporaryFolder()
        try folder.write("#!/bin/sh\nexit 0\n", to: "shop/.venv/bin/python", mode: 0o755)
        try folder.write("#!/bin/sh\nexit 0\n", to: "active/bin/python", mode: 0o755)
        let yaml = listen + "services: { web: { app: \"a:b\", dir: shop } }\n"
        let found = load(yaml, host: sampleHost(folder: folder.path))
        #expect(
            found.effective?.lines.contains(
                "services.web.python \(folder.path)/shop/.venv/bin/python\n") == true)
        let active = load(
            yaml,
            host: sampleHost(
                folder: folder.path, environment: ["VIRTUAL_ENV": "\(folder.path)/active"]))
        #expect(
            active.effective?.lines.contains(
                "services.web.python \(folder.path)/active/bin/python\n") == true)
        let none = proxyTests.findings(
            yaml.replacingOccurrences(of: "shop", with: "active"),
            host: sampleHost(folder: folder.path, environment: ["PATH": "/nowhere"]))
        #expect(
            none == [
                "f:2:25: error: services.web.app: no Python was found: no venv in "
                    + "\(folder.path)/active, no python3 in PATH; install one, or name it "
                    + "with python:"
            ])
    }

    @Test func `a program that may not be executed`() throws {
        let folder = try TemporaryFolder()
        try folder.write("#!/bin/sh\n", to: "bin/searchd")
        let yaml = listen + "services: { web: { command: [bin/searchd] } }\n"
        #expect(
            findings(yaml, in: folder) == [
                "f:2:29: error: services.web.command: DIR/bin/searchd cannot be executed; "
                    + "chmod +x it"
            ])
    }

    @Test func `a log without its folder`() throws {
        let folder = try TemporaryFolder()
        try folder.makeFolder("logs")
        let yaml =
            listen + demo
            + "logs: { access: { path: gone/access.json }, error: { path: logs } }\n"
        #expect(
            findings(yaml, in: folder) == [
                "f:3:25: error: logs.access.path: the folder DIR/gone is not there; mkdir "
                    + "-p DIR/gone",
                "f:3:60: error: logs.error.path: DIR/logs is a folder",
            ])
    }

    @Test func `a folder of ours that is a file, or lies in one`() throws {
        let folder = try TemporaryFolder()
        try folder.write("", to: "file")
        let yaml =
            listen + demo + "directories: { runtime: file, state: new/state, spool: file/spool }\n"
        #expect(
            findings(yaml, in: folder) == [
                "f:3:25: error: directories.runtime: DIR/file is no folder",
                "f:3:56: error: directories.spool: DIR/file is no folder",
            ])
    }

    @Test func `authorities that are none`() throws {
        let folder = try TemporaryFolder()
        try folder.write("hello\n", to: "ca.pem")
        try folder.write("", to: "empty.pem")
        let upstream = "{ url: \"https://a.example\", ca: NAME }"
        let yaml = listen + "services: { web: { upstreams: [\(upstream)] } }\n"
        for (name, why) in ["ca.pem": "holds no certificate", "empty.pem": "is empty"] {
            #expect(
                findings(yaml.replacingOccurrences(of: "NAME", with: name), in: folder) == [
                    "f:2:64: error: services.web.upstreams.0.ca: DIR/\(name): \(why); a PEM file "
                        + "with certificates of CAs is wanted"
                ])
        }
    }

    @Test func `whoever runs as root is warned, and only where he can`() throws {
        let folder = try TemporaryFolder()
        let yaml =
            listen
            + "user: root\nservices: { web: { command: [/bin/true], dir: /, user: daemon } }\n"
        let warning =
            "f:2:7: warning: user: edges and workers run as root, and who breaks into one has the "
            + "whole machine; name another user"
        let found = load(yaml, host: sampleHost(folder: folder.path, isRoot: true))
        #expect(found.diagnostics.map(\.description) == [warning])
    }

    @Test(arguments: [
        (
            "user: no-such-user-x\n",
            "f:3:7: error: user: there is no user no-such-user-x on this machine"
        ),
        (
            "group: no-such-group-x\n",
            "f:3:8: error: group: there is no group no-such-group-x on this machine"
        ),
        (
            "user: root\n",
            "f:3:7: warning: user: not started as root, so everything runs as me"
        ),
    ])
    func `users and groups are there`(line: String, expected: String) {
        #expect(proxyTests.findings(listen + demo + line) == [expected])
    }

    @Test func `socket paths fit into the kernel's address`() {
        let long = "/" + String(repeating: "d", count: 100)
        #expect(
            proxyTests.findings(listen + demo + "admin: { socket: \(long)/s.sock }\n") == [
                "f:3:18: error: admin.socket: \"\(long.prefix(57))…\" has 108 bytes; "
                    + "a socket path has at most 107"
            ])
        let path = "/" + String(repeating: "d", count: 82)
        let found = load(listen + demo + "directories: { runtime: \(path) }\n").diagnostics
        #expect(found.map(\.key) == ["services.web"])
        #expect(found[0].message.contains("a socket path has at most 107"))
    }

    @Test func `a limit of open files that is too low says how high it has to be`() {
        let host = sampleHost(openFiles: 4096)
        let yaml = listen + demo + "edges: 2\nlimits: { connections: 20000 }\n"
        #expect(
            proxyTests.findings(yaml, host: host) == [
                "f:4:24: error: limits.connections: 20000 connections over 2 edges need 10260 open "
                    + "files in each, and the limit is 4096; raise it (ulimit -n 10260, or "
                    + "LimitNOFILE= in the systemd unit), or set limits.connections to 7672"
            ])
        let fits = listen + demo + "edges: 2\nlimits: { connections: 7672 }\n"
        #expect(proxyTests.findings(fits, host: host) == [])
    }

    @Test func `a default that is too high for this machine is lowered, but not to nothing`() throws
    {
        let loaded = load(listen + demo + "edges: 2\n", host: sampleHost(openFiles: 4096))
        #expect(loaded.diagnostics.isEmpty)
        #expect(loaded.effective?.lines.contains("limits.connections 7672\n") == true)
        #expect(
            loaded.notices == [
                "limits.connections is 7672 instead of 20000, "
                    + "since an edge may open only 4096 files; raise it with ulimit -n"
            ])
        for more in ["", "limits: { connections: 1 }\n"] {
            let host = sampleHost(openFiles: 256)
            let low = load(listen + demo + "edges: 1\n" + more, host: host)
            #expect(low.diagnostics.map(\.key) == ["limits.connections"])
            let message = low.diagnostics.first?.message ?? ""
            #expect(
                message.hasPrefix("this machine's limit of 256 open files has no room for any "))
            #expect(message.contains("an edge needs at least 258; raise the limit"))
        }
    }
}

@Suite struct CertificateFileTests {
    /// Makes a self-signed certificate and its key with the openssl program.
    private func makePair(_ name: String, in folder: TemporaryFolder) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "90", "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name).example",
            "-keyout", "\(folder.path)/\(name).key", "-out", "\(folder.path)/\(name).pem",
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o600], ofItemAtPath: "\(folder.path)/\(name).key")
    }

    private func findings(_ certificates: String, in folder: TemporaryFolder) -> [String] {
        let yaml =
            "listen: \"https://127.0.0.1:0\"\ntls:\n  certificates: \(certificates)\n"
            + "services: { web: { demo: true } }\n"
        return proxyTests.findings(yaml, host: sampleHost(folder: folder.path)).map {
            $0.replacingOccurrences(of: folder.path, with: "DIR")
        }
    }

    @Test func `certificates and keys are read and matched`() throws {
        let folder = try TemporaryFolder()
        try makePair("a", in: folder)
        try makePair("b", in: folder)
        #expect(findings("[{ certificate: a.pem, key: a.key }]", in: folder) == [])
        #expect(
            findings("[{ certificate: gone.pem, key: a.key }]", in: folder) == [
                "f:3:33: error: tls.certificates.0.certificate: DIR/gone.pem cannot be read: "
                    + "No such file or directory"
            ])
        let crossed = findings(
            "[{ certificate: a.pem, key: b.key }, { certificate: b.pem, key: b.key }]",
            in: folder)
        #expect(crossed.count == 1)
        #expect(crossed[0].hasPrefix("f:3:45: error: tls.certificates.0.key: the key DIR/b.key"))
        #expect(crossed[0].contains("DIR/b.pem"))
        #expect(crossed[0].contains("DIR/a.pem"))
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o644], ofItemAtPath: "\(folder.path)/a.key")
        let open = findings("[{ certificate: a.pem, key: a.key }]", in: folder)
        #expect(open.count == 1)
        #expect(open[0].contains("warning: tls.certificates.0.key: the key DIR/a.key"))
    }

    @Test func `a certificate that is listed twice is once enough`() throws {
        let folder = try TemporaryFolder()
        try makePair("a", in: folder)
        let one = "{ certificate: a.pem, key: a.key }"
        #expect(
            findings("[\(one), \(one)]", in: folder) == [
                "f:3:69: warning: tls.certificates.1.certificate: is tls.certificates.0 already; "
                    + "once is enough"
            ])
    }

    @Test func `two defaults are one too many`() throws {
        let folder = try TemporaryFolder()
        try makePair("a", in: folder)
        try makePair("b", in: folder)
        let found = findings(
            "[{ certificate: a.pem, key: a.key, default: true }, "
                + "{ certificate: b.pem, key: b.key, default: true }]", in: folder)
        #expect(
            found == [
                "f:3:103: error: tls.certificates.1.default: "
                    + "one certificate is the default; tls.certificates.0 is already"
            ])
    }
}
