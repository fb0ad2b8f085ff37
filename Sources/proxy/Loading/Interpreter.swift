import Configuration
import Linux

/// Where the Python interpreter of a service is, and whether it works.
enum Interpreter {
    /// How long an interpreter may take to start and end, in milliseconds. A cold one takes 200.
    private static let trialMilliseconds: Int32 = 5000
    /// Imports with `site`, and looks at every folder it would import from; one that is not there
    /// is no fault.
    private static let importTrial = """
        import __future__, os, sys
        for folder in sys.path:
            try:
                os.listdir(folder) if os.path.isdir(folder) else os.stat(folder)
            except (FileNotFoundError, NotADirectoryError):
                pass
        """
    /// What tells it from others that are too old: the worker host needs 3.9.
    private static let trial = "import sys; sys.exit(0 if sys.version_info >= (3, 9) else 39)"

    /// The program's absolute path; nil where there is none.
    ///
    /// - Parameters:
    ///   - written: `python:`, a venv folder or a program, relative to `folder`, or the name of one
    /// in `PATH`.
    ///   - dir: where the app is; a venv there is found by itself.
    ///   - account: whom the app runs as, nil: as we are; of what is in `PATH` that user has to be
    /// able to reach it.
    static func find(
        _ written: String?, folder: String, dir: String, environment: [String: String],
        for account: Account?
    ) -> String? {
        if let written {
            let path = absolutePath(written, in: folder)
            if let status = try? FileSystem.status(of: path) {
                return status.isFolder ? program(inVenv: path) : path
            }
            return written.contains("/") ? nil : search(written, environment, for: account)
        }
        return venvs(dir, environment).lazy.compactMap(program(inVenv:)).first
            ?? search("python3", environment, for: account)
    }

    /// Folders that are taken for a venv where `python` is not written, and have no interpreter.
    static func deadVenvs(dir: String, environment: [String: String]) -> [String] {
        venvs(dir, environment).filter { folder in
            program(inVenv: folder) == nil
                && (folder == environment["VIRTUAL_ENV"]
                    || (try? FileSystem.status(of: folder)) != nil)
        }
    }

    private static func venvs(_ dir: String, _ environment: [String: String]) -> [String] {
        let active = environment["VIRTUAL_ENV"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (active.map { [$0] } ?? []) + ["\(dir)/.venv", "\(dir)/venv"]
    }

    private static func program(inVenv folder: String) -> String? {
        let path = "\(folder)/bin/python"
        return (try? FileSystem.status(of: path)) != nil ? path : nil
    }

    /// Of a venv whose interpreter has gone since it was made: what leads to nothing, and where to.
    static func lostProgram(inVenv folder: String) -> String? {
        let program = "\(folder)/bin/python"
        var path = program
        // As many links as the kernel follows (path_resolution(7)).
        for _ in 0..<40 {
            guard let target = try? FileSystem.target(ofLink: path) else { break }
            path = absolutePath(target, in: absolutePath("..", in: path))
            guard (try? FileSystem.status(of: path, followsLinks: false)) == nil else { continue }
            return "\(program) is a link that leads to \(path), which is not there"
        }
        return nil
    }

    /// Looks a program up in `PATH`.
    ///
    /// - Parameter account: the first one that this user can reach is better than one before it.
    static func search(
        _ name: String, _ environment: [String: String], for account: Account? = nil
    ) -> String? {
        let folders = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        let found = folders.split(separator: ":").map { "\($0)/\(name)" }.filter(isProgram)
        guard let account else { return found.first }
        return found.first { barrier(on: $0, for: account) == nil } ?? found.first
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
        if let lost = lostProgram(inVenv: path) {
            return "\(lost); make the venv anew: python3 -m venv --clear \(path)"
        }
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
    /// It runs as the account the app runs as (nil: as we are), for it may well be that user's own;
    /// isolated, and without `site` but for that user.
    static func fault(of program: String, as account: Account?) -> String? {
        guard isProgram(program) else { return "\(program) cannot be executed; chmod +x it" }
        if let account, let barrier = barrier(on: program, for: account) {
            return unusable(program, account, barrier)
        }
        do {
            switch try run([program, "-I", "-S", "-c", trial], as: account) {
            case nil:
                return "\(program) does not end: tried python -c '' for "
                    + "\(trialMilliseconds / 1000) s; is it an interpreter?"
            case .exited(code: 0): break
            case .exited(code: 39): return "\(program) is older than Python 3.9"
            case let end?:
                return "\(program) is no working Python (\(end) on python -c ''); "
                    + "make the venv anew"
            }
            guard let account else { return nil }
            let end = try run([program, "-I", "-c", importTrial], as: account)
            return end == .exited(code: 0)
                ? nil
                : unusable(
                    program, account, "its standard library or its packages cannot be read")
        } catch {
            return "\(program) cannot be started (\(error)); make the venv anew"
        }
    }

    private static func unusable(
        _ program: String, _ account: Account, _ cause: String
    ) -> String {
        "\(program) cannot be used by \(account.name), whom the app runs as: \(cause); "
            + "take one that everybody may read, such as /usr/bin/python3 or a venv made with it "
            + "outside of home folders, or set user"
    }

    /// - Returns: nil when it did not end in time, and was killed.
    private static func run(
        _ words: [String], as account: Account?
    ) throws(SystemError) -> ProcessEnd? {
        let child = try start(words, as: account)
        if let end = child.waitForExit(milliseconds: trialMilliseconds) { return end }
        child.send(9)
        _ = try child.waitForExit()
        return nil
    }

    private static func start(
        _ words: [String], as account: Account?
    ) throws(SystemError) -> ChildProcess {
        guard let account else {
            return try ProcessLaunch(
                program: words[0], arguments: words, environment: [], folder: "/"
            ).start()
        }
        let nowhere = try FileSystem.openLog("/dev/null")
        var role = RoleLaunch(role: "program")
        role.run(as: account)
        role.run(words, environment: [])
        role.output = nowhere.number
        return try role.start()
    }

    /// The first folder on the way to a program, links followed, that a user may not enter, or the
    /// program itself where it may not be read and run. By mode bits: others have their reasons,
    /// and where an access list has more to say nothing is judged.
    static func barrier(on program: String, for account: Account) -> String? {
        var rest = program.split(separator: "/").map(String.init)
        var path = ""
        // As many links as the kernel follows (path_resolution(7)).
        var links = 40
        while !rest.isEmpty {
            let next = "\(path)/\(rest.removeFirst())"
            if links > 0, let target = try? FileSystem.target(ofLink: next) {
                links -= 1
                rest =
                    absolutePath(target, in: path.isEmpty ? "/" : path)
                    .split(separator: "/").map(String.init) + rest
                path = ""
                continue
            }
            path = next
            guard let status = try? FileSystem.status(of: path) else { return nil }
            let shift: UInt32 =
                status.user == account.user ? 6 : account.groups.contains(status.group) ? 3 : 0
            let needed: UInt32 = status.isFolder ? 0o1 : 0o5
            if status.mode >> shift & needed != needed, !FileSystem.hasAccessList(path) {
                let mode = String(status.mode, radix: 8)
                return "\(path) is closed to it (mode \(mode))"
            }
        }
        return nil
    }
}
