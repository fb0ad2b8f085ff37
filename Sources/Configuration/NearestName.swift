/// The name that was probably meant by `name`, if one of `names` is near enough to say so.
///
/// Near is a third of the letters wrong at most (insertions, deletions, exchanges, neighbours
/// swapped), dashes and case aside.
package func nearestName(to name: String, among names: some Sequence<String>) -> String? {
    let wanted = folded(name)
    guard !wanted.isEmpty, wanted.count <= 64 else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in names {
        let other = folded(candidate)
        let most = max(1, min(wanted.count, other.count) / 3)
        guard abs(wanted.count - other.count) <= most || candidate.hasPrefix(name) else { continue }
        let distance = editDistance(wanted, other)
        guard distance <= most, distance < best?.distance ?? .max else { continue }
        best = (candidate, distance)
    }
    return best?.name
}

private func folded(_ name: String) -> [UInt8] {
    name.lowercased().utf8.map { $0 == UInt8(ascii: "-") ? UInt8(ascii: "_") : $0 }
}

/// How many insertions, deletions, exchanges and swaps of neighbours lead from one to the other.
private func editDistance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...other.count)
    for row in one.indices {
        var line = [row + 1]
        for column in other.indices {
            let isSame = one[row] == other[column]
            var cost = min(
                last[column + 1] + 1, line[column] + 1, last[column] + (isSame ? 0 : 1))
            if row > 0, column > 0, one[row] == other[column - 1], one[row - 1] == other[column] {
                cost = min(cost, beforeLast[column - 1] + 1)
            }
            line.append(cost)
        }
        beforeLast = last
        last = line
    }
    return last[other.count]
}
