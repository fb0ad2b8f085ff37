import HTTP
import Linux
import Memory
import Testing

@testable import Demo

private func get(_ target: String, place: Int) -> String {
    "GET \(target) HTTP/1.1\r\nHost: a\r\nproxy-peer: \(place) http ::1 1 80 -\r\n\r\n"
}

@Suite(.serialized) struct DemoLoopTests {
    @Test func `a worker does one request at a time, in the order they came`() throws {
        let rig = try Rig()
        let (one, two) = (try Client(rig), try Client(rig))
        one.send(get("/sleep?seconds=0.2", place: 0))
        #expect(try rig.turn { rig.place(0) == 1 })
        two.send(get("/worker", place: 1))
        #expect(try rig.turn { rig.loop.waiting.count == 1 })
        #expect(rig.place(1) == 0)
        #expect(try two.answer().json?["count"]?.whole == 2)
        one.pump()
        #expect(!one.received.isEmpty && rig.place(0) == 0 && rig.place(1) == 0)
        let slept = try one.answer().json
        #expect(slept?["slept"]?.double == 0.2 && slept?["count"]?.whole == 1)
    }

    @Test func `with more concurrency a short request passes a long one`() throws {
        let rig = try Rig(concurrency: 2)
        let (one, two) = (try Client(rig), try Client(rig))
        one.send(get("/sleep?seconds=60", place: 0))
        #expect(try rig.turn { rig.place(0) == 1 })
        two.send(get("/worker", place: 1))
        #expect(try two.answer().status == 200)
        #expect(rig.place(0) == 1)
    }

    @Test func `a sleep costs no turns`() throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send(get("/sleep?seconds=0.3", place: 0))
        var turns = 0
        while client.received.isEmpty, turns < 50 {
            try rig.loop.turn()
            client.pump()
            turns += 1
        }
        #expect(turns < 10)
        #expect(try client.answer().text.hasSuffix(",\"slept\":0.3}\n"))
    }

    @Test
    func `a request whose client is gone is worked on to its end, one that waits is not begun`()
        throws
    {
        let rig = try Rig()
        let (one, two) = (try Client(rig), try Client(rig))
        one.send(get("/sleep?seconds=0.2", place: 0))
        #expect(try rig.turn { rig.place(0) == 1 })
        two.send(get("/worker", place: 1))
        #expect(try rig.turn { rig.loop.waiting.count == 1 })
        one.close()
        two.close()
        try rig.loop.turn(longest: 2)
        #expect(rig.place(0) == 1)
        #expect(try rig.turn { rig.place(0) == 0 && rig.loop.waiting.isEmpty })
        #expect(try rig.turn { rig.loop.connections.count == 0 })
        #expect(rig.loop.count == 1 && rig.loop.pool.taken == 0)
    }

    @Test func `requests behind one another on a connection are answered in order`() throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send(get("/status/201", place: 0) + get("/status/202", place: 0))
        #expect(try client.answer().status == 201)
        #expect(try client.answer().status == 202)
        #expect(rig.loop.pool.taken == 0)
    }

    @Test func `every cut of a request's bytes gives the same answer`() throws {
        let rig = try Rig()
        let head = "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        let text = Array((head + "2\r\nhi\r\n0\r\n\r\n").utf8)
        let client = try Client(rig)
        for cut in 0...text.count {
            client.send(Array(text[..<cut]))
            try rig.loop.turn(longest: 1)
            client.send(Array(text[cut...]))
            #expect(try client.answer().json?["bytes"]?.whole == 2)
        }
    }

    @Test func `a draining worker finishes what it has in hand`() throws {
        let rig = try Rig()
        let (one, two) = (try Client(rig), try Client(rig))
        one.send(get("/sleep?seconds=0.2", place: 0))
        two.send(get("/status/201", place: 1))
        #expect(try rig.turn { rig.place(0) == 1 && rig.loop.waiting.count == 1 })
        try rig.tell(["command": "drain"])
        try rig.loop.turn(longest: 1)
        #expect(rig.loop.ending == nil)
        #expect(try one.answer().status == 200)
        #expect(try two.answer().status == 201)
        #expect(try rig.turn { rig.loop.ending == .exit(0) })
    }

    @Test func `a worker whose master is gone ends at once`() throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send(get("/sleep?seconds=60", place: 0))
        #expect(try rig.turn { rig.place(0) == 1 })
        rig.hangUp()
        try rig.loop.turn(longest: 100)
        #expect(rig.loop.ending == .exit(0))
    }

    @Test func `the master hears what the worker costs`() throws {
        let rig = try Rig()
        #expect(try rig.hear()?["pid"]?.whole == Int(ProcessTraits.pid))
        _ = try rig.get("/sleep?seconds=0.02")
        var cost: JSONValue?
        _ = try rig.turn {
            cost = (try? rig.hear()) ?? nil
            return cost != nil
        }
        #expect(cost?["event"]?.text == "cost" && cost?["requests"]?.whole == 1)
        #expect(cost?["busy_seconds"]?.double ?? 0 >= 0.02)
        #expect(cost?["rss_bytes"]?.whole ?? 0 > 0)
    }
}
