import ArgumentParser
import Linux

/// `proxy status`: what a running proxy does just now.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what a running proxy does just now.")

    @OptionGroup var control: ControlOptions

    func run() throws {
        let result = try control.send(["command": "status"])
        control.print(result, orText: StatusText(status: result).text)
    }
}

/// A status for people.
struct StatusText {
    let status: JSONValue

    var text: String {
        var lines = [
            "proxy \(word(status["version"])), pid \(word(status["pid"])), "
                + "generation \(word(status["generation"])), since \(word(status["started"]))"
        ]
        lines += table(
            ["listener", "connections"], status["listeners"]?.elements ?? [],
            ["url", "connections"])
        lines += table(
            ["edge", "pid", "generation", "state", "connections", "requests", "restarts"],
            status["edges"]?.elements ?? [],
            ["edge", "pid", "generation", "state", "connections", "requests", "restarts"])
        for service in status["services"]?.members ?? [] {
            let queue = service.value["queue"]
            lines += [
                "",
                "\(service.name): \(word(service.value["kind"])), "
                    + "\(word(service.value["balance"])), "
                    + "\(word(queue?["waiting"])) of \(word(queue?["length"])) waiting",
            ]
            lines += table(
                ["endpoint", "pid", "state", "in flight", "capacity", "requests", "restarts"],
                service.value["endpoints"]?.elements ?? [],
                ["name", "pid", "state", "in_flight", "capacity", "requests", "restarts"],
                isIndented: true)
        }
        lines += table(
            ["plug-in", "pid", "state", "delivered", "dropped", "failures"],
            status["plugins"]?.elements ?? [],
            ["name", "pid", "state", "delivered", "dropped", "failures"])
        return lines.joined(separator: "\n") + "\n"
    }

    /// Columns as wide as their widest entry; nothing when there are no rows.
    private func table(
        _ titles: [String], _ rows: [JSONValue], _ keys: [String], isIndented: Bool = false
    ) -> [String] {
        guard !rows.isEmpty else { return [] }
        let cells = [titles] + rows.map { row in keys.map { word(row[$0]) } }
        let widths = titles.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        let lines = cells.map { row in
            let padded = row.indices.map { column in
                row[column] + String(repeating: " ", count: widths[column] - row[column].count)
            }
            let line = padded.joined(separator: "  ")
            return (isIndented ? "  " : "") + line.trimmed
        }
        return isIndented ? lines : [""] + lines
    }

    private func word(_ value: JSONValue?) -> String {
        switch value {
        case .string(let text): text
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        default: "-"
        }
    }
}

extension String {
    /// Without blanks at the end.
    fileprivate var trimmed: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
