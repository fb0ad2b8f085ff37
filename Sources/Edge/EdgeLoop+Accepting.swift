import Board
import Linux
import Memory
import Signals

/// New connections, and when none are taken.
extension EdgeLoop where World: ~Copyable {
    /// Takes connections off a listener's queue: a share of a turn, within the limits.
    mutating func accept(_ listener: Int, atMost count: Int = EdgeLimits.acceptsPerTurn) {
        for _ in 0..<count {
            guard !clients.isFull else {
                if isAccepting { limitReportsAt = min(limitReportsAt, pauseReport.note()) }
                return pauseAccepting(until: TimerWheel.never)
            }
            switch network.accept(listener: listener) {
            case .accepted(let stream, let address): welcome(stream, from: address, at: listener)
            case .wouldBlock: return
            case .exhausted:
                reportExhausted()
                return pauseAccepting(until: now + EdgeLimits.exhaustedPauseNanoseconds)
            }
        }
    }

    private mutating func welcome(_ stream: Int32, from address: InternetAddress, at listener: Int)
    {
        let limit = settings.options.limits.connectionsPerAddress
        guard addresses.add(high: address.high, low: address.low, limit: limit) else {
            counters.add(.connectionsRefused)
            limitReportsAt = min(limitReportsAt, addressReport.note())
            return network.close(stream, isBroken: true)
        }
        connectionNumber += 1
        let isSecure = settings.listeners[listener].isSecure
        let slot = clients.insert(
            ClientConnection(
                stream: stream, listener: UInt16(listener),
                phase: isSecure ? .handshaking : .reading, flags: isSecure ? .isSecure : [],
                address: address, number: connectionNumber, openedAt: now))
        connectionOpened(slot)
        guard network.watch(stream, token: token(client: slot), writable: false) else {
            note(.limit, slot)
            return closeClient(slot)
        }
        let timeouts = settings.options.timeouts
        timers.set(slot, to: now + (isSecure ? timeouts.handshake : timeouts.idle))
    }

    /// Stops to accept: the queue stays in the kernel.
    private mutating func pauseAccepting(until deadline: UInt64) {
        acceptingResumesAt = deadline
        guard isAccepting else { return }
        isAccepting = false
        setListening(false)
    }

    /// Accepts again, if it was full that stopped it: a connection has been closed.
    mutating func resumeAccepting() {
        guard !isAccepting, !isDraining, acceptingResumesAt == TimerWheel.never else { return }
        isAccepting = true
        setListening(true)
    }

    /// Accepts again after a pause that has passed.
    mutating func resumeAcceptingIfDue() {
        guard acceptingResumesAt <= now else { return }
        acceptingResumesAt = TimerWheel.never
        guard !isAccepting, !isDraining else { return }
        isAccepting = true
        setListening(true)
    }

    mutating func setListening(_ isOn: Bool) {
        for listener in 0..<settings.listeners.count {
            network.listen(
                listener: listener, token: Token(.listener, listener).bits, isOn: isOn)
        }
    }
}
