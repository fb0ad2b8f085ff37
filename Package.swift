// swift-tools-version: 6.2
// The targets and their arrows; `../shared/design/house.md` section 2 and `Tests/TidyTests` hold
// the layers.
import PackageDescription

let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    // CLinux and the Glibc that Synchronization brings along must read glibc's headers the same
    // way.
    .unsafeFlags(["-Xcc", "-D_GNU_SOURCE"]),
]

/// Debug builds count changes of shared memory, so that a test can kill a process before each of
/// them.
let crashSteps: [SwiftSetting] = [.define("CRASH_STEPS", .when(configuration: .debug))]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(
    _ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies,
        resources: resources, swiftSettings: strict)
}

let package = Package(
    name: "proxy",
    products: [.executable(name: "proxy", targets: ["proxy"])],
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    ],
    targets: [
        // 0: C headers and shims, no logic
        .target(name: "CLinux"),
        .target(
            name: "COpenSSL",
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .target(name: "CAppHost", exclude: ["python", "CAppHost.docc"]),
        .target(name: "CCares", linkerSettings: [.linkedLibrary("cares")]),
        // 1
        .target(
            name: "Memory", dependencies: ["CLinux"],
            swiftSettings: strict + crashSteps),
        room("Configuration", ["Yams"]),
        room("Board", ["Memory"]),
        // 2
        room("HTTP", ["Memory"]),
        room("Linux", ["CLinux", "CAppHost", "CCares", "Memory"]),
        room("TLS", ["COpenSSL", "Memory", "Configuration"]),
        // 3
        room("Routing", ["Memory", "HTTP", "Configuration", "Board"]),
        room("Signals", ["Memory", "Configuration", "Board"]),
        // 4
        room(
            "Edge",
            ["Memory", "Configuration", "Board", "HTTP", "Linux", "TLS", "Routing", "Signals"]),
        room(
            "Supervision",
            ["Memory", "Linux", "Signals", "Board", "Configuration", "Routing"]),
        room("Plugins", ["Memory", "Linux", "Signals", "Board", "Configuration"]),
        room("Certificates", ["Memory", "TLS", "Linux"]),
        room("Demo", ["Memory", "HTTP", "Linux", "TLS"]),
        // 5
        .executableTarget(
            name: "proxy",
            dependencies: [
                "Memory", "Configuration", "Board", "HTTP", "Linux", "TLS", "Routing", "Signals",
                "Edge", "Supervision", "Plugins", "Certificates", "Demo",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        // A child of BoardTests that forks and is killed at every step.
        .target(name: "CFork", path: "Tests/CFork"),
        .executableTarget(
            name: "BoardCrash", dependencies: ["Memory", "Board", "Routing", "CLinux", "CFork"],
            path: "Tests/BoardCrash", swiftSettings: strict + crashSteps),
        // Crash scenarios for SignalsTests, a guard for PluginsTests, and `bench`.
        .executableTarget(
            name: "SignalsHelper",
            dependencies: ["Memory", "Board", "Signals", "Plugins", "Linux", "CLinux", "CFork"],
            path: "Tests/SignalsHelper",
            swiftSettings: strict + crashSteps),
        tests("CAppHost"),
        tests("Memory"),
        tests("Configuration"),
        tests("Board", ["Memory", "CLinux", "BoardCrash"]),
        // Seeded mutations for the fuzz functions of the tests.
        .target(name: "Fuzzing", path: "Tests/Fuzzing", swiftSettings: strict),
        tests("HTTP", ["Memory", "Fuzzing"]),
        tests("Linux", ["Memory", "CLinux", "Fuzzing"]),
        tests("TLS", ["Memory", "Linux", "COpenSSL", "Fuzzing"]),
        tests("Routing", ["Memory", "HTTP", "Board", "Configuration", "Fuzzing"]),
        tests("Signals", ["Memory", "Board", "Configuration", "SignalsHelper", "Fuzzing"]),
        tests("Edge", ["Memory", "Board", "HTTP", "Linux", "Routing", "Signals", "Fuzzing"]),
        tests("Supervision", ["Memory", "Linux", "Board", "Configuration", "CLinux", "proxy"]),
        tests("Plugins", ["Memory", "Linux", "Signals", "Board", "SignalsHelper"]),
        tests("Certificates", ["TLS", "Linux"], resources: [.copy("Scripts/strict.py")]),
        tests("Demo", ["Memory", "HTTP", "Linux", "Fuzzing"]),
        tests("proxy", ["Configuration", "Linux", "Routing", "Signals", "Supervision", "TLS"]),
    ]
)
