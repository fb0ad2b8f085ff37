import CLinux

/// A message to whoever started this process and asked to hear when it is ready (systemd's
/// `sd_notify`).
package enum ServiceNotification {
    /// Sends `READY=1` and the like to `$NOTIFY_SOCKET`; false when nobody asked.
    ///
    /// A name that begins with `@` is in the abstract name space.
    @discardableResult
    package static func send(
        _ message: String, to path: String? = ProcessTraits.variable("NOTIFY_SOCKET")
    ) throws(SystemError) -> Bool {
        guard let path, path.hasPrefix("/") || path.hasPrefix("@") else { return false }
        let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw SystemError("socket") }
        let sender = Descriptor(owning: number)
        let address = try SocketAddress.unix(path: path)
        let bytes = Array(message.utf8)
        let sent = unsafe address.withRaw { target, size in
            unsafe clinux_address_send(sender.number, bytes, bytes.count, target, size)
        }
        guard sent == bytes.count else { throw SystemError("sendto") }
        return true
    }
}
