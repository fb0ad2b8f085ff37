import Linux
import Memory
import Testing

@testable import Demo

private let peer = "proxy-peer: 5 https 192.0.2.1 51234 8443 -\r\nx-request-id: ID\r\n"

@Suite(.serialized) struct DemoPageTests {
    @Test func `a worker says which it is, for whom it works and how much it has done`() throws {
        let rig = try Rig()
        #expect(try rig.hear()?["event"]?.text == "ready")
        for count in 1...3 {
            let answer = try rig.get("/worker", peer)
            #expect(answer.status == 200 && answer.fields["content-type"] == "application/json")
            let pid = ProcessTraits.pid
            #expect(
                answer.text
                    == #"{"service":"demo","worker":2,"pid":\#(pid),"count":\#(count),"#
                    + #""scheme":"https","remote":"192.0.2.1","id":"ID"}"# + "\n")
        }
    }

    @Test func `browsers get a page with links, others the worker's object`() throws {
        let rig = try Rig()
        let page = try rig.get("/", "Accept: text/html,*/*\r\n")
        #expect(page.fields["content-type"] == "text/html; charset=utf-8")
        for route in DemoPage.all { #expect(page.text.contains("href=\"\(route)\"")) }
        #expect(DemoPage.all.count == DemoHome.notes.count)
        #expect(try rig.get("/").json?["service"]?.text == "demo")
    }

    @Test func `echo shows the request as it came, but for what is between edge and worker`() throws
    {
        let rig = try Rig()
        let answer = try rig.ask(
            "PUT /echo?a=\"b HTTP/1.1\r\nHost: a\r\n\(peer)X-One:  \"1\"\t\r\nX-High: \u{e9}\r\n"
                + "Content-Length: 5\r\n\r\nhello")
        let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        #expect(
            answer.text == #"{"method":"PUT","target":"/echo?a=\"b","headers":[["host","a"],"#
                + #"["x-request-id","ID"],["x-one","\"1\""],["x-high","é"],"#
                + #"["content-length","5"]],"bytes":5,"sha256":"\#(sum)"}"# + "\n")
    }

    @Test func `upload sums chunks up, asks for them when told to, and takes large ones`() throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send(
            "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                + "Expect: 100-continue\r\n\r\n")
        #expect(try client.answer().status == 100)
        client.send("3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n")
        let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        #expect(try client.answer().text == #"{"bytes":5,"sha256":"\#(sum)"}"# + "\n")
        client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
        client.send([UInt8](repeating: 0x61, count: 3_000_000))
        #expect(try client.answer().json?["bytes"]?.whole == 3_000_000)
    }

    @Test(arguments: [0, 1, 251, 65536, 1_000_003])
    func `bytes are as many as asked and each is its position mod 251`(size: Int) throws {
        let answer = try Rig().get("/bytes?size=\(size)")
        #expect(answer.isComplete && answer.fields["content-length"] == "\(size)")
        #expect(answer.body.count == size)
        #expect(answer.body.indices.allSatisfy { answer.body[$0] == UInt8($0 % 251) })
    }

    @Test func `a stream comes in chunks with a trailer, events as an event stream`() throws {
        let rig = try Rig()
        let stream = try rig.get("/stream?count=3&seconds=0.01")
        #expect(stream.text == "chunk 1\nchunk 2\nchunk 3\n" && stream.isComplete)
        #expect(stream.trailers == ["X-Count": "3"] && stream.fields["trailer"] == "X-Count")
        let events = try rig.get("/events?count=2&seconds=0.01")
        #expect(events.fields["content-type"] == "text/event-stream" && events.isComplete)
        #expect(events.text == "id: 1\ndata: event 1\n\nid: 2\ndata: event 2\n\n")
        #expect(try rig.get("/stream?count=0").trailers == ["X-Count": "0"])
    }

    @Test func `a stream is sent as it is made`() throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send("GET /stream?count=2&seconds=60 HTTP/1.1\r\nHost: a\r\n\(peer)\r\n")
        let isThere = try rig.turn {
            client.pump()
            return String(decoding: client.received, as: UTF8.self).hasSuffix("chunk 1\n\r\n")
        }
        #expect(isThere && rig.place(5) == 1)
        client.close()
        #expect(try rig.turn { rig.place(5) == 0 })
    }

    @Test func `early hints come before the answer`() throws {
        let client = try Client(Rig())
        client.send("GET /early HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.answer().status == 103)
        #expect(try client.answer().status == 200)
    }

    @Test(arguments: [(200, 15), (404, 15), (204, 0), (304, 0), (599, 15)])
    func `status answers with that code`(status: Int, bytes: Int) throws {
        let answer = try Rig().get("/status/\(status)")
        #expect(answer.status == UInt16(status) && answer.body.count == bytes)
        #expect(answer.isComplete)
    }

    @Test func `an exception is a 500 that carries it`() throws {
        let answer = try Rig().get("/exception")
        #expect(answer.status == 500)
        let exception = answer.fields["proxy-exception"]
        #expect(
            exception
                == "DemoError;asked%20for;DemoError%3a%20asked%20for%0a%20%20at%20%2fexception%0a")
    }

    @Test func `a body is cut off and the connection closed`() throws {
        let client = try Client(Rig())
        client.send("GET /cut?after=10 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.waitForEnd())
        let text = String(decoding: client.received, as: UTF8.self)
        #expect(text.contains("Content-Length: 100\r\n"))
        #expect(Array(client.received.suffix(14)) == Array("\r\n\r\n".utf8) + (0..<10))
    }

    @Test(arguments: [
        ("/exit?code=3", DemoEnding.exit(3)), ("/exit?code=0", .exit(0)), ("/kill", .kill),
    ])
    func `a worker ends before it answers`(target: String, ending: DemoEnding) throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send("GET \(target) HTTP/1.1\r\nHost: a\r\n\(peer)\r\n")
        #expect(try rig.turn { rig.loop.ending == ending })
        client.pump()
        #expect(client.received.isEmpty && rig.place(5) == 1)
    }

    @Test(arguments: [
        ("/sleep?seconds=61", "seconds: from 0 to 60"),
        ("/sleep?seconds=-1", "seconds: from 0 to 60"),
        ("/sleep?seconds=60.1", "seconds: from 0 to 60"),
        ("/sleep?seconds=", "seconds: from 0 to 60"),
        ("/sleep?seconds=1e1", "seconds: from 0 to 60"),
        ("/sleep?seconds=.5", "seconds: from 0 to 60"),
        ("/bytes?size=1073741825", "size: from 0 to 1073741824"),
        ("/bytes?size=x", "size: from 0 to 1073741824"),
        ("/stream?count=-1", "count: from 0 to 1000000"),
        ("/events?seconds=99", "seconds: from 0 to 60"),
        ("/status/199", "status: from 200 to 599"), ("/status/600", "status: from 200 to 599"),
        ("/status/", "status: from 200 to 599"), ("/exit?code=256", "code: from 0 to 255"),
        ("/cut?after=100", "after: from 0 to 99"),
    ])
    func `a bad parameter is named`(target: String, rule: String) throws {
        let answer = try Rig().get(target)
        #expect(answer.status == 400 && answer.text == "{\"error\":\"\(rule)\"}\n")
    }

    @Test func `what is not there says what is`() throws {
        let answer = try Rig().get("/nothing")
        #expect(answer.status == 404 && answer.json?["error"]?.text == "no such page")
        #expect(answer.json?["pages"]?.elements?.count == DemoPage.all.count)
    }

    @Test(arguments: [
        "/worker", "/bytes?size=99", "/stream?seconds=9", "/nothing", "/sleep?seconds=0",
    ])
    func `HEAD has no body`(target: String) throws {
        let rig = try Rig()
        let client = try Client(rig)
        client.send("HEAD \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.answer(isHead: true).isComplete)
        #expect(client.received.isEmpty)
        client.send("GET /status/200 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.answer().status == 200)
    }

    @Test func `a head that is no good is refused and the connection closed`() throws {
        let client = try Client(Rig())
        client.send("GET / HTTP/1.1\r\n\r\n")
        #expect(try client.answer().status == 400)
        #expect(try client.waitForEnd())
    }
}
