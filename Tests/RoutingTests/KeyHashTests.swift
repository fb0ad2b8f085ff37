import Configuration
import HTTP
import Memory
import Testing

@testable import Routing

@Suite struct KeyHashTests {
    private func hash(
        _ key: HashKey?, path: String = "/a", fields: [String] = [], client: UInt32 = 1
    ) -> UInt64 {
        let text = (["GET \(path) HTTP/1.1", "Host: a"] + fields).joined(separator: "\r\n")
        let bytes = Array((text + "\r\n\r\n").utf8)
        var head = RequestHead(fieldCapacity: 20)
        var parser = RequestHeadParser()
        _ = parser.parse(bytes.span, limits: HeadLimits(), into: &head)
        return KeyHash(key).hash(head, in: bytes.span, client: IPAddress(ipv4: client))
    }

    @Test func `the same key gives the same hash, another one another`() {
        #expect(hash(.client) == hash(.client, path: "/b"))
        #expect(hash(.client) != hash(.client, client: 2))
        #expect(hash(.path, path: "/a?x") == hash(.path, path: "/a?y", client: 2))
        #expect(hash(.path) != hash(.path, path: "/b"))
        #expect(
            hash(.header("x-user"), fields: ["X-User: 7"])
                == hash(.header("x-user"), fields: ["Accept: a", "x-USER: 7"], client: 2))
        #expect(hash(nil) == hash(nil, path: "/b", client: 2))
    }

    @Test(arguments: [
        ("Cookie: sid=1", true), ("Cookie: a=2; sid=1; b=3", true), ("Cookie: a=2;sid=1", true),
        ("Cookie: xsid=1", false), ("Cookie: sid=2", false), ("Cookie: SID=1", false),
        ("Cookie: sid", false), ("Cookie: ", false),
    ])
    func `a cookie is found among others`(field: String, isFound: Bool) {
        let plain = hash(.cookie("sid"), fields: ["Cookie: sid=1"], client: 9)
        #expect((hash(.cookie("sid"), fields: [field], client: 8) == plain) == isFound)
    }

    @Test func `without the header the client's address decides`() {
        #expect(hash(.header("x-user")) == hash(.client))
        #expect(hash(.cookie("sid")) == hash(.client))
    }
}
