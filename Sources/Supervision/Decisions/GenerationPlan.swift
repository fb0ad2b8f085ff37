/// What a reload changes: decided by comparing settings, so that what did not change is not
/// touched.
package struct GenerationPlan: Equatable, Sendable {
    /// Parts by name that go on as they are.
    package var kept: [String] = []
    /// Parts whose settings changed: the new one is ready before the old one drains.
    package var replaced: [String] = []
    package var added: [String] = []
    package var removed: [String] = []

    /// Compares parts, each a name and everything that is set for it.
    package init<Settings: Equatable>(
        from old: [(name: String, settings: Settings)],
        to new: [(name: String, settings: Settings)]
    ) {
        let before = Dictionary(old.map { ($0.name, $0.settings) }) { first, _ in first }
        let after = Set(new.map(\.name))
        for part in new {
            switch before[part.name] {
            case nil: added.append(part.name)
            case part.settings: kept.append(part.name)
            default: replaced.append(part.name)
            }
        }
        removed = old.map(\.name).filter { !after.contains($0) }
    }

    /// Nothing has to be started or ended.
    package var isEmpty: Bool { replaced.isEmpty && added.isEmpty && removed.isEmpty }

    /// For the log: `web replaced, old removed`; empty when nothing changes.
    package var summary: String {
        (replaced.map { "\($0) replaced" } + added.map { "\($0) added" }
            + removed.map { "\($0) removed" }).joined(separator: ", ")
    }
}
