import CLinux

/// A system call that failed: which one, and the kernel's error number.
public struct SystemError: Error, Equatable, Sendable {
    /// The call's name as in section 2 of the manual.
    public let call: StaticString
    /// `errno` as the call left it.
    public let number: Int32

    /// Takes `errno` as it stands; to be made right after the call.
    public init(_ call: StaticString) {
        self.init(call, number: clinux_errno())
    }

    public init(_ call: StaticString, number: Int32) {
        self.call = call
        self.number = number
    }

    public static func == (one: SystemError, other: SystemError) -> Bool {
        one.number == other.number && one.call.description == other.call.description
    }
}

extension SystemError: CustomStringConvertible {
    /// For people: `bind: Address already in use`.
    public var description: String {
        if number == SystemError.irregular {
            return "\(call): it is a pipe or a device, and a reload can read only files again"
        }
        var text = [CChar](repeating: 0, count: 256)
        let size = text.count
        let message = unsafe text.withUnsafeMutableBufferPointer {
            unsafe String(cString: strerror_r(number, $0.baseAddress!, size))
        }
        return "\(call): \(message)"
    }
}

extension SystemError {
    /// Kernel error numbers that rooms without C headers have to tell apart.
    public static let timedOut: Int32 = ETIMEDOUT
    /// Not the kernel's: what was to be read is no regular file.
    public static let irregular: Int32 = -1
    public static let connectionReset: Int32 = ECONNRESET
}
