import COpenSSL
import Testing

@testable import TLS

@Suite struct HandshakeTests {
    @Test(arguments: [
        (TLSVersion.tls13, "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (.tls12, "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ])
    func `agrees on a version, a cipher and X25519, by the client's order`(
        version: TLSVersion, name: String, cipher: String
    ) {
        let client = TunedClient(versions: version...version, serverName: "LocalHost")
        var connection = Connection(client, Fixtures.context())
        #expect(connection.shakeHands() == (.done, .done))
        let facts = connection.server.facts
        #expect(written { facts.writeVersion(to: &$0) } == name)
        #expect(written { facts.writeCipher(to: &$0) } == cipher)
        #expect(written { facts.writeGroup(to: &$0) } == "X25519")
        #expect(written { facts.writeApplicationProtocol(to: &$0) } == "-")
        #expect(!facts.isResumed)
        #expect(facts.version == connection.client.facts.version)
        #expect(text(connection.server.serverName) == "LocalHost")
    }

    @Test func `takes P-256 where the client has no X25519`() {
        let client = TunedClient(groups: "P-256")
        var connection = Connection(client, Fixtures.context())
        #expect(connection.shakeHands() == (.done, .done))
        #expect(connection.server.facts.group == 23)
        #expect(connection.server.serverName.count == 0)
    }

    @Test func `asks for more until both are done, and never blocks`() {
        var connection = Connection(TunedClient(), Fixtures.context())
        #expect(connection.server.handshake() == .wantsRead)
        #expect(connection.client.handshake() == .wantsRead)
        #expect(connection.server.handshake() == .wantsRead)
        #expect(connection.client.handshake() == .done)
        #expect(connection.server.handshake() == .done)
        #expect(connection.server.handshake() == .done)
    }

    @Test func `a full socket makes it wait for writing`() {
        var connection = Connection(TunedClient(), Fixtures.context())
        #expect(connection.client.handshake() == .wantsRead)
        let filler = [UInt8](repeating: 0, count: 4096)
        var filled = 0
        while true {
            let count = unsafe copenssl_send(connection.wire.server, filler, 4096)
            guard count > 0 else { break }
            filled += count
        }
        #expect(connection.server.handshake() == .wantsWrite)
        while filled > 0 { filled -= take(connection.wire.client, limit: min(filled, 4096)).count }
        #expect(connection.server.handshake() == .wantsRead)
        #expect(connection.shakeHands() == (.done, .done))
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `a handshake that comes byte by byte is the same`(version: TLSVersion) {
        let (near, far) = (Wire(), Wire())
        var client = TunedClient(versions: version...version).connect(near.client)
        var server = Fixtures.context().accept(far.server)
        var result: (client: TLSHandshake, server: TLSHandshake) = (.wantsRead, .wantsRead)
        for _ in 0..<4 where !result.client.isFinal || !result.server.isFinal {
            if !result.client.isFinal { result.client = client.handshake() }
            for byte in take(near.server) {
                give([byte], to: far.client)
                if !result.server.isFinal { result.server = server.handshake() }
            }
            for byte in take(far.client) {
                give([byte], to: near.server)
                if !result.client.isFinal { result.client = client.handshake() }
            }
        }
        #expect(result == (.done, .done))
    }

    @Test func `a ClientHello with a bit changed in any byte does no harm`() {
        let wire = Wire()
        var client = TunedClient(protocols: ["http/1.1"], serverName: "a").connect(wire.client)
        #expect(client.handshake() == .wantsRead)
        let hello = take(wire.server)
        let context = Fixtures.context()
        var failures = 0
        for position in hello.indices {
            var changed = hello
            changed[position] ^= 1 << UInt8(position % 8)
            let other = Wire()
            var server = context.accept(other.server)
            give(changed, to: other.client)
            let result = server.handshake()
            #expect(result != .done && result != .closed)
            if result.failure != nil { failures += 1 }
        }
        #expect(failures > 20)
        #expect(failures < hello.count)
    }

    @Test func `the profiles set the lowest version`() {
        let cases: [(TLSProfile, TLSVersion?, TLSVersion, Bool)] = [
            (.modern, nil, .tls12, false), (.modern, nil, .tls13, true),
            (.intermediate, nil, .tls11, false), (.intermediate, nil, .tls12, true),
            (.intermediate, .tls13, .tls12, false), (.intermediate, .tls10, .tls11, false),
            (.old, nil, .tls10, true), (.old, nil, .tls11, true), (.old, .tls12, .tls11, false),
        ]
        for (profile, minimum, offered, isServed) in cases {
            let settings = TLSServerSettings(profile: profile, minimum: minimum)
            let client = TunedClient(versions: .tls10...offered)
            var connection = Connection(
                client, Fixtures.context([Fixtures.certificate()], settings))
            let result = connection.shakeHands()
            if isServed {
                #expect(result == (.done, .done), "\(profile) \(offered)")
                #expect(connection.server.facts.version == offered.rawValue)
            } else {
                #expect(
                    result.server.failure?.reason == .unsupportedVersion, "\(profile) \(offered)")
                #expect(result.client.failure?.reason == .unsupportedVersion)
                #expect(result.client.failure?.alert == 70)
                #expect(result.server.failure?.alert == 70)
            }
        }
    }

    @Test func `the profile 'old' alone insists on its own order of ciphers`() {
        let ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"
        for (profile, expected) in [
            (TLSProfile.intermediate, "ECDHE-ECDSA-CHACHA20-POLY1305"),
            (.old, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ] {
            let client = TunedClient(versions: .tls12 ... .tls12, ciphers: ciphers)
            let settings = TLSServerSettings(profile: profile)
            var connection = Connection(
                client, Fixtures.context([Fixtures.certificate()], settings))
            #expect(connection.shakeHands() == (.done, .done))
            let facts = connection.server.facts
            #expect(written { facts.writeCipher(to: &$0) } == expected)
        }
    }

    @Test(arguments: [
        ([], "-"), (["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"),
        (["http/1.0"], "http/1.0"), (["http/1.0", "http/1.1"], "http/1.1"),
    ])
    func `ALPN takes our first protocol that the client has`(offered: [String], agreed: String) {
        var connection = Connection(TunedClient(protocols: offered), Fixtures.context())
        #expect(connection.shakeHands() == (.done, .done))
        let (server, client) = (connection.server.facts, connection.client.facts)
        #expect(written { server.writeApplicationProtocol(to: &$0) } == agreed)
        #expect(client.applicationProtocol == server.applicationProtocol)
    }

    @Test(arguments: [["h2"], ["h2", "http/0.9"], ["http/1.10"], ["http/1"]])
    func `ALPN without overlap is a fatal alert`(offered: [String]) {
        var connection = Connection(TunedClient(protocols: offered), Fixtures.context())
        let result = connection.shakeHands()
        #expect(result.server.failure?.reason == .noApplicationProtocol)
        #expect(result.client.failure?.alert == 120)
        #expect(result.client.failure?.reason == .noApplicationProtocol)
    }

    @Test func `every cipher and group that is offered has a name`() {
        for profile in TLSProfile.allCases {
            let context = ContextHandle(isServer: true)
            unsafe _ = SSL_CTX_set_cipher_list(context.pointer, "\(profile.cipherList)")
            let ciphers = unsafe SSL_CTX_get_ciphers(context.pointer)
            let count = unsafe copenssl_ciphers_count(ciphers)
            #expect(count > 10)
            for index in 0..<count {
                let cipher = unsafe copenssl_ciphers_at(ciphers, index)
                let name = unsafe String(cString: SSL_CIPHER_get_name(cipher))
                let number = unsafe SSL_CIPHER_get_protocol_id(cipher)
                #expect(TLSFacts.cipherName(number)?.description == name)
            }
        }
        for (name, number) in [("X25519", 29), ("P-256", 23), ("P-384", 24)] as [(String, UInt16)] {
            var connection = Connection(TunedClient(groups: name), Fixtures.context())
            #expect(connection.shakeHands() == (.done, .done))
            #expect(connection.server.facts.group == number)
            #expect(TLSFacts.groupName(number)?.description == name)
        }
    }

    @Test func `numbers without a name are written in hexadecimal`() {
        let facts = TLSFacts(
            version: 0x0300, cipher: 0x0a0a, group: 0x1234, applicationProtocol: .h2,
            isResumed: false)
        #expect(written { facts.writeVersion(to: &$0) } == "0x300")
        #expect(written { facts.writeCipher(to: &$0) } == "0xa0a")
        #expect(written { facts.writeGroup(to: &$0) } == "0x1234")
    }

    @Test func `renegotiation by the client is refused and the connection lives`() {
        let client = TunedClient(versions: .tls12 ... .tls12)
        var connection = Connection(client, Fixtures.context())
        #expect(connection.shakeHands() == (.done, .done))
        unsafe _ = SSL_renegotiate(connection.client.pointer)
        _ = connection.client.handshake()
        #expect(readAll(&connection.server).end == .wouldBlock(.read))
        let refused = connection.client.handshake()
        #expect(refused.failure != nil)
        #expect(write("still here", &connection.server) == .wrote(10))
    }
}
