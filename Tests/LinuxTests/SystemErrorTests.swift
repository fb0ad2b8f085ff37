import Linux
import Testing

@Suite struct SystemErrorTests {
    @Test func `names the call and the cause`() {
        #expect(SystemError("bind", number: 98).description == "bind: Address already in use")
    }
}
