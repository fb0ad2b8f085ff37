import Configuration
import Testing

@Suite struct RoundTripTests {
    /// Texts that break naive formats.
    static let oddTexts = [
        "", " ", "a b", "line\nbreak", "back\\slash\\n", "tab\there", "\r\n", "\u{301}x", "ü€😀",
        "a: b", "# c", "- d", "'", "\"", "${X}", "$${X}", "$", "yes", "null", "~", "[a]", "{a}",
        "*a", "&a", "!a", "|", ">", "%", "@", "`", "\u{85}", "\u{2028}", "a\u{FEFF}b", "...", "---",
        "\u{e000}", "a.b", ".", "-", "\\d", "0x10", "<<", "a#b", "a:b", "\u{7f}", "\u{1b}",
    ]

    @Test(arguments: oddTexts)
    func `a value reads back from its line as it was`(text: String) throws {
        var tree = ConfigurationTree()
        tree.set(["boxes", text, "env", "K"], to: text)
        let effective = EffectiveConfiguration(tree)
        #expect(effective.lines.utf8.filter { $0 == 10 }.count == 1)
        #expect(EffectiveConfiguration(lines: effective.lines) == effective)
    }

    @Test(arguments: oddTexts)
    func `a value reads back from YAML as it was`(text: String) throws {
        var tree = ConfigurationTree()
        tree.set(["port"], to: "1")
        tree.set(["wait"], to: "10s")
        tree.set(["words", "0"], to: text)
        tree.set(["boxes", text.isEmpty ? "e" : text, "kind"], to: text.isEmpty ? "e" : text)
        tree.set(["boxes", text.isEmpty ? "e" : text, "depth"], to: "3")
        tree.set(["boxes", text.isEmpty ? "e" : text, "env", "K"], to: text)
        let effective = EffectiveConfiguration(tree)
        let yaml = Sample.schema.yaml(effective)
        let (configuration, findings) = Sample.read(yaml, environment: ["X": "wrong"])
        #expect(findings == [], "\(yaml)")
        #expect(configuration.effective.lines == effective.lines, "\(yaml)")
    }

    @Test(arguments: ["novalue", "a b\\", "a b\\x"])
    func `a line that is none of ours is refused`(line: String) {
        #expect(EffectiveConfiguration(lines: line + "\n") == nil)
    }

    @Test func `settings read the lines`() throws {
        let (configuration, _) = Sample.read(
            """
            port: 80
            color: green
            words: [a, "b c"]
            boxes: { x.y: { kind: k, env: { A: "1", B: "" } } }
            items: one
            """)
        let effective = try #require(
            EffectiveConfiguration(lines: configuration.effective.lines))
        #expect(effective.value(Sample.port) == 80)
        #expect(effective.value(Sample.wait) == Nanoseconds.seconds(10))
        #expect(effective.value(Sample.color) == .green)
        #expect(effective.value(Sample.file) == nil)
        #expect(effective.entries(Sample.word).map(\.value) == ["a", "b c"])
        #expect(effective.names("boxes.*") == ["x.y"])
        #expect(effective.value(Sample.depth, "x.y") == 3)
        #expect(effective.entries(Sample.variable, "x.y").map(\.name) == ["A", "B"])
        #expect(effective.names("items[]") == ["0"])
        #expect(effective.value(Sample.url, "0") == "one")
        #expect(!effective.has("extra"))
    }
}
