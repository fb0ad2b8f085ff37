import Configuration
import Foundation
import Routing
import TLS
import Testing

@testable import Signals
@testable import proxy

/// Feeds bytes to the reader of YAML settings and the checks that need no machine; traps on a
/// broken promise.
///
/// The promises: no crash, a bounded time, a place within the file for every finding, and a
/// configuration without errors comes back from its lines and from its YAML as it was.
func fuzz(_ bytes: [UInt8]) {
    let (configuration, diagnostics) = Schema.proxy.read(
        yaml: bytes, file: "f", folder: "/srv", environment: ["HOME": "/home/me"])
    var found = diagnostics
    found += FrontOptions.check(configuration) + ServiceOptions.check(configuration)
    found += RouteOptions.check(configuration) + PluginOptions.check(configuration)
    found += TLSOptions.check(configuration)
    let lineCount = bytes.count + 1
    for finding in found {
        precondition(!finding.message.isEmpty)
        precondition(!finding.description.utf8.contains(10))
        guard let position = finding.position else { continue }
        precondition((1...lineCount).contains(position.line) && position.column >= 1)
    }
    guard !found.hasErrors else { return }
    let effective = configuration.effective
    precondition(EffectiveConfiguration(lines: effective.lines) == effective)
    let (again, faults) = Schema.proxy.read(
        yaml: Array(Schema.proxy.yaml(effective).utf8), file: "f", folder: "/srv",
        environment: ["HOME": "/elsewhere"])
    precondition(!faults.hasErrors, "\(faults)")
    precondition(again.effective == effective)
}

/// Numbers that a seed decides (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct FuzzTests {
    private static let pieces: [[UInt8]] =
        [
            ": ", "- ", "&a ", "*a", "!!str ", "\t", "{", "}", "[", "]", "${HOME}", "${", "$${",
            "\"", "'", "|\n", ">", "? ", "<<: ", "---\n", "...\n", "\n", "\r\n", "\u{85}",
            "\u{FEFF}", "\u{2028}", "#", ",", "%", "@", "0", "-1", "99999999999999999999", "true",
            "yes", "auto", "\\", ".", "/", "*", "unix:/a", "https://[::1]:1", "demo: true",
            "\u{301}", "😀", "  ",
        ].map { Array($0.utf8) } + [[0], [0xff], [0xc3], [0xed, 0xa0, 0x80]]

    private func mutated(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let place = Int.random(in: 0...bytes.count, using: &generator)
            let end = min(bytes.count, place + Int.random(in: 0...20, using: &generator))
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes.removeSubrange(place..<end)
            case 1: bytes.insert(contentsOf: Array(bytes[place..<end]), at: place)
            case 2:
                let other = Int.random(in: 0...bytes.count, using: &generator)
                bytes.insert(contentsOf: Array(bytes[place..<end]), at: other)
            case 3:
                guard place < bytes.count else { continue }
                bytes[place] = UInt8.random(in: 0...255, using: &generator)
            default:
                bytes.insert(
                    contentsOf: Self.pieces.randomElement(using: &generator)!, at: place)
            }
        }
        return bytes
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `nothing that is written crashes the reader or changes on its way`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let small = """
            listen: ["http://127.0.0.1:0", { url: "https://*:1", backlog: 5 }]
            tls: { dev_ca: true }
            services: { a: { demo: true }, b: { upstreams: ["http://x:1"], hash: path,
              balance: consistent-hash } }
            routes: [{ host: a.b, to: { a: 1, b: 2 } }, { redirect: { to: "/x{target}" } }]
            """
        fuzz(Array(everyKey.utf8))
        for round in 0..<250 {
            let seedText = round % 5 == 0 ? everyKey : small
            fuzz(mutated(Array(seedText.utf8), &generator))
        }
    }
}
