import CLinux

/// A limit the kernel sets for this process: what counts now, and how far it may be raised.
package struct ResourceLimit: Equatable, Sendable {
    package var soft: UInt64
    package var hard: UInt64

    package enum Kind: Sendable {
        case openFiles, coreBytes

        fileprivate var number: Int32 {
            switch self {
            case .openFiles: clinux_rlimit_nofile()
            case .coreBytes: clinux_rlimit_core()
            }
        }
    }

    /// Reads the limit.
    package init(_ kind: Kind) throws(SystemError) {
        soft = 0
        hard = 0
        guard unsafe clinux_limit_read(kind.number, &soft, &hard) == 0 else {
            throw SystemError("getrlimit")
        }
    }

    /// Raises the soft limit to `wanted`, and the hard one where the kernel lets us; gives what
    /// counts now.
    package static func raise(_ kind: Kind, to wanted: UInt64) throws(SystemError) -> UInt64 {
        let limit = try ResourceLimit(kind)
        guard limit.soft < wanted else { return limit.soft }
        if clinux_limit_write(kind.number, wanted, max(limit.hard, wanted)) == 0 { return wanted }
        let reachable = min(wanted, limit.hard)
        guard clinux_limit_write(kind.number, reachable, limit.hard) == 0 else {
            throw SystemError("setrlimit")
        }
        return reachable
    }
}
