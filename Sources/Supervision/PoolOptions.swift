package import Configuration
public import Routing

/// What the master needs to start the workers of one service.
public struct PoolOptions: Sendable, Equatable {
    public enum Program: Sendable, Equatable {
        /// `module:attribute` for the Python host.
        case app(String)
        /// Program and arguments, with `{socket}`, `{port}` and `{worker}` still in them.
        case command([String])
        case demo
    }

    public struct Variable: Sendable, Equatable {
        public var name: String
        public var value: String
    }

    public var service: ServiceOptions
    public var program: Program
    /// The folder the program runs in, absolute.
    public var dir: String
    /// A venv folder or a program; nil: found by itself.
    public var python: String?
    /// Variables on top of our own environment.
    public var environment: [Variable]
    /// Nil: that of the proxy.
    public var user: String?
    public var group: String?
}

extension PoolOptions {
    /// Reads every service that has workers of its own, in the order of the file.
    package static func all(_ configuration: EffectiveConfiguration) -> [PoolOptions] {
        configuration.names("services.*").compactMap { PoolOptions(configuration, service: $0) }
    }

    /// Reads one service; nil where its servers run already.
    package init?(_ configuration: EffectiveConfiguration, service name: String) {
        service = ServiceOptions(configuration, service: name)
        switch service.kind {
        case .upstreams: return nil
        case .demo: program = .demo
        case .app: program = .app(configuration.value(ServiceOptions.app, name)!)
        case .command:
            program = .command(
                configuration.entries(ServiceOptions.commandWord, name).map(\.value))
        }
        dir = configuration.value(Self.dir, name) ?? "/"
        python = configuration.value(Self.python, name)
        environment = configuration.entries(Self.variable, name).map {
            Variable(name: $0.name, value: $0.value)
        }
        user = configuration.value(Self.user, name)
        group = configuration.value(Self.group, name)
    }
}

extension PoolOptions {
    private static let programs = ["app", "command"]
    /// Where secrets may stand.
    static let environmentPath = "services.*.env"

    package static let dir = Setting(
        optional: "services.*.dir", .path("a folder"), found: "the folder of this file",
        with: programs, "the folder the app runs in and is imported from", example: "/srv/shop")
    package static let python = Setting(
        optional: "services.*.python", .text("a venv folder or a program"),
        found: "$VIRTUAL_ENV, .venv or venv in dir, else python3", with: ["app"],
        "the interpreter: a venv folder or a program", example: "/srv/shop/.venv")
    static let variable = Setting(
        each: "services.*.env.*", .text(countMax: 131_072, mayBeEmpty: true), with: programs,
        "environment variables of the workers", example: "production")
    package static let user = Setting(
        optional: "services.*.user", .text("a user name"), found: "user", with: programs,
        "the user its workers run as", example: "shop")
    package static let group = Setting(
        optional: "services.*.group", .text("a group name"), found: "the user's", with: programs,
        "the group its workers run as", example: "shop")

    package static let keys = Keys(
        [
            dir.declaration, python.declaration, variable.declaration, user.declaration,
            group.declaration,
        ],
        shapes: [
            Shape("services.*.env", "environment variables", checkName: checkVariableName)
        ])

    private static func checkVariableName(_ name: String) throws(Complaint) {
        let isGood = name.utf8.enumerated().allSatisfy { place, byte in
            (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || byte == 0x5f
                || (place > 0 && (0x30...0x39).contains(byte))
        }
        guard isGood, !name.isEmpty else {
            throw Complaint("\(quoted(name)) is no name of an environment variable")
        }
    }
}
