/// Texts by path, in the order in which they came.
package struct ConfigurationTree: Sendable, Equatable {
    package private(set) var text: String?
    private var names: [String] = []
    private var children: [ConfigurationTree] = []
    private var places: [String: Int] = [:]

    package init() {}

    /// The names right below, in order.
    package var childNames: [String] { names }

    package var isEmpty: Bool { text == nil && names.isEmpty }

    package func child(_ name: String) -> ConfigurationTree? { places[name].map { children[$0] } }

    package func node(_ path: [String]) -> ConfigurationTree? {
        var place = self
        for name in path {
            guard let next = place.child(name) else { return nil }
            place = next
        }
        return place
    }

    package mutating func set(_ path: [String], to text: String) { set(path[...], to: text) }

    private mutating func set(_ path: ArraySlice<String>, to text: String) {
        guard let name = path.first else {
            self.text = text
            return
        }
        if let place = places[name] {
            children[place].set(path.dropFirst(), to: text)
        } else {
            var child = ConfigurationTree()
            child.set(path.dropFirst(), to: text)
            places[name] = names.count
            names.append(name)
            children.append(child)
        }
    }

    package mutating func remove(_ path: [String]) { remove(path[...]) }

    private mutating func remove(_ path: ArraySlice<String>) {
        guard let name = path.first, let place = places[name] else { return }
        if path.count > 1 { return children[place].remove(path.dropFirst()) }
        names.remove(at: place)
        children.remove(at: place)
        places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    }

    /// Every text with its path, depth first.
    package var leaves: [(path: [String], text: String)] {
        var found: [(path: [String], text: String)] = []
        collect(into: &found, at: [])
        return found
    }

    private func collect(into found: inout [(path: [String], text: String)], at path: [String]) {
        if let text { found.append((path, text)) }
        for (name, child) in zip(names, children) {
            child.collect(into: &found, at: path + [name])
        }
    }
}
