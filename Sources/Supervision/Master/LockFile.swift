internal import Linux

/// A file that is locked as long as we run: it tells what a running proxy owns from what one that
/// was killed has left. The owner's process id stands in it, for people.
final class LockFile {
    enum Failure: Error {
        /// Another proxy has it; its process id as text.
        case held(by: String)
        case system(SystemError)
    }

    let path: String
    private let file: OpenFile
    private let inode: UInt64

    /// Makes the file, or takes over the one that is there.
    init(_ path: String) throws(Failure) {
        self.path = path
        do throws(SystemError) {
            file = OpenFile(owning: try FileSystem.openLock(path))
            inode = try FileSystem.status(of: path, followsLinks: false).inode
        } catch {
            throw .system(error)
        }
        guard file.descriptor.tryLock() else {
            let pid = (try? file.descriptor.readAll()).map { String(decoding: $0, as: UTF8.self) }
            throw .held(by: pid.map { $0.filter(\.isNumber) } ?? "?")
        }
        do throws(SystemError) {
            try FileSystem.truncate(file.number)
            try file.descriptor.writeAll(Array("\(ProcessTraits.pid)\n".utf8))
        } catch {
            throw .system(error)
        }
    }

    /// Whether a proxy that runs has a lock file.
    static func isHeld(_ path: String) -> Bool {
        guard (try? FileSystem.status(of: path, followsLinks: false)) != nil,
            let file = try? FileSystem.openLock(path)
        else { return false }
        return !file.tryLock()
    }

    /// Nobody has removed it meanwhile.
    var isThere: Bool { (try? FileSystem.status(of: path, followsLinks: false))?.inode == inode }

    func remove() { if isThere { try? FileSystem.remove(path) } }
}
