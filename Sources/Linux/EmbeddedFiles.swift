import CAppHost

/// Files that travel inside the binary: the Python worker host.
package enum EmbeddedFiles {
    /// Each file's path below the folder it is written to, and its bytes.
    package static var all: [(path: String, bytes: [UInt8])] {
        (0..<capphost_file_count()).map { file in
            let path = (0..<capphost_path_size(file)).map { capphost_path_byte(file, $0) }
            let bytes = (0..<capphost_file_size(file)).map { capphost_file_byte(file, $0) }
            return (String(decoding: path, as: UTF8.self), bytes)
        }
    }
}
