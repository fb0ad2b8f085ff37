import Configuration
import Linux

/// Where the Python interpreter of a service is, and whether it works.
enum Interpreter {
    /// How long an interpreter may take to start and end, in milliseconds. A cold one takes 200.
    private static let trialMilliseconds: Int32 = 5000
    /// What tells it from others that are too old: the worker host needs 3.9.
    private static let trial = "import sys; sys.exit(0 if sys.version_info >= (3, 9) else 39)"

    /// The program's absolute path; nil where there is none.
    ///
    /// - Parameters:
    ///   - written: `python:`, a venv folder or a program, relative to `folder`, or the name of one
    /// in `PATH`.
    ///   - dir: where the app is; a venv there is found by itself.
    static func find(
        _ written: String?, folder: String, dir: String, environment: [String: String]
    ) -> String? {
        if let written {
            let path = absolutePath(written, in: folder)
            if let status = try? FileSystem.status(of: path) {
                return status.isFolder ? program(inVenv: path) : path
            }
            return written.contains("/") ? nil : search(written, environment)
        }
        var venvs = ["\(dir)/.venv", "\(dir)/venv"]
        if let active = environment["VIRTUAL_ENV"], active.hasPrefix("/") {
            venvs.insert(active, at: 0)
        }
        return venvs.lazy.compactMap(program(inVenv:)).first ?? search("python3", environment)
    }

    private static func program(inVenv folder: String) -> String? {
        let path = "\(folder)/bin/python"
        return (try? FileSystem.status(of: path)) != nil ? path : nil
    }

    /// Looks a program up in `PATH`.
    static func search(_ name: String, _ environment: [String: String]) -> String? {
        let folders = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        return folders.split(separator: ":").map { "\($0)/\(name)" }.first(where: isProgram)
    }

    /// True for a file that somebody may execute.
    static func isProgram(_ path: String) -> Bool {
        guard let status = try? FileSystem.status(of: path) else { return false }
        return !status.isFolder && status.mode & 0o111 != 0
    }

    /// Why no interpreter was found, as a complaint about what was written.
    static func complaint(_ written: String?, folder: String, dir: String) -> String {
        guard let written else {
            return "no Python was found: no venv in \(dir), no python3 in PATH; "
                + "install one, or name it with python:"
        }
        let path = absolutePath(written, in: folder)
        if (try? FileSystem.status(of: path)) != nil {
            return "\(path) is no venv: it has no bin/python; make one: python3 -m venv \(path)"
        }
        if written.contains("/") || written.hasPrefix(".") {
            return "\(path) is not there; make a venv: python3 -m venv \(path)"
        }
        return "there is no \(written), neither in \(folder) nor in PATH"
    }

    /// Starts it once with nothing to do; what is wrong with it, or nil.
    ///
    /// As the user the app runs as, isolated and without `site`: it may well be the user's own, and
    /// a folder above it closed to that user.
    static func fault(of program: String, as account: Account?) -> String? {
        guard isProgram(program) else { return "\(program) cannot be executed; chmod +x it" }
        do {
            let child = try start([program, "-I", "-S", "-c", trial], as: account)
            switch child.waitForExit(milliseconds: trialMilliseconds) {
            case nil:
                child.send(9)
                _ = try child.waitForExit()
                return "\(program) does not end: tried python -c '' for "
                    + "\(trialMilliseconds / 1000) s; is it an interpreter?"
            case .exited(code: 0): return nil
            case .exited(code: 39): return "\(program) is older than Python 3.9"
            case .exited(code: 126) where account != nil:
                return "\(program) cannot be started by \(account?.name ?? ""), as whom the app "
                    + "runs; is a folder above it closed to others?"
            case .exited(code: 127) where account != nil:
                return "\(program) cannot be started; make the venv anew"
            case let end?:
                return "\(program) is no working Python (\(end) on python -c ''); "
                    + "make the venv anew"
            }
        } catch {
            return "\(program) cannot be started (\(error)); make the venv anew"
        }
    }

    private static func start(
        _ words: [String], as account: Account?
    ) throws(SystemError) -> ChildProcess {
        guard let account else {
            return try ProcessLaunch(program: words[0], arguments: words, environment: []).start()
        }
        let nowhere = try FileSystem.openLog("/dev/null")
        var role = RoleLaunch(role: "program")
        role.run(as: account)
        role.run(words, environment: [])
        role.output = nowhere.number
        return try role.start()
    }
}
