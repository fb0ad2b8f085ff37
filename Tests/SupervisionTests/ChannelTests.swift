import Testing

@testable import Linux
@testable import Supervision

@Suite struct ChannelTests {
    @Test func `what a child said last is heard although it left orders unread`() throws {
        var heard: [String] = []
        var isClosed = false
        let loop = try Loop()
        var channel: Channel?
        do {
            // The child's side is closed with this scope.
            let ends = try ChannelEnds()
            channel = try Channel(
                ends.ours, on: loop,
                received: { heard.append($0["event"]?.text ?? "") }, closed: { isClosed = true })
            #expect(channel?.send(["command": "never read"]) == true)
            let child = MessageSocket(owning: try ends.theirs.descriptor.duplicate())
            let last: JSONValue = ["event": "last"]
            _ = try child.send(last.bytes)
        }
        channel?.drainPackets()
        #expect(heard == ["last"])
        #expect(isClosed)
    }
}
