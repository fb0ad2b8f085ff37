import CLinux

/// One end of a pair of sockets that carries whole packets, with descriptors.
///
/// Non-blocking and close-on-exec. When the last copy of the other end closes, this end reads
/// `.closed`: that is how a child learns that its parent has died, and how a parent learns that a
/// child is done talking.
package struct MessageSocket: ~Copyable, Sendable {
    /// Largest packet in bytes, so that one can be received whole (workers and zygotes keep to it
    /// too).
    package static let packetBytesMax = 64 << 10
    /// Most descriptors in one packet.
    package static let descriptorsMax = Int(CLINUX_MESSAGE_DESCRIPTORS)

    package let descriptor: Descriptor
    package var number: Int32 { descriptor.number }

    package init(owning descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Two ends that are connected to each other.
    package struct Pair: ~Copyable {
        package let one: MessageSocket
        package let other: MessageSocket

        package init() throws(SystemError) {
            var numbers: [Int32] = [-1, -1]
            guard unsafe clinux_socketpair_packets(&numbers) == 0 else {
                throw SystemError("socketpair")
            }
            one = MessageSocket(owning: Descriptor(owning: numbers[0]))
            other = MessageSocket(owning: Descriptor(owning: numbers[1]))
        }

        /// Gives both ends away; the caller closes them, or hands them on.
        package consuming func release() -> (one: Int32, other: Int32) {
            (one.descriptor.release(), other.descriptor.release())
        }
    }

    /// What came of sending.
    package enum Sent: Equatable, Sendable { case sent, full, closed }

    /// Sends one packet; descriptors are copied, the caller keeps its own.
    ///
    /// `.full`: the other end does not read; nothing was sent. Throws `EMSGSIZE` for more than
    /// `packetBytesMax`.
    package func send(_ bytes: [UInt8], descriptors: [Int32] = []) throws(SystemError) -> Sent {
        precondition(!bytes.isEmpty)
        guard bytes.count <= Self.packetBytesMax else {
            throw SystemError("sendmsg", number: EMSGSIZE)
        }
        let result = unsafe clinux_send_message(
            number, bytes, bytes.count, descriptors, descriptors.count)
        if result >= 0 { return .sent }
        switch clinux_errno() {
        case EAGAIN, ENOBUFS: return .full
        case EPIPE, ECONNRESET, ENOTCONN: return .closed
        default: throw SystemError("sendmsg")
        }
    }

    /// What came of receiving.
    package enum Received: ~Copyable {
        case packet([UInt8], Descriptors)
        case nothing
        case closed
    }

    /// Takes the oldest packet. A packet or a set of descriptors too large for us is `EMSGSIZE`,
    /// and is gone.
    package func receive() throws(SystemError) -> Received {
        var bytes = [UInt8](repeating: 0, count: Self.packetBytesMax)
        var numbers = [Int32](repeating: -1, count: Self.descriptorsMax)
        var count = Self.descriptorsMax
        var isTruncated: Int32 = 0
        let room = bytes.count
        let got = unsafe clinux_receive_message(
            number, &bytes, room, &numbers, &count, &isTruncated)
        guard got >= 0 else {
            switch clinux_errno() {
            case EAGAIN, EINTR: return .nothing
            case ECONNRESET: return .closed
            default: throw SystemError("recvmsg")
            }
        }
        let descriptors = Descriptors(owning: Array(numbers[..<count]))
        guard isTruncated == 0 else { throw SystemError("recvmsg", number: EMSGSIZE) }
        if got == 0 { return .closed }
        return .packet(Array(bytes[..<got]), descriptors)
    }

    /// Descriptors that came with a packet; those not taken are closed.
    package struct Descriptors: ~Copyable, Sendable {
        private var numbers: [Int32]

        fileprivate init(owning numbers: [Int32]) { self.numbers = numbers }

        deinit { for number in numbers { close(number) } }

        package var count: Int { numbers.count }

        /// Takes the first one that is left; nil when there is none.
        package mutating func next() -> Descriptor? {
            numbers.isEmpty ? nil : Descriptor(owning: numbers.removeFirst())
        }
    }

    /// Waits until something can be received or the other end is closed, or the time is over: then
    /// false.
    package func waitReadable(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) > 0
    }
}
