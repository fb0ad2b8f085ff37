/// A configuration file as read: texts, lists and maps with their places, and no meaning yet.
package indirect enum SourceNode: Sendable {
    case scalar(String, isPlain: Bool, at: SourcePosition)
    case list([SourceNode], at: SourcePosition)
    case map([SourceEntry], at: SourcePosition)
    /// Something that was refused and reported already.
    case refused(at: SourcePosition)

    package var position: SourcePosition {
        switch self {
        case .scalar(_, _, let position), .list(_, let position), .map(_, let position),
            .refused(let position):
            position
        }
    }

    /// True for what stands there when nothing is written after a colon.
    var isNothing: Bool {
        if case .scalar("", isPlain: true, _) = self { true } else { false }
    }

    /// For people: `a list`.
    var kindName: String {
        switch self {
        case .scalar(let text, _, _): isNothing ? "nothing" : quoted(text)
        case .list: "a list"
        case .map: "a map"
        case .refused: "something else"
        }
    }
}

/// One key of a map with its value.
package struct SourceEntry: Sendable {
    package var key: String
    package var position: SourcePosition
    package var value: SourceNode
}
