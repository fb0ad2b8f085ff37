import CLinux

/// A user to run as, with its groups.
package struct Account: Equatable, Sendable {
    package var user: UInt32
    package var group: UInt32
    /// Every group it is in, `group` too.
    package var groups: [UInt32]
    package var name: String
    package var home: String

    package init(
        user: UInt32, group: UInt32, groups: [UInt32], name: String = "", home: String = "/"
    ) {
        self.user = user
        self.group = group
        self.groups = groups
        self.name = name
        self.home = home
    }

    /// Looks a user up by name or number, and a group in place of its own when one is named.
    ///
    /// Nil when there is no such user or group. A number without a name is a user too, whose group
    /// has the same number where none is named.
    package static func named(_ user: String, group: String? = nil) -> Account? {
        let found = unsafe UInt32(user).map { unsafe getpwuid($0) } ?? getpwnam(user)
        guard let entry = unsafe found else { return unnamed(user, group: group) }
        let name = unsafe String(cString: entry.pointee.pw_name)
        let home = unsafe String(cString: entry.pointee.pw_dir)
        let userNumber = unsafe entry.pointee.pw_uid
        var ownGroup = unsafe entry.pointee.pw_gid
        if let group {
            guard let number = Self.groupNumber(named: group) else { return nil }
            ownGroup = number
        }
        var groups = [gid_t](repeating: 0, count: groupsMax)
        var count = Int32(groupsMax)
        let result = unsafe getgrouplist(name, ownGroup, &groups, &count)
        let known = result >= 0 ? Array(groups[..<Int(count)]) : [ownGroup]
        return Account(user: userNumber, group: ownGroup, groups: known, name: name, home: home)
    }

    private static func unnamed(_ user: String, group: String?) -> Account? {
        guard let number = UInt32(user), number != noNumber else { return nil }
        guard let own = group.map({ groupNumber(named: $0) }) ?? number else { return nil }
        return Account(user: number, group: own, groups: [own], name: user)
    }

    /// Means "leave it as it is" to the kernel.
    private static let noNumber = UInt32.max

    /// A group's number from its name or number, which need not have a name; nil when there is
    /// none.
    package static func groupNumber(named group: String) -> UInt32? {
        if let number = UInt32(group) { return number == noNumber ? nil : number }
        return unsafe getgrnam(group).map { unsafe $0.pointee.gr_gid }
    }

    /// A user's name from its number; nil when there is none.
    package static func userName(of number: UInt32) -> String? {
        unsafe getpwuid(number).map { unsafe String(cString: $0.pointee.pw_name) }
    }

    /// Becomes this user for good: groups, then group, then user; and makes sure that there is no
    /// way back.
    ///
    /// The kernel clears the parent-death signal with it; arm it again.
    package func assume() throws(SystemError) {
        if geteuid() == user && getegid() == group && getuid() == user && user != 0 { return }
        guard unsafe setgroups(groups.count, groups) == 0 else { throw SystemError("setgroups") }
        guard clinux_setresgid(group) == 0 else { throw SystemError("setresgid") }
        guard clinux_setresuid(user) == 0 else { throw SystemError("setresuid") }
        guard user != 0 else { return }
        guard getuid() == user, geteuid() == user, getgid() == group, getegid() == group,
            clinux_setresuid(0) != 0, clinux_setresgid(0) != 0 || group == 0
        else { throw SystemError("setresuid", number: EPERM) }
    }

    /// Groups one account may be in; the kernel takes 65536, and nobody has more than a few dozen.
    private static let groupsMax = 1024
}
