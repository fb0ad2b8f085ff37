import COpenSSL
import Testing

@testable import TLS

@Suite struct TicketTests {
    let first = TicketKeys(
        previous: TicketKey.random()!, current: TicketKey.random()!, next: TicketKey.random()!)

    /// The keys after one rotation.
    func rotated(_ keys: TicketKeys) -> TicketKeys {
        TicketKeys(previous: keys.current, current: keys.next, next: TicketKey.random()!)
    }

    /// One connection; true when it took an earlier session up.
    func resumes(_ client: TunedClient, _ context: TLSContext) -> Bool {
        var connection = Connection(client, context)
        #expect(connection.shakeHands() == (.done, .done))
        _ = readAll(&connection.client)
        let isResumed = connection.server.facts.isResumed
        #expect(connection.client.facts.isResumed == isResumed)
        client.keepSession(of: connection.client)
        return isResumed
    }

    func context(_ keys: TicketKeys, tickets: Bool = true) -> TLSContext {
        Fixtures.context(
            [Fixtures.certificate(), Fixtures.certificate(Fixtures.leaf(["a.test"]))],
            TLSServerSettings(sessionTickets: tickets), keys: { keys })
    }

    @Test(arguments: [TLSVersion.tls12, .tls13], ["localhost", "a.test"])
    func `a session resumes at another context with the same keys`(
        version: TLSVersion, name: String
    ) {
        let client = TunedClient(versions: version...version, serverName: name)
        #expect(!resumes(client, context(first)))
        #expect(resumes(client, context(first)))
        #expect(resumes(client, context(first)))
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `other keys mean a full handshake, without an error`(version: TLSVersion) {
        let client = TunedClient(versions: version...version)
        #expect(!resumes(client, context(first)))
        #expect(!resumes(client, context(rotated(rotated(rotated(first))))))
        #expect(!resumes(client, Fixtures.context()))
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `tickets outlive a rotation and are renewed by it`(version: TLSVersion) {
        let client = TunedClient(versions: version...version)
        var keys = first
        #expect(!resumes(client, context(keys)))
        for _ in 0..<4 {
            keys = rotated(keys)
            #expect(resumes(client, context(keys)), "sealed with the previous key, and renewed")
        }
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `a ticket of an edge that has rotated a moment earlier is good`(version: TLSVersion) {
        let client = TunedClient(versions: version...version)
        #expect(!resumes(client, context(rotated(first))))
        #expect(resumes(client, context(first)))
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `without tickets each handshake is a full one`(version: TLSVersion) {
        let client = TunedClient(versions: version...version)
        let context = context(first, tickets: false)
        #expect(!resumes(client, context))
        #expect(!resumes(client, context))
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `keys of its own serve within one context`(version: TLSVersion) {
        let client = TunedClient(versions: version...version)
        let context = Fixtures.context()
        #expect(!resumes(client, context))
        #expect(resumes(client, context))
    }

    @Test(arguments: [(TLSVersion.tls12, false), (.tls13, true)])
    func `a resumed handshake brings a new ticket where tickets serve once`(
        version: TLSVersion, isNew: Bool
    ) {
        let client = TunedClient(versions: version...version)
        let context = context(first)
        #expect(!resumes(client, context))
        var connection = Connection(client, context)
        #expect(connection.shakeHands() == (.done, .done))
        let before = ticket(connection.client)
        _ = readAll(&connection.client)
        #expect(connection.server.facts.isResumed == true)
        #expect((ticket(connection.client) != before) == isNew)
        #expect(ticket(connection.client).count > 100)
    }

    func ticket(_ session: borrowing TLSSession) -> [UInt8] {
        var start: UnsafePointer<UInt8>?
        var count = 0
        unsafe SSL_SESSION_get0_ticket(SSL_get_session(session.pointer), &start, &count)
        return unsafe Array(UnsafeBufferPointer(start: start, count: count))
    }

    @Test func `keys are 80 bytes and differ`() {
        #expect(MemoryLayout<TicketKey>.size == TicketKey.byteCount)
        #expect(first.current.words[0] != first.next.words[0])
    }

    @Test func `keys come as bytes: next, current, previous`() {
        let bytes = (0..<240).map { UInt8($0) }
        let keys = TicketKeys(bytes: bytes.span)
        #expect(keys.next.words[0] == 0x0706_0504_0302_0100)
        #expect(keys.next.words[9] == 0x4f4e_4d4c_4b4a_4948)
        #expect(keys.current.words[0] == 0x5756_5554_5352_5150)
        #expect(keys.previous.words[9] == 0xefee_edec_ebea_e9e8)
    }
}
