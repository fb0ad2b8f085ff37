import Configuration

enum Color: String, CaseIterable { case red, green }

/// Some keys of every form, for tests of the form alone.
enum Sample {
    static let port = Setting("port", .integer(0...65_535), "a number", example: "80")
    static let wait = Setting("wait", .duration(), default: "10s", "a time", example: "1s")
    static let color = Setting(
        optional: "color", SettingType<Color>.choice, "a word", example: "red")
    static let word = Setting(each: "words[]", .text(mayBeEmpty: true), "words", example: "a")
    static let file = Setting(optional: "file", .path(), "a path", example: "a.txt")
    static let kind = Setting(optional: "boxes.*.kind", .text(), "a kind", example: "a")
    static let other = Setting(optional: "boxes.*.other", .text(), "a kind", example: "a")
    static let depth = Setting(
        "boxes.*.depth", .integer(1...9), default: "3", with: ["kind"], "a depth", example: "1")
    static let variable = Setting(
        each: "boxes.*.env.*", .text(mayBeEmpty: true), "variables", example: "x")
    static let url = Setting("items[].url", .text(), "a place", example: "x")
    static let weight = Setting("items[].weight", .integer(0...9), default: "1", "", example: "2")
    static let limit = Setting("extra.limit", .integer(0...9), default: "5", "", example: "2")

    static let schema = Schema([
        Keys(
            [
                port.declaration, wait.declaration, color.declaration, word.declaration,
                file.declaration, kind.declaration, other.declaration, depth.declaration,
                variable.declaration, url.declaration, weight.declaration, limit.declaration,
            ],
            shapes: [
                Shape("words", "words", counts: 1...3),
                Shape("boxes.*", "a box", oneOf: ["kind", "other"]),
                Shape("items[]", "items", shorthand: .value(of: "url"), takesOne: true),
                Shape("extra", "optional", isOptional: true),
            ],
            later: ["boxes.*.depth.min", "boxes.*.mode", "theme"])
    ])

    static func read(
        _ yaml: String, environment: [String: String] = [:]
    ) -> (configuration: Configuration, findings: [String]) {
        let (configuration, diagnostics) = schema.read(
            yaml: Array(yaml.utf8), file: "f", folder: "/srv", environment: environment)
        return (configuration, diagnostics.map(\.description))
    }
}
