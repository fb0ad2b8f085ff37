import CLinux

/// Who runs this process, and where, as people write it.
package enum HostIdentity {
    /// `USER@HOST`; the user's number where it has no name, and `localhost` where the machine has
    /// none.
    package static var userAtHost: String {
        let number = geteuid()
        let user =
            unsafe getpwuid(number).map { unsafe String(cString: $0.pointee.pw_name) }
            ?? "\(number)"
        var name = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&name, name.count - 1) == 0 else { return "\(user)@localhost" }
        let end = name.firstIndex(of: 0) ?? name.endIndex
        let host = String(decoding: name[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return host.isEmpty ? "\(user)@localhost" : "\(user)@\(host)"
    }
}
