/// What holds where a key is not written.
package enum Fallback: Equatable, Sendable {
    /// Nothing; the key may be left out.
    case absent
    /// This text, as if it had been written.
    case text(String)
    /// The master finds a value by itself; the text says which, for people.
    case found(String)
    /// The key has to be written wherever the group it belongs to is.
    case required
}

/// One key of the configuration, declared once, in the room that obeys it.
///
/// Parsing, bounds, the default, `--print-config`, the JSON schema and the manual all come from
/// here. Paths name their groups with dots; `[]` is each element of a list, `*` each name of a map:
/// `services.*.timeout.connect`, `listen[].url`, `services.*.env.*`.
package struct Setting<Value: Sendable>: Sendable {
    package let path: String
    package let type: SettingType<Value>
    package let fallback: Fallback
    /// The siblings of which one has to be there for this key to mean something; empty: always.
    package let siblings: [String]
    /// What the key does, one line.
    package let meaning: String
    /// A value as one would write it.
    package let example: String
    /// What a reader gets where there is no line.
    let whenAbsent: Value?

    /// A key with a value of its own accord: the default's text, or required where there is none.
    package init(
        _ path: String, _ type: SettingType<Value>, default text: String? = nil,
        with siblings: [String] = [], _ meaning: String, example: String
    ) {
        self.path = path
        self.type = type
        self.siblings = siblings
        self.meaning = meaning
        self.example = example
        fallback = text.map { .text($0) } ?? .required
        whenAbsent = nil
    }

    /// A key that may be left out. `found` says what the master then takes, if anything.
    package init<Wrapped: Sendable>(
        optional path: String, _ type: SettingType<Wrapped>, found: String? = nil,
        with siblings: [String] = [], _ meaning: String, example: String
    ) where Value == Wrapped? {
        self.path = path
        self.type = type.optional
        self.siblings = siblings
        self.meaning = meaning
        self.example = example
        fallback = found.map { .found($0) } ?? .absent
        whenAbsent = .some(nil)
    }

    /// An element of a list or a map of plain values, of which there may be none.
    package init(
        each path: String, _ type: SettingType<Value>, with siblings: [String] = [],
        _ meaning: String, example: String
    ) {
        self.path = path
        self.type = type
        self.siblings = siblings
        self.meaning = meaning
        self.example = example
        fallback = .absent
        whenAbsent = nil
    }

    /// The declaration without its type, for the schema.
    package var declaration: Declaration {
        Declaration(
            path: path, typeName: type.name, typeSchema: type.schema, fallback: fallback,
            siblings: siblings, meaning: meaning, example: example,
            canonical: { [type] (text, folder) throws(Complaint) in
                type.absolute(type.text(try type.parse(text)), folder)
            })
    }
}

/// A `Setting` whose type is forgotten: what the schema needs of it.
package struct Declaration: Sendable {
    package let path: String
    package let typeName: String
    package let typeSchema: String
    package let fallback: Fallback
    package let siblings: [String]
    package let meaning: String
    package let example: String
    /// The canonical text of a written one, with relative paths made absolute from the folder.
    package let canonical: @Sendable (_ text: String, _ folder: String) throws(Complaint) -> String
}

/// What holds for a group, list or map as a whole. A path that ends in `[]` or `*` stands for each
/// element.
package struct Shape: Sendable {
    /// What a plain value stands for in the place of a group or map.
    package enum Shorthand: Equatable, Sendable {
        /// The value of this key: `listen: ["http://*:80"]` is `listen: [{ url: "http://*:80" }]`.
        case value(of: String)
        /// A name with this value: `to: web` is `to: { web: 1 }`.
        case name(value: String)
    }

    package let path: String
    package let meaning: String
    package var shorthand: Shorthand?
    /// True for a list whose only element may stand without brackets.
    package var takesOne = false
    /// True for a group whose defaults hold only where it is written.
    package var isOptional = false
    /// True for what has to be written wherever the group it belongs to is.
    package var isRequired = false
    /// How many elements a list or map has.
    package var counts: ClosedRange<Int>?
    /// Keys of a group of which exactly one is written.
    package var oneOf: [String] = []
    /// Complains of a name that a map cannot have.
    package var checkName: (@Sendable (String) throws(Complaint) -> Void)?

    package init(
        _ path: String, _ meaning: String, shorthand: Shorthand? = nil, takesOne: Bool = false,
        isOptional: Bool = false, isRequired: Bool = false, counts: ClosedRange<Int>? = nil,
        oneOf: [String] = [], checkName: (@Sendable (String) throws(Complaint) -> Void)? = nil
    ) {
        self.path = path
        self.meaning = meaning
        self.shorthand = shorthand
        self.takesOne = takesOne
        self.isOptional = isOptional
        self.isRequired = isRequired
        self.counts = counts
        self.oneOf = oneOf
        self.checkName = checkName
    }
}

/// The part of the configuration that one room declares.
package struct Keys: Sendable {
    package let declarations: [Declaration]
    package let shapes: [Shape]
    /// Keys of a later version, as paths: known, and refused.
    package let later: [String]

    package init(
        _ declarations: [Declaration], shapes: [Shape] = [], later: [String] = []
    ) {
        self.declarations = declarations
        self.shapes = shapes
        self.later = later
    }
}
