import Configuration
import Testing

@Suite struct YAMLReadingTests {
    @Test(arguments: [
        ("port: 80\nprot: 1\n", "f:2:1: error: prot: unknown key; did you mean port?"),
        ("port: 80\nport: 81\n", "f:2:1: error: port: written twice; the first is at line 1"),
        ("port: 80\n\"port\": 81\n", "f:2:1: error: port: written twice; the first is at line 1"),
        ("port: [1]\n", "f:1:7: error: port: takes a whole number from 0 to 65535, not a list"),
        ("port:\n", "f:1:1: error: port: has no value; write a whole number from 0 to 65535"),
        ("port: x\n", "f:1:7: error: port: takes a whole number, not \"x\""),
        ("wait: 1s\n", "f:1:1: error: port: is missing; write a whole number from 0 to 65535"),
        ("port: 1\nwords: a\n", "f:2:8: error: words: takes a list, [a], not \"a\""),
        ("port: 1\nwords: []\n", "f:2:1: error: words: is empty; it takes at least 1"),
        (
            "port: 1\nwords: [a, b, c, d]\n",
            "f:2:1: error: words: has 4 elements; from 1 to 3 are taken"
        ),
        (
            "port: 1\ncolor: gren\n",
            "f:2:8: error: color: takes red, green, not \"gren\"; did you mean green?"
        ),
        (
            "port: 1\nboxes: [a]\n",
            "f:2:8: error: boxes: takes keys with values, such as { name: value }, not a list"
        ),
        ("port: 1\ntheme: x\n", "f:2:1: error: theme: known, not in this version"),
        (
            "port: 1\nboxes: { a: { kind: x, mode: y } }\n",
            "f:2:24: error: boxes.a.mode: known, not in this version"
        ),
        (
            "port: 1\nboxes: { a: { kind: x, depth: { min: 1 } } }\n",
            "f:2:24: error: boxes.a.depth: known, not in this version"
        ),
        (
            "port: 1\nboxes:\n  a:\n    kind: x\n    other: y\n",
            "f:5:5: error: boxes.a: has kind (line 4) and other (line 5), "
                + "but takes exactly one of kind and other"
        ),
        (
            "port: 1\nboxes:\n  a: { env: {} }\n",
            "f:3:3: error: boxes.a: needs exactly one of kind and other"
        ),
        (
            "port: 1\nboxes: { a: { other: x, depth: 1 } }\n",
            "f:2:25: error: boxes.a.depth: goes with kind only"
        ),
        ("port: 1\ndepth: 1\n", "f:2:1: error: depth: unknown key here; there is boxes.*.depth"),
        (
            "port: &a 1\n",
            "f:1:7: error: port: anchors and aliases are refused; write the value out in each place"
        ),
        ("port: !!int 1\n", "f:1:7: error: port: tags are refused; leave the ! word out"),
        (
            "port: *a\n",
            "f:1:7: error: aliases are refused; write a value that begins with * or & in quotes"
        ),
        (
            "port: 1\n<<: { wait: 1s }\n",
            "f:2:1: error: merge keys are refused; write the values out"
        ),
        ("port: 1\n? [a]\n: b\n", "f:2:3: error: a key has to be a plain name"),
        ("port: 1\n\twait: 1s\n", "f:2:1: error: a tab; YAML is indented with spaces only"),
        (
            "port: 1\nwords: [a\n",
            "f:2:10: error: not YAML: did not find expected ',' or ']' while parsing a "
                + "flow sequence from line 2"
        ),
        ("port: @x\n", "f:1:7: error: not YAML: a value begins with @; write it in quotes"),
        (
            "port: 1\nfile: a: b\n",
            "f:2:8: error: not YAML: a colon and a blank within a value; "
                + "check the indentation, or write the value in quotes"
        ),
        (
            "port: 1\n---\nport: 2\n",
            "f:2:1: error: a second document begins here; one file holds one configuration"
        ),
        ("", "f:1:1: error: the file is empty; it needs at least listen and services"),
        (
            "# nothing\n\n---\n",
            "f:1:1: error: the file is empty; it needs at least listen and services"
        ),
        (
            "just text\n",
            "f:1:1: error: takes keys with values, such as listen: auto, not \"just text\""
        ),
        ("- a\n", "f:1:1: error: takes keys with values, such as listen: auto, not a list"),
        ("port: 1\nfile: \"a\u{1}b\"\n", "f:2:9: error: a control character, 1"),
        (
            "port: ${PORT}\n",
            "f:1:7: error: port: the environment variable PORT is not set; set it, or "
                + "write ${PORT:-default}"
        ),
        (
            "port: 1\nfile: ${\n",
            "f:2:7: error: file: \"${\": ${ without its }; a literal ${ is written $${"
        ),
        (
            "port: 1\nfile: ${1X}\n",
            "f:2:7: error: file: \"${1X}\": ${1X} names no environment variable; write "
                + "${NAME} or ${NAME:-default}, and $${ for a literal ${"
        ),
    ])
    func `each fault is one line with its place and its cure`(yaml: String, expected: String) {
        #expect(Sample.read(yaml).findings == [expected])
    }

    @Test func `all faults come in one pass, in the order of the file`() {
        let yaml = """
            wait: 30
            port: x
            prot: 1
            wait: 3
            boxes:
              a: { kind: b, kind: c, dept: 1 }
            words: [a, &b c]
            """
        #expect(
            Sample.read(yaml).findings == [
                "f:1:7: error: wait: 30 has no unit; did you mean 30s?",
                "f:2:7: error: port: takes a whole number, not \"x\"",
                "f:3:1: error: prot: unknown key; did you mean port?",
                "f:4:1: error: wait: written twice; the first is at line 1",
                "f:6:17: error: boxes.a.kind: written twice; the first is at line 6",
                "f:6:26: error: boxes.a.dept: unknown key; did you mean depth?",
                "f:7:12: error: words.1: anchors and aliases are refused; "
                    + "write the value out in each place",
            ])
    }

    @Test func `every tab in the indentation is named`() {
        #expect(
            Sample.read("port: 1\n\twait: 1s\n  \tcolor: red\n").findings == [
                "f:2:1: error: a tab; YAML is indented with spaces only",
                "f:3:3: error: a tab; YAML is indented with spaces only",
            ])
    }

    @Test func `an aliased bomb is refused before it is expanded`() {
        var yaml = "port: 1\na0: &a0 x\n"
        for level in 1...40 {
            yaml += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n"
        }
        yaml += "? *a40\n: x\n"
        #expect(
            Sample.read(yaml).findings == [
                "f:3:10: error: aliases are refused; write the value out in each place"
            ])
    }

    @Test(arguments: ["[", "{a: ", "- ", "? "])
    func `nesting without end is an error and no crash`(piece: String) {
        let yaml = String(repeating: piece, count: 100_000)
        #expect(Sample.read(yaml).findings.count == 1)
    }

    @Test func `bytes that are no UTF-8 are named by their place`() {
        let (_, diagnostics) = Sample.schema.read(
            yaml: Array("port: 1\nfile: ".utf8) + [0xff], file: "f", folder: "/", environment: [:])
        #expect(diagnostics.map(\.description) == ["f:2:7: error: not UTF-8"])
    }

    @Test func `a file over the limit is refused`() {
        let (_, diagnostics) = Sample.schema.read(
            yaml: [UInt8](repeating: 0x23, count: (1 << 20) + 1), file: "f", folder: "/",
            environment: [:])
        #expect(diagnostics.map(\.message) == ["the file is larger than 1 MiB"])
    }

    @Test(arguments: [
        ("port: ${P}", "8080"), ("port: \"${P}\"", "8080"), ("port: ${P:-1}", "8080"),
        ("port: ${NONE:-1}", "1"), ("port: ${EMPTY:-1}", "1"), ("port: 1${ONE}", "11"),
    ])
    func `the environment is filled in`(yaml: String, expected: String) {
        let (configuration, findings) = Sample.read(
            yaml, environment: ["P": "8080", "EMPTY": "", "ONE": "1"])
        #expect(findings == [])
        #expect(configuration.values.node(["port"])?.text == expected)
    }

    @Test(arguments: [
        ("$${X}", "${X}"), ("$$${X}", "$${X}"), ("a$b", "a$b"), ("$", "$"), ("$$", "$$"),
        ("${X}$${X}", "1${X}"), ("${X:-}", "1"), ("${Y:-}", ""), ("${Y:-a:-b}", "a:-b"),
        ("ü${X}", "ü1"),
    ])
    func `a literal dollar and brace can be written`(text: String, expected: String) throws {
        #expect(try withEnvironment(text, ["X": "1"]) == expected)
    }

    @Test func `line ends of every kind count alike`() {
        for end in ["\n", "\r\n", "\r"] {
            let yaml = ["port: 1", "wait: 1s", "prot: 1"].joined(separator: end)
            #expect(
                Sample.read(yaml).findings
                    == ["f:3:1: error: prot: unknown key; did you mean port?"])
        }
    }

    @Test func `a byte order mark is passed over`() {
        #expect(
            Sample.read("\u{FEFF}prot: 1\nport: 1\n").findings
                == ["f:1:1: error: prot: unknown key; did you mean port?"])
    }

    @Test func `scalars are taken as they are written`() {
        let (configuration, findings) = Sample.read(
            "port: 0080\nwords: [yes, 1e3, ~]\nfile: \"no\"\n")
        #expect(findings == [])
        #expect(
            configuration.effective.lines == """
                port 80
                wait 10s
                words.0 yes
                words.1 1e3
                words.2 ~
                file /srv/no

                """)
    }

    @Test func `defaults hold where their group and their sibling are`() {
        let (configuration, findings) = Sample.read(
            "port: 1\nboxes: { a: { kind: x }, b: { other: y } }\nitems: [p, { url: q }]\n")
        #expect(findings == [])
        #expect(
            configuration.effective.lines == """
                port 1
                wait 10s
                boxes.a.kind x
                boxes.a.depth 3
                boxes.b.other y
                items.0.url p
                items.0.weight 1
                items.1.url q
                items.1.weight 1

                """)
        #expect(Sample.read("port: 1\nextra: {}\n").configuration.has("extra", "limit"))
    }
}

@Suite struct DiagnosticTests {
    @Test func `a finding is a line for people and an object for tools`() {
        let finding = Diagnostic(
            file: "demo.yaml", position: SourcePosition(line: 3, column: 5),
            key: "services.demo.worker", message: "unknown key", suggestion: "workers")
        #expect(
            finding.description
                == "demo.yaml:3:5: error: services.demo.worker: unknown key; did you mean workers?")
        #expect(
            [finding].json
                == "[{\"file\":\"demo.yaml\",\"line\":3,\"column\":5,\"severity\":\"error\","
                + "\"key\":\"services.demo.worker\",\"message\":\"unknown key\","
                + "\"suggestion\":\"workers\"}]")
        #expect([finding, finding].report.hasSuffix("\n2 errors\n"))
        #expect([finding].report.hasSuffix("\n1 error\n"))
    }

    @Test func `a finding stays on its line`() {
        let finding = Diagnostic(file: "f", position: nil, message: "a \"b\"\n\u{1b}[31m")
        #expect(finding.description == "f: error: a \"b\"\\n\\u001b[31m")
    }

    @Test func `warnings are not counted as errors`() {
        let finding = Diagnostic(file: "f", position: nil, severity: .warning, message: "odd")
        #expect([finding].report == "f: warning: odd\n")
        #expect(![finding].hasErrors)
    }
}
