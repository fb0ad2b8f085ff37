import CAppHost

/// Files that travel inside the binary: the Python worker host.
package enum EmbeddedFiles {
    /// Each file's path below the folder it is written to, and its bytes.
    package static var all: [(path: String, bytes: [UInt8])] {
        (0..<capphost_file_count).map { index in
            let file = unsafe capphost_file(index)
            let bytes = unsafe UnsafeBufferPointer(start: file.bytes, count: file.count)
            return unsafe (String(cString: file.path), Array(bytes))
        }
    }
}
