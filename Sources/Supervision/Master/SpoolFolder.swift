internal import Configuration
package import Linux

/// `directories.spool`: where bodies lie that do not stay in memory; the edges' user's own folder.
///
/// It belongs to the user that edges run as, so its owner does not tell whether it is ours. A mark
/// in `directories.state`, where only we write, does: for the start after `user` was changed.
package enum SpoolFolder {
    /// The file that names the folder we have made, and its inode.
    static func mark(in state: String) -> String { "\(state)/spool-folder" }

    /// Makes the folder for a user (nil: who we are).
    ///
    /// One that is there already is given to the user only in its usual place, below
    /// `directories.state`, when it is ours and empty, such as a disk of its own, or when we have
    /// made it and it is empty: else it may be anybody's. Where everybody may write it stays as it
    /// is.
    static func make(
        _ path: String, for account: Account?, state: String
    ) throws(MasterFailure) {
        let isNew = (try? FileSystem.status(of: path)) == nil
        if !isNew, let fault = fault(of: path, for: account, state: state) {
            throw MasterFailure(.permission, "directories.spool: \(fault)")
        }
        do throws(SystemError) {
            try FileSystem.makeFolder(path, mode: 0o700)
            guard let account else { return }
            let status = try FileSystem.status(of: path)
            guard status.mode & 0o002 == 0 else { return }
            if status.user != account.user {
                try FileSystem.changeOwner(
                    ofFolder: path, user: account.user, group: account.group)
            }
            let isKnown = path == "\(state)/spool" || isMarked(path, status, state)
            if !isKnown, isNew || status.user != account.user {
                let text = "\(status.inode) \(path)\n"
                try FileSystem.write(Array(text.utf8), to: mark(in: state), mode: 0o600)
            }
        } catch {
            throw MasterFailure(error, while: "cannot make the folder \(path)")
        }
    }

    /// Why a folder that is there cannot be the spool of edges that run as this user (nil: as we
    /// are); nil when it can.
    package static func fault(of path: String, for account: Account?, state: String) -> String? {
        guard let account, let status = try? FileSystem.status(of: path), status.isFolder,
            status.user != account.user, status.mode & 0o002 == 0, path != "\(state)/spool"
        else { return nil }
        let names = (try? FileSystem.names(in: path)) ?? [""]
        let isEmpty = Set(names).isSubset(of: ["lost+found"])
        let isOurs =
            status.user == ProcessTraits.effectiveUser || isMarked(path, status, state)
        guard !isEmpty || !isOurs else { return nil }
        let owner = Account.userName(of: status.user) ?? "user \(status.user)"
        return "\(path) belongs to \(owner), and edges run as \(account.name); "
            + "chown it, or name a folder that is not there yet"
    }

    private static func isMarked(
        _ path: String, _ status: FileSystem.Status, _ state: String
    ) -> Bool {
        (try? FileSystem.readText(mark(in: state))) == "\(status.inode) \(path)\n"
    }
}
