import ArgumentParser
import Configuration
import Linux
import Supervision

/// Why a command was not done.
struct ControlFailure: Error {
    var exit: Int32
    /// One line, without a line end.
    var message: String
    /// Findings in a configuration, as objects with the keys of `proxy -t --json`.
    var diagnostics: [JSONValue] = []

    /// For people, on standard error; for programs, in the shape of the control socket's answers,
    /// on standard output.
    func report(asJSON: Bool) {
        guard !asJSON else {
            let value: JSONValue = [
                "ok": false, "exit": .whole(exit), "error": .string(message),
                "diagnostics": .array(diagnostics),
            ]
            return Output.standard(String(decoding: value.bytes, as: UTF8.self) + "\n")
        }
        for diagnostic in diagnostics { Output.error(Self.line(diagnostic) + "\n") }
        Output.error("\(message)\n")
    }

    /// A diagnostic as `proxy -t` writes it.
    private static func line(_ one: JSONValue) -> String {
        var text = one["file"]?.text ?? ""
        if let line = one["line"]?.whole, let column = one["column"]?.whole {
            text += ":\(line):\(column)"
        }
        text += ": \(one["severity"]?.text ?? "error"): "
        if let key = one["key"]?.text, !key.isEmpty { text += "\(key): " }
        text += one["message"]?.text ?? ""
        if let suggestion = one["suggestion"]?.text { text += "; did you mean \(suggestion)?" }
        return text
    }
}

/// Speaks to a running proxy over its control socket.
struct ControlClient {
    /// The socket's path.
    let path: String

    /// The socket that the options name: `--socket`, else that of `--conf`, else the default.
    ///
    /// A file that does not tell is an error: the proxy on the default socket is another one.
    init(socket: String?, conf: String?) throws(ControlFailure) {
        if let socket {
            path = socket
            return
        }
        switch ConfigurationLoading().adminSocket(file: conf) {
        case .path(let found): path = found
        case .unknown(let faults):
            throw ControlFailure(
                exit: MasterFailure.Code.configuration.rawValue,
                message: "proxy: \(conf ?? "") does not tell where its proxy answers; mend it, "
                    + "or name the socket: --socket PATH",
                diagnostics: faults.map { JSONValue(parsing: Array($0.json.utf8)) ?? .null })
        }
    }

    /// Sends a command and gives the result.
    func send(_ command: JSONValue) throws(ControlFailure) -> JSONValue {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try exchange(command)
        } catch {
            if error.number == 13 {
                throw ControlFailure(
                    exit: 77,
                    message: "proxy: \(path): permission denied; run this as the proxy's user")
            }
            throw ControlFailure(
                exit: 69,
                message: "no proxy answers on \(path); is it running? proxy --conf FILE")
        }
        guard let answer = JSONValue(parsing: bytes) else {
            throw ControlFailure(
                exit: 1, message: "proxy: the proxy on \(path) ended without an answer")
        }
        if answer["ok"]?.boolean == true { return answer["result"] ?? .null }
        throw ControlFailure(
            exit: answer["exit"]?.whole.flatMap { Int32(exactly: $0) } ?? 1,
            message: "proxy: \(answer["error"]?.text ?? "it failed")",
            diagnostics: answer["diagnostics"]?.elements ?? [])
    }

    private func exchange(_ command: JSONValue) throws(SystemError) -> [UInt8] {
        let connection = try ListeningSocket.connect(to: try SocketAddress.unix(path: path))
        SignalQueue.ignore(13)
        do throws(SystemError) {
            try connection.writeAll(command.bytes + [0x0A])
        } catch  where error.number == 32 {
            // It hung up; what it has said is still there.
        }
        var bytes: [UInt8] = []
        while let more = try connection.readAvailable(atMost: 64 << 10), !more.isEmpty {
            bytes += more
        }
        return bytes
    }
}

extension ConfigurationLoading {
    /// Where the proxy of a configuration answers.
    enum AdminSocket {
        case path(String)
        /// The file cannot be read as far as that.
        case unknown([Diagnostic])
    }

    /// Where the proxy of a file (nil: one without `admin.socket`) answers.
    ///
    /// What is wrong with other keys is no hindrance, so that a proxy can be stopped whose file was
    /// broken since it started.
    func adminSocket(file: String?) -> AdminSocket {
        var (configuration, _) = Schema.proxy.read(texts: [], folder: host.workingFolder)
        if let file {
            let path = absolutePath(file, in: host.workingFolder)
            let bytes: [UInt8]
            do {
                bytes = try FileSystem.read(path)
            } catch {
                let message = "cannot be read: \(HostChecks.reason(error))"
                return .unknown([Diagnostic(file: file, position: nil, message: message)])
            }
            var faults: [Diagnostic]
            (configuration, faults) = Schema.proxy.read(
                yaml: bytes, file: file, folder: absolutePath("..", in: path),
                environment: host.environment)
            faults = faults.filter(Self.hidesSocket)
            guard faults.isEmpty else { return .unknown(faults) }
        }
        var resolution = Resolution(host: host)
        resolution.resolve(&configuration)
        guard let path = configuration.value(MasterOptions.adminSocket) ?? nil else {
            preconditionFailure("no control socket")
        }
        return .path(path)
    }

    /// Whether an error may have cost us the keys that say where a proxy answers: it is about the
    /// file as a whole, about them, or about a key that was meant to be one of them.
    private static func hidesSocket(_ fault: Diagnostic) -> Bool {
        let groups = ["", "admin", "directories"]
        return fault.severity == .error
            && (groups.contains(String(fault.key.prefix { $0 != "." }))
                || fault.suggestion.map(groups.contains) == true)
    }
}

/// How a command finds the proxy it speaks to, and how it answers.
struct ControlOptions: ParsableArguments {
    @Option(name: .long, help: "The control socket of the running proxy.")
    var socket: String?

    @Option(name: .long, help: "The configuration file of the running proxy.")
    var conf: String?

    @Flag(name: .long, help: "The answer as one JSON object, also of what failed.")
    var json = false

    /// Sends a command and gives the result; of a failure, reports it and ends with its exit code.
    func send(_ command: JSONValue) throws -> JSONValue {
        do throws(ControlFailure) {
            return try ControlClient(socket: socket, conf: conf).send(command)
        } catch {
            error.report(asJSON: json)
            throw ExitCode(error.exit)
        }
    }

    /// Prints a result, as JSON where that was asked for.
    func print(_ result: JSONValue, orText text: @autoclosure () -> String) {
        Output.standard(json ? String(decoding: result.bytes, as: UTF8.self) + "\n" : text())
    }
}
