import CLinux

/// What the master tells a child of its own program at its start: text lines `name value` in a
/// sealed memory file on descriptor 3, and the numbers of the descriptors that the child has
/// inherited (`fd.NAME`).
package struct RoleSheet: Equatable, Sendable {
    /// The descriptor the sheet is on in every child.
    package static let descriptorNumber: Int32 = 3

    private var values: [String: String] = [:]
    private var order: [String] = []

    package init() {}

    /// Reads the sheet this process was started with. Throws `EBADF` when it was started by hand.
    package static func ofThisProcess() throws(SystemError) -> RoleSheet {
        RoleSheet(parsing: try Descriptor(owning: descriptorNumber).readAll())
    }

    package init(parsing bytes: [UInt8]) {
        // Bytes, not characters: a combining mark hides the blank before it, a CR the line's end.
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let name = line.prefix { $0 != UInt8(ascii: " ") }
            guard !name.isEmpty else { continue }
            self[String(decoding: name, as: UTF8.self)] = String(
                decoding: line.dropFirst(name.count + 1), as: UTF8.self)
        }
    }

    /// A value as text; line ends cannot be carried.
    package subscript(name: String) -> String? {
        get { values[name] }
        set {
            precondition(!name.utf8.contains(UInt8(ascii: " ")))
            precondition(newValue?.utf8.contains(UInt8(ascii: "\n")) != true)
            if values.updateValue(newValue ?? "", forKey: name) == nil { order.append(name) }
        }
    }

    package func integer(_ name: String) -> Int? { values[name].flatMap { Int($0) } }

    /// The number under which the child has inherited a descriptor; nil when it was not given one.
    package func descriptorNumber(_ name: String) -> Int32? {
        values["fd.\(name)"].flatMap { Int32($0) }
    }

    /// Takes over an inherited descriptor, made close-on-exec; to be called once for each. Nil when
    /// it was not given.
    package func takeDescriptor(_ name: String) -> Descriptor? {
        guard let number = descriptorNumber(name), number > Self.descriptorNumber,
            clinux_fcntl(number, F_SETFD, FD_CLOEXEC) == 0
        else { return nil }
        return Descriptor(owning: number)
    }

    /// Every name that begins with `prefix`, without it, in the order they were written:
    /// `listener.` → `0`, `1`.
    package func names(after prefix: String) -> [String] {
        order.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    /// The sheet as it stands in the file.
    package var bytes: [UInt8] {
        Array(order.map { "\($0) \(values[$0] ?? "")\n" }.joined().utf8)
    }
}

extension RoleSheet {
    /// The user the role is to run as; nil: as whoever started it.
    package var account: Account? {
        get {
            guard let user = integer("user").flatMap({ UInt32(exactly: $0) }),
                let group = integer("group").flatMap({ UInt32(exactly: $0) })
            else { return nil }
            let groups = (self["groups"] ?? "").split(separator: ",").compactMap { UInt32($0) }
            return Account(
                user: user, group: group, groups: groups,
                name: self["user_name"] ?? "", home: self["user_home"] ?? "/")
        }
        set {
            guard let newValue else { return }
            self["user"] = "\(newValue.user)"
            self["group"] = "\(newValue.group)"
            self["groups"] = newValue.groups.map { "\($0)" }.joined(separator: ",")
            self["user_name"] = newValue.name
            self["user_home"] = newValue.home
        }
    }

    /// Makes this process what its role is meant to be, before it touches anything from outside:
    /// named `title`, of the sheet's user for good, without core dumps, and, when `endsWithParent`,
    /// killed when the master ends.
    ///
    /// Throws `ESRCH` when the master has ended already.
    package func settle(as title: String, endsWithParent: Bool = true) throws(SystemError) {
        ProcessTraits.rename(to: title)
        try account?.assume()
        try ProcessTraits.forbidDumping()
        // After the change of user, which clears it.
        if endsWithParent, let parent = integer("parent") {
            try ProcessTraits.endWithParent(Int32(parent))
        }
    }
}

extension RoleSheet {
    /// The words of the program that the role is for, its path or name first.
    package var words: [String] { list("arguments") }
    /// The program's environment.
    package var environment: [String] { list("environment") }

    private func list(_ name: String) -> [String] {
        JSONValue(parsing: Array((self[name] ?? "[]").utf8))?.elements?.compactMap(\.text) ?? []
    }
}

/// Writes a role sheet and gives a launch its descriptors, numbered as they come.
package struct RoleLaunch {
    package private(set) var sheet = RoleSheet()
    private var given: [(name: String, number: Int32)] = []
    private let role: String
    /// `NAME=value` entries; a role of ours needs next to nothing from the master's own.
    package var environment: [String]
    /// Standard output and error; nil: the master's own error output.
    package var output: Int32?

    /// - Parameter role: the word after `--role`.
    package init(role: String, environment: [String] = ProcessTraits.environment) {
        self.role = role
        self.environment = environment
    }

    package mutating func set(_ name: String, _ value: some CustomStringConvertible) {
        sheet[name] = value.description
    }

    /// Has the role run as this user.
    package mutating func run(as account: Account?) { sheet.account = account }

    /// Lets the child inherit `descriptor`, which it finds as `fd.NAME`; gives its number there.
    @discardableResult
    package mutating func give(_ descriptor: Int32, as name: String) -> Int32 {
        let number = RoleSheet.descriptorNumber + 1 + Int32(given.count)
        sheet["fd.\(name)"] = "\(number)"
        given.append((name, descriptor))
        return number
    }

    /// Names a program that the role starts or becomes once it is of its own user: until then
    /// nothing of the program's environment (`LD_PRELOAD`, `PYTHONPATH`) may have a say.
    package mutating func run(_ words: [String], environment: [String]) {
        func text(_ list: [String]) -> String {
            String(decoding: JSONValue.array(list.map { .string($0) }).bytes, as: UTF8.self)
        }
        sheet["arguments"] = text(words)
        sheet["environment"] = text(environment)
    }

    /// Starts this same program (the one that runs, not what lies on disk by now) in the role.
    package func start() throws(SystemError) -> ChildProcess {
        var sheet = sheet
        sheet["parent"] = "\(ProcessTraits.pid)"
        let file = try MemoryFile.sealed(name: "role-sheet", sheet.bytes)
        var launch = ProcessLaunch(
            program: "/proc/self/exe", arguments: ["proxy", "--role", role],
            environment: environment)
        launch.give(output ?? STDERR_FILENO, as: STDOUT_FILENO)
        launch.give(output ?? STDERR_FILENO, as: STDERR_FILENO)
        launch.give(file.number, as: RoleSheet.descriptorNumber)
        for (position, entry) in given.enumerated() {
            launch.give(entry.number, as: RoleSheet.descriptorNumber + 1 + Int32(position))
        }
        return try launch.start()
    }
}
