internal import Linux

/// `directories.spool`: where bodies lie that do not stay in memory; the edges' user's own folder.
enum SpoolFolder {
    /// Makes the folder for a user (nil: who we are).
    ///
    /// One that is there already changes its owner only in its usual place, below
    /// `directories.state`: elsewhere it may be anybody's.
    static func make(
        _ path: String, for account: Account?, state: String
    ) throws(MasterFailure) {
        let isNew = (try? FileSystem.status(of: path)) == nil
        var stranger: UInt32?
        do throws(SystemError) {
            try FileSystem.makeFolder(path, mode: 0o700)
            guard let account else { return }
            let owner = try FileSystem.status(of: path).user
            if isNew || path == "\(state)/spool" {
                try FileSystem.changeOwner(
                    ofFolder: path, user: account.user, group: account.group)
            } else if owner != account.user {
                stranger = owner
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
