internal import Linux

/// A folder that the proxy makes for itself below `directories.runtime`, empties and removes.
///
/// A file in it, locked as long as we run, tells it from one that only has the same name: that is
/// left alone, and so is the folder of a proxy that runs.
final class OwnFolder {
    private static let mark = ".proxy"

    let path: String
    private let mode: UInt32
    private var lock: LockFile

    /// Makes the folder, or takes over and empties the one that an earlier run has left.
    init(_ path: String, mode: UInt32) throws(MasterFailure) {
        self.path = path
        self.mode = mode
        lock = try Self.take(path, mode)
    }

    /// Why a folder cannot be ours; nil when it is, or nothing is there, or we may not look.
    static func fault(of path: String) -> String? {
        guard let status = try? FileSystem.status(of: path, followsLinks: false),
            (try? FileSystem.status(of: "\(path)/\(mark)", followsLinks: false)) == nil
        else { return nil }
        if status.isFolder, (try? FileSystem.names(in: path))?.isEmpty != false { return nil }
        return "\(path) is there and no proxy has made it, and what is in it would be lost; "
            + "choose another folder for directories.runtime"
    }

    /// Whether a proxy that runs has the folder.
    static func isInUse(_ path: String) -> Bool { LockFile.isHeld("\(path)/\(mark)") }

    private static func take(_ path: String, _ mode: UInt32) throws(MasterFailure) -> LockFile {
        if let fault = fault(of: path) { throw MasterFailure(.configuration, fault) }
        do throws(SystemError) {
            try FileSystem.makeFolder(path, mode: mode)
        } catch {
            throw MasterFailure(error, while: "cannot make the folder \(path)")
        }
        try RuntimeFolder.requireOurs(path)
        let lock: LockFile
        do throws(LockFile.Failure) {
            lock = try LockFile("\(path)/\(mark)")
        } catch {
            switch error {
            case .held(let pid):
                throw MasterFailure(
                    .taken,
                    "another proxy (pid \(pid)) uses \(path); stop it or set directories.runtime")
            case .system(let error):
                throw MasterFailure(error, while: "cannot make a file in \(path)")
            }
        }
        do throws(SystemError) {
            try FileSystem.emptyFolder(path, keeping: [mark])
            try FileSystem.changeMode(path, mode)
        } catch {
            throw MasterFailure(error, while: "cannot empty \(path)")
        }
        return lock
    }

    /// Makes it again if somebody, such as a cleaner of `/tmp`, has removed it; true when that was
    /// needed.
    func restore() throws(MasterFailure) -> Bool {
        guard !lock.isThere else { return false }
        lock = try Self.take(path, mode)
        return true
    }

    /// Removes it with all that is in it; the mark at last, so that one who is killed meanwhile
    /// leaves nothing that the next run does not know.
    func remove() {
        guard lock.isThere else { return }
        try? FileSystem.emptyFolder(path, keeping: [Self.mark])
        lock.remove()
        try? FileSystem.removeFolder(path)
    }
}
