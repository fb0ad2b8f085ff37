import Configuration
import Testing

/// What a type makes of a text: its canonical form, or the complaint.
private func result<Value>(_ type: SettingType<Value>, _ text: String) -> String {
    do {
        return type.text(try type.parse(text))
    } catch {
        return "! " + error.message + (error.suggestion.map { "; did you mean \($0)?" } ?? "")
    }
}

@Suite struct SettingTypeTests {
    @Test(arguments: [
        ("500ms", "500ms"), ("1000ms", "1s"), ("90s", "90s"), ("60s", "1m"), ("5m", "5m"),
        ("24h", "24h"), ("0s", "0ms"), ("0", "0ms"), ("007s", "7s"),
        ("30", "! 30 has no unit; did you mean 30s?"),
        ("30sec", "! \"30sec\" has no known unit (ms, s, m, h); did you mean 30s?"),
        ("30 s", "! \"30 s\" has no known unit (ms, s, m, h)"),
        ("", "! takes a duration such as 30s, not \"\""),
        ("-5s", "! takes a duration such as 30s, not \"-5s\""),
        ("1.5s", "! \"1.5s\" has no known unit (ms, s, m, h)"),
        ("99999999999999999999s", "! 99999999999999999999s is out of bounds, from 0ms to 87600h"),
        ("87601h", "! 87601h is out of bounds, from 0ms to 87600h"),
    ])
    func `durations carry a unit`(text: String, expected: String) {
        #expect(result(.duration(0...Nanoseconds.most), text) == expected)
    }

    @Test(arguments: [
        ("32KiB", "32KiB"), ("1024B", "1KiB"), ("1GiB", "1GiB"), ("0B", "0B"), ("1536B", "1536B"),
        ("32KB", "! \"32KB\" has no known unit (B, KiB, MiB, GiB); did you mean 32KiB?"),
        ("32k", "! \"32k\" has no known unit (B, KiB, MiB, GiB); did you mean 32KiB?"),
        ("4096", "! 4096 has no unit; did you mean 4096B?"),
        ("2GiB", "! 2GiB is out of bounds, from 0B to 1GiB"),
    ])
    func `sizes carry a unit`(text: String, expected: String) {
        #expect(result(.size(0...(1 << 30)), text) == expected)
    }

    @Test(arguments: [
        ("500B/s", "500B/s"), ("2048B/s", "2KiB/s"),
        ("500B", "! \"500B\" has no known unit (B/s, KiB/s, MiB/s, GiB/s); did you mean 500B/s?"),
        ("1KB/s", "! \"1KB/s\" has no known unit (B/s, KiB/s, MiB/s, GiB/s); did you mean 1KiB/s?"),
        ("500", "! 500 has no unit; did you mean 500B/s?"),
    ])
    func `rates carry a unit`(text: String, expected: String) {
        #expect(result(.rate(0...(1 << 30)), text) == expected)
    }

    @Test(arguments: [
        ("true", "true"), ("false", "false"), ("yes", "! \"yes\" is no boolean; write true"),
        ("On", "! \"On\" is no boolean; write true"),
        ("TRUE", "! \"TRUE\" is no boolean; write true"),
        ("no", "! \"no\" is no boolean; write false"),
        ("off", "! \"off\" is no boolean; write false"),
        ("maybe", "! takes true or false, not \"maybe\""),
    ])
    func `booleans are exactly true and false`(text: String, expected: String) {
        #expect(result(.boolean, text) == expected)
    }

    @Test(arguments: [
        ("1", "1"), ("64", "64"), ("007", "7"), ("0", "! 0 is out of bounds, from 1 to 64"),
        ("65", "! 65 is out of bounds, from 1 to 64"),
        ("-1", "! -1 is out of bounds, from 1 to 64"),
        ("4.0", "! takes a whole number, not \"4.0\""),
        ("0x10", "! takes a whole number, not \"0x10\""),
        ("1_000", "! takes a whole number, not \"1_000\""),
        ("٣", "! takes a whole number, not \"٣\""),
        (
            "99999999999999999999999",
            "! 99999999999999999999999 is out of bounds, from 1 to 64"
        ),
    ])
    func `whole numbers are decimal digits within bounds`(text: String, expected: String) {
        #expect(result(.integer(1...64), text) == expected)
    }

    @Test(arguments: [
        ("0.2", "0.2"), ("1", "1.0"), ("1.5", "! 1.5 is out of bounds, from 0.0 to 1.0"),
        ("1e-1", "! takes a number such as 0.2, not \"1e-1\""),
        (".5", "! takes a number such as 0.2, not \".5\""),
        ("nan", "! takes a number such as 0.2, not \"nan\""),
    ])
    func `decimal numbers have no exponent`(text: String, expected: String) {
        #expect(result(.decimal(0...1), text) == expected)
    }

    @Test(arguments: [
        ("auto", "auto"), ("3", "3"), ("Auto", "! takes a whole number, not \"Auto\""),
    ])
    func `auto stands beside a value`(text: String, expected: String) {
        #expect(result(.automatic(or: .integer(1...64)), text) == expected)
    }

    @Test(arguments: [
        ("a", "/srv/a"), ("./a/../b", "/srv/b"), ("../../../x", "/x"), ("/etc//x/", "/etc/x"),
        ("stderr", "stderr"), (".", "/srv"),
    ])
    func `relative paths start from the folder of the file`(text: String, expected: String) {
        let type = SettingType<String>.path("a file", words: ["stderr"])
        #expect(type.absolute(text, "/srv") == expected)
    }

    @Test(arguments: [
        ("worker", "workers"), ("Workers", "workers"), ("wrokers", "workers"),
        ("keep-alive", "keep_alive"), ("xyz", nil), ("upstream", "upstreams"), ("", nil),
        ("treads", "threads"),
    ])
    func `a name that was nearly right is found`(text: String, expected: String?) {
        let names = ["workers", "threads", "keep_alive", "upstreams", "app"]
        #expect(nearestName(to: text, among: names) == expected)
    }
}

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "::"), ("1::", "1::"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("fe80::1", "fe80::1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("::ffff:10.0.0.1", "10.0.0.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("0:0:1::", "0:0:1::"),
    ])
    func `an address is read and written as RFC 5952 has it`(text: String, expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.x", "1.2.3.4 ", ":", ":::",
        "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "fe80::1%eth0",
        "1.2.3.4::", "::1.2.3", "1:2:3:4:5:6:7:8::", "[::1]",
    ])
    func `what is no address is refused`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("192.0.2.7", "192.0.2.7/32"), ("fd00::/8", "fd00::/8"),
        ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"), ("::1", "::1/128"),
        ("fd00::/64", "fd00::/64"), ("fd00::/65", "fd00::/65"),
    ])
    func `a block of addresses is read`(text: String, expected: String) throws {
        #expect(try CIDR(text).description == expected)
    }

    @Test(arguments: [
        ("10.0.0.1/8", "\"10.0.0.1/8\" has bits beyond /8"),
        ("10.0.0.0/33", "\"10.0.0.0/33\": after the slash goes a number from 0 to 32"),
        ("10.0.0.0/", "\"10.0.0.0/\": after the slash goes a number from 0 to 32"),
        ("example.com", "takes addresses such as 10.0.0.0/8, not \"example.com\""),
        ("/8", "takes addresses such as 10.0.0.0/8, not \"/8\""),
    ])
    func `what is no block is refused`(text: String, message: String) {
        #expect { try CIDR(text) } throws: { ($0 as? Complaint)?.message == message }
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false),
        ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("::/0", "::1", true),
        ("fd00::/65", "fd00::7fff:0:0:1", true), ("fd00::/65", "fd00::8000:0:0:1", false),
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false),
    ])
    func `a block contains its addresses and no others`(
        block: String, address: String, expected: Bool
    ) throws {
        #expect(try CIDR(block).contains(#require(IPAddress(address))) == expected)
    }
}
