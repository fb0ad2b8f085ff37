/// What is wrong with a filter, and where.
public struct EventFilterError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The place in the expression, from 1, in bytes.
    public let column: Int
    public let message: String

    /// For people: `column 8: a value is missing`.
    public var description: String { "column \(column): \(message)" }
}

/// A plug-in's `filter:`, an expression over the data of a signal: `status >= 500 and service ==
/// "web"`.
///
///     expression  = term { "or" term }          also "||"
///     term        = factor { "and" factor }     also "&&"
///     factor      = "not" factor | comparison   also "!"
///     comparison  = operand [ ("==" | "!=" | "<" | "<=" | ">" | ">=") operand ]
///     operand     = number | "string" | 'string' | true | false | null | name { "." name }
///                 | "(" expression ")"
///
/// A name is a key of the data, `tls.version` one within an object; a key that is absent is null.
/// Values of different kinds are unequal, and neither is less. An operand alone holds when it is
/// true. Expressions are compiled once, bounded in size and depth, and evaluated without being able
/// to fail.
public struct EventFilter: Sendable {
    /// The longest expression in bytes: what people write in one line.
    public static let sourceBytesMax = 1024
    /// Parentheses and `not` within each other, so that evaluation needs little stack.
    public static let depthMax = 32

    /// A compiled expression.
    indirect enum Node: Equatable, Sendable {
        case value(Value)
        case name([[UInt8]])
        case comparison(Comparison, Node, Node)
        case and(Node, Node)
        case or(Node, Node)
        case not(Node)
    }

    enum Comparison: Equatable, Sendable {
        case equal, unequal, less, lessOrEqual, greater, greaterOrEqual
    }

    /// A value of the expression or of the data.
    enum Value: Equatable, Sendable {
        case null
        case flag(Bool)
        case number(Double)
        case text([UInt8])
        /// A list or an object, equal to nothing.
        case structure
    }

    let root: Node

    /// Compiles an expression.
    public init(_ source: String) throws(EventFilterError) {
        var parser = EventFilterParser(Array(source.utf8))
        root = try parser.parse()
    }

    /// Whether the expression holds for `data`, a JSON object.
    public func accepts(_ data: Span<UInt8>) -> Bool {
        Self.holds(root, data)
    }

    private static func holds(_ node: Node, _ data: Span<UInt8>) -> Bool {
        switch node {
        case .and(let one, let other): return holds(one, data) && holds(other, data)
        case .or(let one, let other): return holds(one, data) || holds(other, data)
        case .not(let inner): return !holds(inner, data)
        case .comparison(let comparison, let one, let other):
            return compare(comparison, value(of: one, data), value(of: other, data))
        case .value, .name: return value(of: node, data) == .flag(true)
        }
    }

    private static func value(of node: Node, _ data: Span<UInt8>) -> Value {
        switch node {
        case .value(let value): return value
        case .name(let path):
            var scanner = JSONScanner(data)
            return scanner.value(at: path)
        case .comparison, .and, .or, .not: return .flag(holds(node, data))
        }
    }

    private static func compare(_ comparison: Comparison, _ one: Value, _ other: Value) -> Bool {
        switch comparison {
        case .equal: return areEqual(one, other)
        case .unequal: return !areEqual(one, other)
        case .less: return isLess(one, other)
        case .greater: return isLess(other, one)
        case .lessOrEqual: return isLess(one, other) || areOrderedAndEqual(one, other)
        case .greaterOrEqual: return isLess(other, one) || areOrderedAndEqual(one, other)
        }
    }

    private static func areEqual(_ one: Value, _ other: Value) -> Bool {
        one != .structure && one == other
    }

    private static func areOrderedAndEqual(_ one: Value, _ other: Value) -> Bool {
        switch (one, other) {
        case (.number(let one), .number(let other)): one == other
        case (.text(let one), .text(let other)): one == other
        default: false
        }
    }

    private static func isLess(_ one: Value, _ other: Value) -> Bool {
        switch (one, other) {
        case (.number(let one), .number(let other)): one < other
        case (.text(let one), .text(let other)): one.lexicographicallyPrecedes(other)
        default: false
        }
    }
}
