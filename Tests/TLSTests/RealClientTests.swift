import Testing

@testable import TLS

/// The same claims, made by `openssl s_client`, `curl` and Python.
@Suite(.serialized) struct RealClientTests {
    let keys = TicketKeys(
        previous: TicketKey.random()!, current: TicketKey.random()!, next: TicketKey.random()!)

    func context(_ settings: TLSServerSettings = TLSServerSettings()) -> TLSContext {
        let keys = self.keys
        return Fixtures.context([Fixtures.certificate()], settings, keys: { keys })
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `s_client resumes a session at another context with the same keys`(version: String) throws
    {
        let folder = try TemporaryFolder()
        let root = try folder.write(Fixtures.root.certificate, "root.pem")
        let server = try LoopbackServer()
        for (round, option) in ["-sess_out", "-sess_in", "-sess_in"].enumerated() {
            let child = try start(
                [
                    "openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", version,
                    "-servername", "localhost", "-CAfile", root, "-verify_return_error",
                    "-verify_hostname", "localhost", "-ign_eof", option, folder.file("session"),
                ], input: "GET / HTTP/1.0\r\n\r\n")
            let served = server.serveOne(context())
            let (status, output) = child.finish()
            #expect(status == 0, "\(output)")
            #expect(served?.handshake == .done)
            #expect(served?.request == "GET / HTTP/1.0\r\n\r\n")
            #expect(served?.isResumed == (round > 0))
            #expect(output.contains(round > 0 ? "Reused, TLSv1." : "New, TLSv1."), "\(output)")
            #expect(output.contains("Verify return code: 0 (ok)"))
            #expect(output.contains("Compression: NONE"))
            #expect(output.contains("hello"))
        }
    }

    @Test func `s_client's wishes are refused for the right reason`() throws {
        let server = try LoopbackServer()
        let cases: [([String], TLSFailure.Reason, String)] = [
            (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], .unsupportedVersion, "protocol version"),
            (["-tls1_2", "-cipher", "AES128-SHA"], .noSharedCipher, "handshake failure"),
            (["-alpn", "h2"], .noApplicationProtocol, "no application protocol"),
            (["-tls1_3", "-groups", "X448"], .noSharedGroup, "handshake failure"),
        ]
        for (arguments, reason, alert) in cases {
            let child = try start(
                ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)"] + arguments)
            let served = server.serveOne(context())
            let (status, output) = child.finish()
            #expect(served?.handshake.failure?.reason == reason)
            #expect(status != 0)
            #expect(output.contains("alert \(alert)"), "\(output)")
        }
    }

    @Test(arguments: [
        (["--http1.1"], "GET / HTTP/1.1"), (["--http1.0"], "GET / HTTP/1.0"),
        (["--no-alpn"], "GET / HTTP/1.1"), (["--tls-max", "1.2"], "GET / HTTP/1.1"),
    ])
    func `curl trusts the root and gets its page`(arguments: [String], line: String) throws {
        let folder = try TemporaryFolder()
        let root = try folder.write(Fixtures.root.certificate, "root.pem")
        let server = try LoopbackServer()
        let child = try start(
            ["curl", "-sS", "--cacert", root, "https://127.0.0.1:\(server.port)/"] + arguments)
        let served = server.serveOne(context())
        let (status, output) = child.finish()
        #expect(status == 0)
        #expect(output == "hello\n")
        #expect(served?.request.hasPrefix(line) == true)
    }

    @Test func `curl refuses another root, and the server hears why`() throws {
        let folder = try TemporaryFolder()
        let root = try folder.write(Fixtures.otherRoot.certificate, "root.pem")
        let server = try LoopbackServer()
        let child = try start(
            [
                "curl", "-sS", "--tls-max", "1.2", "--cacert", root,
                "https://127.0.0.1:\(server.port)/",
            ])
        let served = server.serveOne(context())
        #expect(child.finish().status == 60)
        #expect(served?.handshake.failure?.reason == .certificateRefused)
        #expect(served?.handshake.failure?.alert == 48)
    }

    @Test func `plain HTTP on the TLS port is recognised`() throws {
        let server = try LoopbackServer()
        let child = try start(["curl", "-sS", "http://127.0.0.1:\(server.port)/"])
        let served = server.serveOne(context())
        _ = child.finish()
        #expect(served?.handshake.failure?.reason == .httpRequest)
    }
}
