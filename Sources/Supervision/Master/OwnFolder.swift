internal import Linux

/// A folder that the proxy makes for itself below `directories.runtime`, empties and removes.
///
/// A file in it, locked as long as we run, tells it from one that only has the same name: that is
/// left alone, and so is the folder of a proxy that runs.
final class OwnFolder {
    private static let mark = ".proxy"

    let path: String
    private let lock: OpenFile

    /// Makes the folder, or takes over and empties the one that an earlier run has left.
    init(_ path: String, mode: UInt32) throws(MasterFailure) {
        self.path = path
        if let fault = Self.fault(of: path) { throw MasterFailure(.configuration, fault) }
        do throws(SystemError) {
            try FileSystem.makeFolder(path, mode: mode)
        } catch {
            throw MasterFailure(error, while: "cannot make the folder \(path)")
        }
        try RuntimeFolder.requireOurs(path)
        do throws(SystemError) {
            // O_RDWR | O_CREAT
            lock = OpenFile(
                owning: try FileSystem.open("\(path)/\(Self.mark)", flags: 0o2 | 0o100, mode: 0o600)
            )
        } catch {
            throw MasterFailure(error, while: "cannot make a file in \(path)")
        }
        guard lock.descriptor.tryLock() else {
            let pid = (try? lock.descriptor.readAll()).map { String(decoding: $0, as: UTF8.self) }
            let who = pid.map { $0.filter(\.isNumber) } ?? "?"
            throw MasterFailure(
                .taken,
                "another proxy (pid \(who)) uses \(path); stop it or set "
                    + "directories.runtime")
        }
        do throws(SystemError) {
            try FileSystem.truncate(lock.number)
            try lock.descriptor.writeAll(Array("\(ProcessTraits.pid)\n".utf8))
            try FileSystem.emptyFolder(path, keeping: [Self.mark])
            try FileSystem.changeMode(path, mode)
        } catch {
            throw MasterFailure(error, while: "cannot empty \(path)")
        }
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

    /// Removes it with all that is in it; the mark at last, so that one who is killed meanwhile
    /// leaves nothing that the next run does not know.
    func remove() {
        try? FileSystem.emptyFolder(path, keeping: [Self.mark])
        try? FileSystem.remove("\(path)/\(Self.mark)")
        try? FileSystem.removeFolder(path)
    }
}
