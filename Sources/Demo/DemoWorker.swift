public import Linux
public import Memory

/// Which worker of which service this process is.
public struct DemoWorker: Sendable {
    public var service: String
    /// The worker's slot, as in `demo/3`.
    public var slot: Int
    /// Requests it works on at once; the others wait, first come, first served.
    public var concurrency: Int
    /// Where its busy bytes begin in the busy file.
    public var busyOffset: Int

    public init(service: String, slot: Int, concurrency: Int = 1, busyOffset: Int) {
        precondition(concurrency > 0 && concurrency <= 64)
        self.service = service
        self.slot = slot
        self.concurrency = concurrency
        self.busyOffset = busyOffset
    }
}

/// Serves the demo app until the master says drain, sends TERM, or is gone.
///
/// - Parameters:
///   - listener: the worker's own listening Unix socket, non-blocking.
///   - control: the worker's end of its control channel (packets of JSON).
///   - busy: the service's busy bytes.
/// - Returns: the code to exit with.
public func runDemoWorker(
    _ worker: DemoWorker, listener: consuming Descriptor, control: consuming Descriptor,
    busy: SharedRegion
) throws(SystemError) -> Int32 {
    for signal in DemoSignal.ignored { SignalQueue.ignore(signal) }
    let signals = try SignalQueue([DemoSignal.terminate])
    let loop = try DemoLoop(
        worker, listener: listener, control: MessageSocket(owning: control), busy: busy)
    try loop.watch(signals.descriptor.number)
    while true {
        try loop.turn()
        if signals.next() != nil { loop.drain() }
        switch loop.ending {
        case nil: continue
        case .exit(let code): return code
        case .kill:
            try ChildProcess(pid: ProcessTraits.pid).send(DemoSignal.kill)
            return 1
        }
    }
}

/// Signal numbers of Linux on every machine we build for.
private enum DemoSignal {
    static let kill: Int32 = 9
    static let terminate: Int32 = 15
    /// HUP and INT are for the master; a peer that is gone is a result of the write.
    static let ignored: [Int32] = [1, 2, 13]
}
