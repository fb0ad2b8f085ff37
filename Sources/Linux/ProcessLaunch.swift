import CLinux

/// A program to start, with exactly the descriptors it is meant to have.
///
/// `posix_spawn`, never a bare `fork`: nothing of this process runs in the child. The child gets
/// the descriptors listed and no other, an empty signal mask, every signal's default, and a process
/// group of its own, so that Ctrl-C on the terminal reaches only its parent. Where this process has
/// a terminal the child gets a session too, and with it no terminal: otherwise an unprivileged
/// child could type on root's (TIOCSTI). Not elsewhere: Linux schedules sessions against each
/// other (autogroup), and then an edge interrupts the workers in the middle of a request for each event:
/// a Flask request on a full core costs an eighth more.
package struct ProcessLaunch: Sendable {
    /// Path of the program; without a slash it is looked up in this process's `PATH`.
    package var program: String
    /// The arguments, the program's own name first.
    package var arguments: [String]
    /// `NAME=value` entries, nothing else.
    package var environment: [String]
    /// Where it starts; nil: here.
    package var folder: String?
    /// The child's number for each descriptor, and ours. Numbers 0 to 2 that are not named are
    /// `/dev/null`.
    private(set) package var descriptors: [(inChild: Int32, ours: Int32)] = []

    package init(program: String, arguments: [String], environment: [String], folder: String? = nil)
    {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
    }

    /// Gives the child our descriptor `ours` under the number `inChild`; it has to be open until
    /// `start`.
    package mutating func give(_ ours: Int32, as inChild: Int32) {
        precondition(!descriptors.contains { $0.inChild == inChild })
        descriptors.append((inChild, ours))
    }

    /// Starts it. Errors: `ENOENT`, `EACCES`, `ENOEXEC` of the program, `ENOENT` or `ENOTDIR` of
    /// the folder.
    package func start() throws(SystemError) -> ChildProcess {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let top = max(2, descriptors.map(\.inChild).max() ?? 2)
        // Copies above every number the child uses: no dup2 can then overwrite a source.
        var copies: [Int32] = []
        defer { for copy in copies { close(copy) } }
        for entry in descriptors {
            let copy = clinux_fcntl(entry.ours, F_DUPFD_CLOEXEC, top + 1)
            guard copy >= 0 else { throw SystemError("fcntl") }
            copies.append(copy)
            unsafe posix_spawn_file_actions_adddup2(&actions, copy, entry.inChild)
        }
        let given = Set(descriptors.map(\.inChild))
        for number in 0...top where !given.contains(number) {
            if number <= 2 {
                unsafe posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
            } else {
                unsafe posix_spawn_file_actions_addclose(&actions, number)
            }
        }
        unsafe posix_spawn_file_actions_addclosefrom_np(&actions, top + 1)
        if let folder { unsafe posix_spawn_file_actions_addchdir_np(&actions, folder) }
        return unsafe try spawn(&actions)
    }

    @unsafe
    private func spawn(_ actions: inout posix_spawn_file_actions_t) throws(SystemError)
        -> ChildProcess
    {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let parting = ProcessTraits.hasTerminal ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP
        let flags =
            Int32(POSIX_SPAWN_SETSIGDEF) | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(parting)
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

        var pid: pid_t = 0
        let result = unsafe withCStrings(arguments) { arguments in
            unsafe withCStrings(environment) { environment in
                program.contains("/")
                    ? unsafe posix_spawn(
                        &pid, program, &actions, &attributes, arguments, environment)
                    : unsafe posix_spawnp(
                        &pid, program, &actions, &attributes, arguments, environment)
            }
        }
        guard result == 0 else { throw SystemError("posix_spawn", number: result) }
        return try ChildProcess(pid: pid)
    }
}

extension ProcessLaunch {
    /// Becomes the program: this process goes on as it, with its descriptors (those that are not
    /// close-on-exec) and its number. Comes back only with what went wrong.
    package static func become(
        _ program: String, arguments: [String], environment: [String]
    ) -> SystemError {
        unsafe withCStrings(arguments) { arguments in
            unsafe withCStrings(environment) { environment in
                _ = unsafe clinux_execve(program, arguments, environment)
            }
        }
        return SystemError("execve")
    }
}

/// Calls `body` with the strings as a C array that ends with a null pointer.
@unsafe
private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
    var copies: [UnsafeMutablePointer<CChar>?] = unsafe strings.map { unsafe strdup($0) }
    unsafe copies.append(nil)
    defer { unsafe copies.forEach { unsafe free($0) } }
    return unsafe body(copies)
}
