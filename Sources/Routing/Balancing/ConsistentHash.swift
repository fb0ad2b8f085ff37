import Board

/// Sends equal keys to the same endpoint, and moves few keys when endpoints come and go.
///
/// Multi-probe consistent hashing (Appleton and O'Reilly, 2015): an endpoint has few points on the
/// circle, and the key looks from 21 places for the point that is next. A ring of the same evenness
/// needs some hundred points an endpoint, and a Maglev table a hundred times as many entries:
/// either takes milliseconds to build for thousands of endpoints, in which the edge would serve
/// nobody. An endpoint without room loses the key to another, always the same one.
enum ConsistentHash: BalancingAlgorithm {
    static let attemptsMax = 16

    @inline(__always)
    static func position(
        among members: borrowing PoolMembers, state: inout BalancingState, query: ChoiceQuery,
        attempt: Int
    ) -> Int? {
        state.points.position(of: query.keyHash &+ UInt64(attempt) &* 0x9e37_79b9_7f4a_7c15)
    }
}

/// The endpoints' points on the circle of 64-bit numbers, sorted, with an index that finds a place
/// in them at once.
struct HashPoints: Sendable {
    /// Where the points lie, ascending, and whose they are.
    private var places: [UInt64] = []
    private var positions: [UInt32] = []
    /// For each equal part of the circle, the first point in it or after it.
    private var starts: [UInt32] = []

    /// Looks from so many places; the busiest endpoint then has some 5 % more than its share.
    private static let probes = 21
    /// Points for one unit of weight.
    private static let pointsPerWeight = 4
    /// Points in all, so that building them takes a millisecond or two.
    private static let pointsMax = 1 << 14

    init() {}

    /// - Parameter members: each endpoint's lasting identity, and its weight in lowest terms.
    init(_ members: [(identity: UInt64, weight: Int)]) {
        let total = members.reduce(0) { $0 + $1.weight * Self.pointsPerWeight }
        var points: [(place: UInt64, position: UInt32)] = []
        for (position, member) in members.enumerated() {
            var count = member.weight * Self.pointsPerWeight
            if total > Self.pointsMax { count = max(1, count * Self.pointsMax / total) }
            for number in 0..<count {
                let seed = member.identity &+ UInt64(number) &* 0xd134_2543_de82_ef95
                points.append((mixed(mixed(seed) ^ member.identity), UInt32(position)))
            }
        }
        points.sort { ($0.place, $0.position) < ($1.place, $1.position) }
        places = points.map(\.place)
        positions = points.map(\.position)
        var next = 0
        for part in 0..<places.count {
            while next < places.count && Self.part(of: places[next], places.count) < part {
                next += 1
            }
            starts.append(UInt32(next))
        }
    }

    /// Which of `count` equal parts of the circle a place lies in.
    @inline(__always)
    private static func part(of place: UInt64, _ count: Int) -> Int {
        Int(truncatingIfNeeded: place.multipliedFullWidth(by: UInt64(count)).high)
    }

    /// The position that a key belongs to; nil if there are no points.
    func position(of key: UInt64) -> Int? {
        let places = places.span
        let starts = starts.span
        guard places.count > 0 else { return nil }
        var place = mixed(key)
        let step = mixed(place)
        var best = 0
        var bestDistance = UInt64.max
        for _ in 0..<Self.probes {
            var index = Int(starts[Self.part(of: place, places.count)])
            while index < places.count && places[index] < place { index &+= 1 }
            if index == places.count { index = 0 }
            let distance = places[index] &- place
            if distance < bestDistance {
                bestDistance = distance
                best = index
            }
            place &+= step
        }
        return Int(positions[best])
    }
}

/// Spreads a number's bits over all 64 (the finisher of SplitMix64).
@inline(__always)
func mixed(_ number: UInt64) -> UInt64 {
    var mixed = number &+ 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
}
