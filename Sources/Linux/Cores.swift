import CLinux

/// How much of the machine this process may use.
package enum Cores {
    /// The processors that work can be spread over: affinity, and the control group's share rounded
    /// up.
    package static var available: Int {
        var count = max(1, Int(clinux_affinity_count()))
        if let quota = groupQuota() { count = min(count, quota) }
        return count
    }

    /// The smallest `cpu.max` (or `cpu.cfs_quota_us`) on the way up from our control group; nil: no
    /// limit.
    private static func groupQuota() -> Int? {
        guard let text = try? FileSystem.readText("/proc/self/cgroup") else { return nil }
        var smallest: Int?
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isUnified = parts[0] == "0" && parts[1].isEmpty
            guard isUnified || parts[1].split(separator: ",").contains("cpu") else { continue }
            var path = String(parts[2])
            while true {
                let quota = isUnified ? unifiedQuota(path) : oldQuota(path)
                if let quota { smallest = min(smallest ?? quota, quota) }
                guard let slash = path.lastIndex(of: "/"), path != "/" else { break }
                path = slash == path.startIndex ? "/" : String(path[..<slash])
            }
        }
        return smallest
    }

    private static func unifiedQuota(_ path: String) -> Int? {
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            if let text = try? FileSystem.readText("\(root)\(path)/cpu.max") {
                return quota(fromMaximum: text)
            }
        }
        return nil
    }

    /// `cpu.max` as the kernel writes it: `150000 100000` is two processors, `max 100000` no limit.
    package static func quota(fromMaximum text: String) -> Int? {
        let parts = text.split(whereSeparator: \.isWhitespace).map { Int($0) }
        guard parts.count == 2, let quota = parts[0], let period = parts[1], period > 0 else {
            return nil
        }
        return max(1, (quota + period - 1) / period)
    }

    private static func oldQuota(_ path: String) -> Int? {
        let folder = "/sys/fs/cgroup/cpu\(path)"
        guard let quota = try? FileSystem.readText("\(folder)/cpu.cfs_quota_us"),
            let period = try? FileSystem.readText("\(folder)/cpu.cfs_period_us"),
            !quota.hasPrefix("-")
        else { return nil }
        return Self.quota(fromMaximum: "\(quota) \(period)")
    }
}
