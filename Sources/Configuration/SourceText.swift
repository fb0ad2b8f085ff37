/// The text of a file by lines, as libyaml counts them.
struct SourceText {
    private var lines: [[Unicode.Scalar]]

    init(_ text: String) {
        lines = [[]]
        var isAfterReturn = false
        for scalar in text.unicodeScalars {
            let closesReturn = isAfterReturn && scalar == "\n"
            isAfterReturn = scalar == "\r"
            if closesReturn {
                lines[lines.count - 2].append(scalar)
                continue
            }
            lines[lines.count - 1].append(scalar)
            if Self.breaks.contains(scalar) { lines.append([]) }
        }
    }

    /// The line breaks of YAML 1.1, section 5.4.
    private static let breaks: Set<Unicode.Scalar> = ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"]

    var string: String {
        var text = String.UnicodeScalarView()
        for line in lines { text.append(contentsOf: line) }
        return String(text)
    }

    /// True when there is nothing but blanks, comments and a document's start.
    var isEmpty: Bool {
        lines.allSatisfy { line in
            let rest = line.drop { $0 == " " || $0 == "\t" || Self.breaks.contains($0) }
            return rest.isEmpty || rest.first == "#"
                || String(String.UnicodeScalarView(rest)).trimmingEnd() == "---"
        }
    }

    /// Right behind the last character.
    var end: SourcePosition {
        SourcePosition(line: lines.count, column: lines[lines.count - 1].count + 1)
    }

    /// The character at a place; nil at a line's end and beyond.
    subscript(position: SourcePosition) -> Unicode.Scalar? {
        guard lines.indices.contains(position.line - 1),
            lines[position.line - 1].indices.contains(position.column - 1)
        else { return nil }
        let scalar = lines[position.line - 1][position.column - 1]
        return Self.breaks.contains(scalar) ? nil : scalar
    }

    /// The place itself, or the text's end when it lies beyond.
    func clamped(_ position: SourcePosition) -> SourcePosition {
        var end = end
        if end.column == 1, end.line > 1 {
            end.line -= 1
            end.column = max(1, lines[end.line - 1].count)
        }
        return min(position, end)
    }

    /// Where a character occurs first.
    func first(_ scalar: Unicode.Scalar) -> SourcePosition? {
        for (number, line) in lines.enumerated() {
            if let column = line.firstIndex(of: scalar) {
                return SourcePosition(line: number + 1, column: column + 1)
            }
        }
        return nil
    }

    /// The first tab in the indentation of each line that has one.
    func tabsInIndentation() -> [SourcePosition] {
        lines.enumerated().compactMap { number, line in
            let indentation = line.prefix { $0 == " " || $0 == "\t" }
            let isBlank = indentation.count == line.filter { !Self.breaks.contains($0) }.count
            return isBlank
                ? nil
                : indentation.firstIndex(of: "\t").map {
                    SourcePosition(line: number + 1, column: $0 + 1)
                }
        }
    }

    /// Where `*name` stands for an anchor `&name` of this text.
    func aliases() -> [SourcePosition] {
        let anchors = Set(words(after: "&").map(\.name))
        return anchors.isEmpty
            ? [] : words(after: "*").filter { anchors.contains($0.name) }.map(\.position)
    }

    private func words(
        after mark: Unicode.Scalar
    ) -> [(name: [Unicode.Scalar], position: SourcePosition)] {
        let edges: Set<Unicode.Scalar> = [" ", "\t", "[", "]", "{", "}", ","]
        var found: [(name: [Unicode.Scalar], position: SourcePosition)] = []
        for (number, line) in lines.enumerated() {
            for column in line.indices where line[column] == mark {
                guard column == 0 || edges.contains(line[column - 1]) else { continue }
                let name = line[(column + 1)...].prefix {
                    !edges.contains($0) && !Self.breaks.contains($0)
                }
                if !name.isEmpty {
                    found.append(
                        (Array(name), SourcePosition(line: number + 1, column: column + 1)))
                }
            }
        }
        return found
    }

    /// Puts as many private characters over a key, quoted or not; false when it does not stand
    /// there.
    mutating func overwrite(_ name: String, at position: SourcePosition, number: Int) -> Bool {
        guard lines.indices.contains(position.line - 1),
            let cover = Unicode.Scalar(0xE000 + UInt32(number) % 6400)
        else { return false }
        let line = lines[position.line - 1]
        let letters = Array(name.unicodeScalars)
        var start = position.column - 1
        guard line.indices.contains(start), !letters.isEmpty else { return false }
        if line[start] == "\"" || line[start] == "'" { start += 1 }
        guard start + letters.count <= line.count,
            Array(line[start..<(start + letters.count)]) == letters
        else { return false }
        for place in start..<(start + letters.count) { lines[position.line - 1][place] = cover }
        return true
    }
}

extension String {
    fileprivate func trimmingEnd() -> Substring {
        var rest = self[...]
        while let last = rest.unicodeScalars.last, last.properties.isWhitespace {
            rest = Substring(rest.unicodeScalars.dropLast())
        }
        return rest
    }
}
