internal import Linux

/// `directories.spool`: where bodies lie that do not stay in memory; the edges' user's own folder.
enum SpoolFolder {
    /// Makes the folder for a user (nil: who we are).
    ///
    /// One that is there already is given to the user only in its usual place, below
    /// `directories.state`, or when it is ours and empty, such as a disk of its own: else it may be
    /// anybody's. Where everybody may write it stays as it is.
    static func make(
        _ path: String, for account: Account?, state: String
    ) throws(MasterFailure) {
        let isNew = (try? FileSystem.status(of: path)) == nil
        var stranger: UInt32?
        do throws(SystemError) {
            try FileSystem.makeFolder(path, mode: 0o700)
            guard let account else { return }
            let status = try FileSystem.status(of: path)
            guard status.user != account.user, status.mode & 0o002 == 0 else { return }
            let isEmpty = Set(try FileSystem.names(in: path)).isSubset(of: ["lost+found"])
            let isFree = status.user == ProcessTraits.effectiveUser && isEmpty
            if isNew || isFree || path == "\(state)/spool" {
                try FileSystem.changeOwner(
                    ofFolder: path, user: account.user, group: account.group)
            } else {
                stranger = status.user
            }
        } catch {
            throw MasterFailure(error, while: "cannot make the folder \(path)")
        }
        guard let stranger, let account else { return }
        let owner = Account.userName(of: stranger) ?? "user \(stranger)"
        throw MasterFailure(
            .permission,
            "directories.spool: \(path) belongs to \(owner), and edges run as \(account.name); "
                + "chown it, or name a folder that is not there yet")
    }
}
