import CLinux
import Memory
import Testing

@testable import Linux

@Suite struct StreamSocketTests {
    /// Both ends of a connection.
    private static func pair() throws -> (client: Int32, server: Int32) {
        let listener = try ListeningSocket(tcp: SocketAddress(address: "127.0.0.1", port: 0)!)
        let address = InternetAddress(ipv4: 0x7f00_0001, port: listener.address.port!)
        let client: Int32
        switch StreamSocket.connect(to: address) {
        case .connected(let socket), .inProgress(let socket): client = socket
        case .full, .exhausted, .failed: throw SystemError("connect")
        }
        while true {
            if case .accepted(let server, _) = StreamSocket.accept(listener.number) {
                return (client, server)
            }
        }
    }

    @Test func `the kernel tells how much of what it was given the peer has not taken`() throws {
        let (client, server) = try Self.pair()
        defer {
            StreamSocket.close(client)
            StreamSocket.close(server)
        }
        #expect(StreamSocket.unacknowledged(server) == 0)
        let pool = BlockPool(smallCount: 1, largeCount: 2)
        let bytes = [UInt8](repeating: 1, count: 60_000)
        var chain = BlockChain()
        let isThere = chain.append(bytes.span, in: pool)
        #expect(isThere)
        var given = 0
        while case .bytes(let count) = StreamSocket.send(server, chain, of: pool) { given += count }
        chain.giveAll(to: pool)
        let full = try #require(StreamSocket.unacknowledged(server))
        #expect((1...given).contains(full))
        // It is taken, and no event tells of the first third.
        let block = pool.take(.large)
        while StreamSocket.unacknowledged(server) != 0 {
            _ = StreamSocket.receive(client, into: block, of: pool)
            pool.consume(pool.count(of: block), of: block)
        }
        pool.give(block)
    }

    @Test func `what is no socket tells nothing`() {
        #expect(StreamSocket.unacknowledged(-1) == nil)
    }
}
