internal import Configuration

/// What a person sees on the terminal once the proxy is ready.
struct StartupText {
    /// What `--app` found.
    struct App {
        /// `app.py → app (Flask, WSGI)`.
        var description: String
        var workers: Int
        var threads: Int
        /// The interpreter.
        var python: String?
        /// Where the command was typed.
        var folder: String
    }

    var version: String
    var urls: [String]
    /// From the start of the process.
    var nanoseconds: UInt64
    var app: App?
    var stateFolder: String
    /// The certificate is from a CA of our own.
    var hasDevelopmentCertificate: Bool

    var text: String {
        var lines: [String] = []
        if let app {
            var parts = ["proxy \(version)", app.description]
            parts.append(
                "\(app.workers) \(app.workers == 1 ? "worker" : "workers") × "
                    + "\(app.threads) \(app.threads == 1 ? "thread" : "threads")")
            if let python = app.python { parts.append(Self.venv(python, folder: app.folder)) }
            lines.append(parts.joined(separator: "  ·  "))
            if app.workers > 1 {
                lines.append(
                    "  \(app.workers) processes do not share globals: see `proxy manual workers`")
            }
        } else {
            lines.append("proxy \(version)")
        }
        lines.append("")
        let clickable = urls.map(Self.clickable)
        let width = clickable.map(\.count).max() ?? 0
        for url in clickable {
            guard url.hasPrefix("https:"), hasDevelopmentCertificate else {
                lines.append("  \(url)")
                continue
            }
            let blanks = String(repeating: " ", count: width - url.count)
            lines.append(
                "  \(url)\(blanks)      certificate from your own dev CA, renewed by itself; "
                    + "a browser warns until it trusts that CA")
        }
        if hasDevelopmentCertificate, let url = clickable.first(where: { $0.hasPrefix("https:") }) {
            lines.append("  curl --cacert \(stateFolder)/ca/root.pem \(url)/")
        }
        lines.append("")
        let file = app == nil ? "" : "  --print-config shows this as a file."
        lines.append("  Ready in \(Self.seconds(nanoseconds)) s.  Ctrl-C stops.\(file)")
        return lines.joined(separator: "\n") + "\n"
    }

    /// A URL a browser can open: a port that is the usual one is left out, and an address of all
    /// becomes localhost.
    static func clickable(_ url: String) -> String {
        var text = url.replacing("://*", with: "://localhost").replacing(
            "://0.0.0.0", with: "://localhost"
        )
        .replacing("://[::]", with: "://localhost")
        for usual in [("http:", ":80"), ("https:", ":443")]
        where text.hasPrefix(usual.0) && text.hasSuffix(usual.1) {
            text.removeLast(usual.1.count)
        }
        return text
    }

    /// The venv an interpreter belongs to, as one would type it; else the interpreter.
    static func venv(_ python: String, folder: String) -> String {
        var path = python
        if let bin = path.firstRange(of: "/bin/python") { path = String(path[..<bin.lowerBound]) }
        if path == "/usr" || path == "/usr/local" { return python }
        return path.hasPrefix("\(folder)/") ? ".\(path.dropFirst(folder.count))" : path
    }

    private static func seconds(_ nanoseconds: UInt64) -> String {
        let tenths = max(1, (nanoseconds + 50_000_000) / 100_000_000)
        return "\(tenths / 10).\(tenths % 10)"
    }
}
