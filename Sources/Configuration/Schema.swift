/// Every key there is: the declarations of all rooms as one tree.
package struct Schema: Sendable {
    package let declarations: [Declaration]
    let root: SchemaNode
    let later: Set<String>
    /// The patterns that lead to a later key's place, for a map where now a value stands.
    let beforeLater: Set<String>

    /// - Parameter keys: in the order in which a configuration is printed.
    package init(_ keys: [Keys]) {
        declarations = keys.flatMap(\.declarations)
        var root = SchemaNode()
        for declaration in declarations {
            root.insert(patternSteps(declaration.path)[...]) { node in
                precondition(node.declaration == nil, "\(declaration.path) is declared twice")
                node.declaration = declaration
            }
        }
        for shape in keys.flatMap(\.shapes) {
            root.insert(patternSteps(shape.path)[...]) { node in
                precondition(node.shape == nil, "\(shape.path) has two shapes")
                node.shape = shape
            }
        }
        self.root = root
        later = Set(keys.flatMap(\.later))
        beforeLater = Set(
            later.compactMap { path in
                path.lastIndex(of: ".").map { String(path[..<$0]) }
            })
    }

    /// The declared path that fits a path in the file: `services.web.workers` is
    /// `services.*.workers`.
    package func declaration(for path: String) -> Declaration? {
        if let exact = declarations.first(where: { $0.path == path }) { return exact }
        var node = root
        for step in path.split(separator: ".") {
            var name = String(step)
            if name.hasSuffix("[]") { name.removeLast(2) }
            guard let next = node.children[name] ?? node.children["*"] ?? node.children["[]"]
            else { return nil }
            node = next
            if step.hasSuffix("[]"), let element = node.children["[]"] { node = element }
        }
        if node.declaration == nil, let element = node.children["[]"] ?? node.children["*"] {
            node = element
        }
        return node.declaration
    }
}

/// One step of the tree of keys.
struct SchemaNode: Sendable {
    enum Kind { case leaf, group, map, list }

    var declaration: Declaration?
    var shape: Shape?
    /// The keys in the order of their declaration; `*` and `[]` stand alone.
    private(set) var names: [String] = []
    private(set) var children: [String: SchemaNode] = [:]

    var kind: Kind {
        switch names.first {
        case nil: .leaf
        case "*": .map
        case "[]": .list
        default: .group
        }
    }

    /// What each element of a map or list is.
    var element: SchemaNode? { children["*"] ?? children["[]"] }

    /// What holds for a list or map: said of itself, or of each element.
    var counts: ClosedRange<Int>? { shape?.counts ?? element?.shape?.counts }
    var takesOne: Bool { shape?.takesOne ?? false || element?.shape?.takesOne ?? false }
    var isRequired: Bool {
        if declaration?.fallback == .required { return true }
        return shape?.isRequired ?? false || (kind != .group && element?.shape?.isRequired ?? false)
    }
    var checkName: (@Sendable (String) throws(Complaint) -> Void)? {
        shape?.checkName ?? element?.shape?.checkName
    }

    /// The siblings of which one has to be there, said of a key or of its elements.
    var siblings: [String] { declaration?.siblings ?? element?.declaration?.siblings ?? [] }

    mutating func insert(_ steps: ArraySlice<String>, _ change: (inout SchemaNode) -> Void) {
        guard let step = steps.first else { return change(&self) }
        if children[step] == nil {
            let stands = step == "*" || step == "[]"
            precondition(names.isEmpty || (!stands && kind == .group), "\(step) beside \(names)")
            names.append(step)
            children[step] = SchemaNode()
        }
        children[step]!.insert(steps.dropFirst(), change)
    }
}
