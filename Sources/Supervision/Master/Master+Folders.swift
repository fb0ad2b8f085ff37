internal import Configuration
internal import Linux
internal import Signals

/// The folders of the proxy: made at the start, made again when somebody removes them, and left as
/// they were found.
extension Master {
    /// Makes again what somebody has removed from under us: the folders of the worker sockets (the
    /// workers follow, when edges find their sockets gone) and of the host, the control socket, and
    /// the spool.
    func restoreFiles() {
        let folders = plan.options.directories
        do throws(MasterFailure) {
            try RuntimeFolder.make(site.runtime)
            for folder in ownFolders where try folder.restore() { sayRestored(folder.path) }
            if try admin.restore() { sayRestored(admin.path) }
            if (try? FileSystem.status(of: folders.spool)) == nil {
                try Self.prepareFolders(folders, account: plan.account)
                sayRestored(folders.spool)
            }
            restoreFailure = nil
        } catch {
            guard restoreFailure != error.message else { return }
            restoreFailure = error.message
            log.error("restore_failed") { line in line.add("error", text: error.message) }
        }
    }

    private func sayRestored(_ path: String) {
        log.warning("restored") { line in
            line.add("path", text: path)
            line.add("text", text: "it was removed while the proxy runs, and is made again")
        }
    }

    static func prepareFolders(
        _ folders: DirectoryOptions, account: Account?
    ) throws(MasterFailure) {
        try RuntimeFolder.make(folders.runtime)
        do throws(SystemError) {
            try FileSystem.makeFolder(folders.state, mode: 0o711)
            // Earlier versions made it 0700 where the development CA came first.
            if account != nil, folders.spool.hasPrefix("\(folders.state)/") {
                try FileSystem.allowSearch(ofFolder: folders.state)
            }
        } catch {
            throw MasterFailure(error, while: "cannot make the folder \(folders.state)")
        }
        try SpoolFolder.make(folders.spool, for: account, state: folders.state)
    }

    /// Empties what an earlier run left.
    static func prepareRuntime(
        _ site: MasterSite, _ admin: AdminSocket
    ) throws(MasterFailure) -> [OwnFolder] {
        do throws(MasterFailure) {
            let sockets = try OwnFolder(site.socketFolder, mode: 0o711)
            return [sockets, try OwnFolder(site.hostFolder, mode: 0o755)]
        } catch {
            admin.close()
            throw error
        }
    }

    /// Lets go of everything, and then answers those who wait for that.
    func cleanUp() {
        admin.close()
        for folder in ownFolders { folder.remove() }
        newFolders.removeEmpty()
        listeners.close()
        answerStops()
    }
}

/// The folders that a start is about to make: one that fails takes them away again, where they are
/// empty.
final class NewFolders {
    private var paths: [String]
    /// The mark of the spool, if the folder that it lies in is new.
    private var mark: String?

    init(_ options: MasterOptions) {
        let folders = options.directories
        let all = [
            folders.runtime, folders.state, folders.spool,
            absolutePath("..", in: options.adminSocket),
        ]
        let new = all.filter { (try? FileSystem.status(of: $0, followsLinks: false)) == nil }
        // What lies in another one goes first.
        paths = new.sorted { $0.utf8.count > $1.utf8.count }
        mark = new.contains(folders.state) ? SpoolFolder.mark(in: folders.state) : nil
    }

    /// The start has done what it was for.
    func keep() {
        paths = []
        mark = nil
    }

    func removeEmpty() {
        if let mark { try? FileSystem.remove(mark) }
        for path in paths { try? FileSystem.removeFolder(path) }
        keep()
    }

    deinit { removeEmpty() }
}
