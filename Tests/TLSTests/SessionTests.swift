import COpenSSL
import Testing

@testable import TLS

@Suite struct SessionTests {
    func connected(_ version: TLSVersion = .tls13) -> Connection {
        var connection = Connection(
            TunedClient(versions: version...version), Fixtures.context())
        #expect(connection.shakeHands() == (.done, .done))
        // The tickets of TLS 1.3 are read along with the first read.
        #expect(readAll(&connection.client).end == .wouldBlock(.read))
        return connection
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `bytes go both ways, and a closed connection is said to be`(version: TLSVersion) {
        var connection = connected(version)
        #expect(write("request", &connection.client) == .wrote(7))
        let request = readAll(&connection.server)
        #expect(request.bytes == Array("request".utf8))
        #expect(request.end == .wouldBlock(.read))
        #expect(write("answer", &connection.server) == .wrote(6))
        #expect(connection.server.shutdown() == .sent)
        let answer = readAll(&connection.client)
        #expect(answer.bytes == Array("answer".utf8))
        #expect(answer.end == .closed)
        #expect(connection.client.shutdown() == .sent)
        #expect(readAll(&connection.server).end == .closed)
        #expect(readAll(&connection.server).end == .closed)
        #expect(connection.server.shutdown() == .sent)
    }

    @Test(arguments: [TLSVersion.tls12, .tls13])
    func `an end without close_notify is truncated`(version: TLSVersion) {
        var connection = connected(version)
        #expect(write("half", &connection.client) == .wrote(4))
        connection.wire.closeClient()
        let half = readAll(&connection.server)
        #expect(half.bytes == Array("half".utf8))
        #expect(half.end == .truncated)
        #expect(connection.server.shutdown() == .impossible)
        #expect(write("x", &connection.server) == .failed(TLSFailure(.closed, code: half.end.code)))
    }

    @Test func `half a record at the end is truncated, not closed`() {
        var connection = connected()
        #expect(write("some words", &connection.client) == .wrote(10))
        let record = take(connection.wire.server)
        give(Array(record[..<(record.count - 3)]), to: connection.wire.client)
        connection.wire.closeClient()
        let result = readAll(&connection.server)
        #expect(result.bytes.isEmpty)
        #expect(result.end == .truncated)
    }

    @Test func `a record that comes byte by byte is read when it is whole`() {
        var connection = connected()
        #expect(write("some words", &connection.client) == .wrote(10))
        let record = take(connection.wire.server)
        for (index, byte) in record.enumerated() {
            give([byte], to: connection.wire.client)
            let result = readAll(&connection.server)
            #expect(result.end == .wouldBlock(.read))
            #expect(result.bytes == (index == record.count - 1 ? Array("some words".utf8) : []))
        }
    }

    @Test func `a record changed on its way is a bad record, for good`() {
        var connection = connected()
        #expect(write("some words", &connection.client) == .wrote(10))
        var record = take(connection.wire.server)
        record[8] ^= 1
        give(record, to: connection.wire.client)
        for _ in 0..<2 {
            guard case .failed(let failure) = readAll(&connection.server).end else {
                Issue.record("the change was not noticed")
                return
            }
            #expect(failure.reason == .badRecord)
        }
        guard case .failed(let failure) = write("x", &connection.server) else {
            Issue.record("written after a failure")
            return
        }
        #expect(failure.reason == .badRecord)
        // The client hears of it by an alert.
        guard case .failed(let heard) = readAll(&connection.client).end else {
            Issue.record("no alert came")
            return
        }
        #expect(heard.alert == 20)
    }

    @Test func `knows whether another read may bring more without a new event`() {
        var connection = connected()
        #expect(write("first", &connection.client) == .wrote(5))
        #expect(write("second", &connection.client) == .wrote(6))
        var room = [UInt8](repeating: 0, count: 3)
        func read(_ session: inout TLSSession) -> TLSRead {
            var span = room.mutableSpan
            return session.read(into: &span)
        }
        #expect(read(&connection.server) == .bytes(3))
        #expect(connection.server.hasPending == true)
        #expect(read(&connection.server) == .bytes(2))
        #expect(connection.server.mayReadMore == true, "the second record is inside")
        #expect(read(&connection.server) == .bytes(3))
        #expect(read(&connection.server) == .bytes(3))
        #expect(connection.server.hasPending == false)
        #expect(
            connection.server.mayReadMore == false, "the receive was short: the socket is empty")
        #expect(read(&connection.server) == .wouldBlock(.read))
    }

    @Test func `a full socket takes a part, and the rest later from other memory`() {
        var connection = connected()
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 % 251) }
        var sent = 0
        var received: [UInt8] = []
        var wasBlocked = false
        while sent < body.count {
            let rest = Array(body[sent...])
            switch write(rest, &connection.server) {
            case .wrote(let count):
                #expect(count > 0)
                sent += count
            case .wouldBlock(let want):
                #expect(want == .write)
                wasBlocked = true
                received += readAll(&connection.client).bytes
            case .failed(let failure):
                Issue.record("\(failure)")
                return
            }
        }
        received += readAll(&connection.client).bytes
        #expect(wasBlocked)
        #expect(received == body)
    }

    @Test(arguments: [
        (0, 10, 1), (10, 0, 1), (100, 5000, 1), (100, 16284, 1), (100, 16285, 2), (16384, 1, 2),
        (20000, 20000, 3), (1, 40000, 3), (0, 0, 0),
    ])
    func `a head and its body share records`(head: Int, body: Int, records: Int) {
        var connection = connected()
        let first = [UInt8](repeating: 1, count: head)
        let second = (0..<body).map { UInt8(truncatingIfNeeded: $0) }
        let before = connection.server.socketCounts.sent
        #expect(connection.server.write(first.span, second.span) == .wrote(head + body))
        // Each TLS 1.3 record adds 5 bytes of head, 1 of type and 16 of authentication.
        let after = connection.server.socketCounts.sent
        #expect(Int(after - before) == head + body + records * 22)
        #expect(readAll(&connection.client).bytes == first + second)
    }

    @Test func `a head and body go on where the socket was full`() {
        var connection = connected()
        let whole = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 % 241) }
        let headCount = 100_000
        var sent = 0
        var received: [UInt8] = []
        for _ in 0..<100_000 where sent < whole.count {
            let head = sent < headCount ? Array(whole[sent..<headCount]) : []
            let body = Array(whole[max(sent, headCount)...])
            switch connection.server.write(head.span, body.span) {
            case .wrote(let count): sent += count
            case .wouldBlock: received += readAll(&connection.client).bytes
            case .failed(let failure): Issue.record("\(failure)")
            }
        }
        received += readAll(&connection.client).bytes
        #expect(received == whole)
    }

    @Test func `close_notify waits for room`() {
        var connection = connected()
        var filled = 0
        while unsafe copenssl_send(connection.wire.server, "x", 1) == 1 { filled += 1 }
        #expect(connection.server.shutdown() == .wantsWrite)
        while filled > 0 { filled -= take(connection.wire.client, limit: filled).count }
        #expect(connection.server.shutdown() == .sent)
        #expect(readAll(&connection.client).end == .closed)
    }

    @Test func `an unfinished write leaves no way to close as if all was said`() {
        var connection = connected()
        let body = [UInt8](repeating: 7, count: 4_000_000)
        guard case .wrote(let sent) = write(body, &connection.server) else {
            Issue.record("nothing was written")
            return
        }
        #expect(sent < body.count)
        #expect(connection.server.shutdown() == .impossible)
        _ = readAll(&connection.client)
        #expect(write(Array(body[sent..<(sent + 16384)]), &connection.server) == .wrote(16384))
        #expect(connection.server.shutdown() == .sent)
    }

    @Test func `a write to a vanished peer fails and raises no signal`() {
        var connection = connected()
        connection.wire.closeClient()
        guard case .failed(let failure) = write("x", &connection.server) else {
            Issue.record("written to nobody")
            return
        }
        #expect(failure.reason == .reset)
        #expect(failure.code == UInt32(EPIPE))
    }

    @Test func `a key update is answered and nothing is lost`() {
        var connection = connected()
        unsafe _ = SSL_key_update(connection.client.pointer, SSL_KEY_UPDATE_REQUESTED)
        #expect(write("one", &connection.client) == .wrote(3))
        #expect(readAll(&connection.server).bytes == Array("one".utf8))
        #expect(write("two", &connection.server) == .wrote(3))
        #expect(readAll(&connection.client).bytes == Array("two".utf8))
    }
}

extension TLSRead {
    /// OpenSSL's number behind a failure; that of an end without close_notify elsewhere.
    var code: UInt32 {
        if case .failed(let failure) = self { return failure.code }
        return UInt32(ERR_LIB_SSL) << 23 | UInt32(SSL_R_UNEXPECTED_EOF_WHILE_READING)
    }
}
