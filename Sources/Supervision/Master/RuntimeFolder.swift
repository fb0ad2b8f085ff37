internal import Linux

/// `directories.runtime`: sockets that we trust and code that runs as us lie in it, so nobody else
/// may have a hand in it.
package enum RuntimeFolder {
    /// The folder of the worker sockets, through which edges pass and that nobody can list.
    static func sockets(in runtime: String) -> String { "\(runtime)/workers" }
    /// The folder of the Python host.
    static func host(in runtime: String) -> String { "\(runtime)/host" }

    /// What is in the way of a proxy in this folder; nil when nothing is.
    package static func fault(of runtime: String) -> String? {
        OwnFolder.fault(of: sockets(in: runtime)) ?? OwnFolder.fault(of: host(in: runtime))
    }

    /// Whether a proxy that runs has this folder.
    static func isInUse(_ runtime: String) -> Bool { OwnFolder.isInUse(sockets(in: runtime)) }

    /// Makes the folder, or makes sure that the one there is ours alone: in `/tmp` anybody may have
    /// been there first.
    static func make(_ path: String) throws(MasterFailure) {
        do throws(SystemError) {
            try FileSystem.makeFolder(path, mode: 0o711)
        } catch {
            throw MasterFailure(error, while: "cannot make the folder \(path)")
        }
        try requireOurs(path)
    }

    /// Makes sure that a folder is no link, belongs to us, and that others may not write in it.
    ///
    /// Our own group may: with a group for each user that is how folders are made.
    static func requireOurs(_ path: String) throws(MasterFailure) {
        let status: FileSystem.Status
        do throws(SystemError) {
            status = try FileSystem.status(of: path, followsLinks: false)
        } catch {
            throw MasterFailure(error, while: "cannot use \(path)")
        }
        let isOpen =
            status.mode & 0o002 != 0
            || status.mode & 0o020 != 0 && status.group != ProcessTraits.effectiveGroup
        let fault: String
        if !status.isFolder {
            fault = "is no folder"
        } else if status.user != ProcessTraits.effectiveUser {
            let owner = Account.userName(of: status.user) ?? "user \(status.user)"
            fault = "belongs to \(owner)"
        } else if isOpen {
            fault = "may be written by others"
        } else {
            return
        }
        throw MasterFailure(
            .permission,
            "\(path) \(fault), and directories.runtime has to be this user's own folder; "
                + "set another one")
    }
}
