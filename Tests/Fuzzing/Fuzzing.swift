/// Seeded numbers (SplitMix64) and what they change in samples: a failure is played again by its
/// seed.
public struct Mutations: RandomNumberGenerator {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }

    /// Changes a sample in up to four places; one in eight stays as it is.
    public mutating func change(_ sample: [UInt8], with fragments: [[UInt8]]) -> [UInt8] {
        var text = sample
        if Int.random(in: 0..<8, using: &self) == 0 { return text }
        for _ in 0..<Int.random(in: 1...4, using: &self) {
            let place = Int.random(in: 0...text.count, using: &self)
            let end = min(text.count, place + Int.random(in: 1...12, using: &self))
            switch Int.random(in: 0..<6, using: &self) {
            case 0, 1:
                text.insert(contentsOf: fragments.randomElement(using: &self) ?? [], at: place)
            case 2 where place < text.count:
                text[place] = UInt8.random(in: 0...255, using: &self)
            case 3:
                let other = Int.random(in: 0...text.count, using: &self)
                text.insert(contentsOf: Array(text[place..<end]), at: other)
            case 4: text.removeSubrange(place..<end)
            default: text.removeSubrange(place..<min(text.count, place + 1))
            }
        }
        return text
    }

    /// Where a text of that many bytes is cut: at every byte now and then, else in three places.
    public mutating func cuts(_ count: Int) -> [Int] {
        if Int.random(in: 0..<8, using: &self) == 0 { return Array(0...count) }
        return (0..<3).map { _ in Int.random(in: 0...count, using: &self) }.sorted()
    }
}

/// Cases that a fuzz test runs where it says nothing else; a debug build does fewer.
#if DEBUG
    public let fuzzCases = 4_000
#else
    public let fuzzCases = 100_000
#endif

/// Holds a property against mutated samples.
///
/// - Parameter property: says what is wrong with a text, or nil.
/// - Returns: the first complaint with the text it is about, or nil.
public func complaint(
    seed: UInt64, samples: [String], fragments: [String], cases: Int = fuzzCases,
    property: ([UInt8], inout Mutations) -> String?
) -> String? {
    var mutations = Mutations(seed: seed)
    let texts = samples.map { Array($0.utf8) }
    let pieces = fragments.map { Array($0.utf8) }
    for number in 0..<cases {
        let text = mutations.change(texts[number % texts.count], with: pieces)
        guard let found = property(text, &mutations) else { continue }
        return "\(found): \(String(decoding: text, as: UTF8.self).debugDescription) \(text)"
    }
    return nil
}
