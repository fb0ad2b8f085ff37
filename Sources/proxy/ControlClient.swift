import ArgumentParser
import Configuration
import Linux
import Supervision

/// Speaks to a running proxy over its control socket.
struct ControlClient {
    /// The socket's path.
    let path: String

    /// The socket that the options name: `--socket`, else that of `--conf`, else the default.
    init(socket: String?, conf: String?) {
        path = socket ?? ConfigurationLoading().adminSocket(file: conf)
    }

    /// Sends a command and gives the result; what went wrong is said, and is the exit code.
    func send(_ command: JSONValue) throws -> JSONValue {
        let answer: JSONValue
        do throws(SystemError) {
            let address = try SocketAddress.unix(path: path)
            let connection = try ListeningSocket.connect(to: address)
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
            guard let value = JSONValue(parsing: bytes) else {
                Output.error("proxy: the proxy on \(path) ended without an answer\n")
                throw SystemError("read", number: 0)
            }
            answer = value
        } catch {
            if error.number == 13 {
                Output.error("proxy: \(path): permission denied; run this as the proxy's user\n")
                throw ExitCode(77)
            }
            if error.number == 0 { throw ExitCode.failure }
            Output.error("no proxy answers on \(path); is it running? proxy --conf FILE\n")
            throw ExitCode(69)
        }
        if answer["ok"]?.boolean == true { return answer["result"] ?? .null }
        for diagnostic in answer["diagnostics"]?.elements ?? [] {
            Output.error(Self.line(diagnostic) + "\n")
        }
        Output.error("proxy: \(answer["error"]?.text ?? "it failed")\n")
        throw ExitCode(answer["exit"]?.whole.flatMap { Int32(exactly: $0) } ?? 1)
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

extension ConfigurationLoading {
    /// Where the proxy of a file (nil: one without `admin.socket`) answers, however wrong the rest
    /// of the file is.
    func adminSocket(file: String?) -> String {
        var (configuration, _) = Schema.proxy.read(texts: [], folder: host.workingFolder)
        if let file {
            let path = absolutePath(file, in: host.workingFolder)
            if let bytes = try? FileSystem.read(path) {
                (configuration, _) = Schema.proxy.read(
                    yaml: bytes, file: file, folder: absolutePath("..", in: path),
                    environment: host.environment)
            }
        }
        var resolution = Resolution(host: host)
        resolution.resolve(&configuration)
        return configuration.values.node(["admin", "socket"])?.text ?? "/run/proxy/admin.sock"
    }
}

/// How a command finds the proxy it speaks to.
struct ControlOptions: ParsableArguments {
    @Option(name: .long, help: "The control socket of the running proxy.")
    var socket: String?

    @Option(name: .long, help: "The configuration file of the running proxy.")
    var conf: String?

    var client: ControlClient { ControlClient(socket: socket, conf: conf) }
}
