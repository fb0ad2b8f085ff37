import Linux
import Memory
import Testing

@testable import Edge

/// What stands in for the host of a client that names none.
@Suite struct OwnAddressTests {
    /// The head that an endpoint gets for a request.
    private func head(_ simulated: SimulatedEdge, _ request: String) -> String {
        let world = simulated.traffic.world
        var endpoint: ScriptedEnd?
        world.servers[Array("/worker/1".utf8)] = {
            endpoint = ScriptedEnd(world) { end in
                if end.text.hasSuffix("\r\n\r\n") { end.send("HTTP/1.1 204 No Content\r\n\r\n") }
            }
            return endpoint
        }
        let client = ScriptedEnd(world)
        client.connect()
        client.send(request)
        #expect(simulated.turn { client.text.hasPrefix("HTTP/1.1 204") })
        client.end()
        simulated.run()
        #expect(simulated.traffic.complaints == [])
        return endpoint?.text ?? ""
    }

    @Test(arguments: [
        (InternetAddress(ipv4: 0xc000_0201, port: 8080), "192.0.2.1:8080"),
        (InternetAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 8080), "[2001:db8::1]:8080"),
    ])
    func `it is the address that the connection came to`(
        address: InternetAddress, authority: String
    ) throws {
        let simulated = try DirectedTests.edge()
        simulated.traffic.world.localAddress = address
        let head = head(simulated, "GET / HTTP/1.0\r\n\r\n")
        #expect(head.contains("\r\nHost: \(authority)\r\n"))
        #expect(head.contains("\r\nX-Forwarded-Host: \(authority)\r\n"))
        #expect(simulated.traffic.world.addressQuestions == 1)
    }

    @Test func `the kernel is not asked for it where a host is named`() throws {
        let simulated = try DirectedTests.edge()
        #expect(head(simulated, DirectedTests.get()).contains("\r\nHost: a.example\r\n"))
        #expect(simulated.traffic.world.addressQuestions == 0)
    }

    @Test func `a redirect names it without the port`() throws {
        let simulated = try DirectedTests.edge(
            options: "routes: [{ redirect: { to: \"https://{host}:8443{target}\" } }]")
        let client = ScriptedEnd(simulated.traffic.world)
        client.connect()
        client.send("GET /x HTTP/1.0\r\n\r\n")
        #expect(simulated.turn { client.isOver })
        #expect(client.text.contains("\r\nLocation: https://192.0.2.1:8443/x\r\n"))
        simulated.run()
        #expect(simulated.traffic.complaints == [])
    }
}
