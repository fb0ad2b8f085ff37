internal import Board
internal import Linux

/// How workers of one kind come to be. One conformer a kind; `makeAppServer` is the list.
///
/// Everything is asynchronous: a server answers by calling the pool that owns it.
protocol AppServer: AnyObject {
    /// Gets ready to start workers, then calls `prepared` or `preparationFailed` of the pool.
    func prepare()
    /// Makes the socket a worker is going to listen on, or only its address.
    func makeAddress(_ key: WorkerKey) throws(SystemError) -> WorkerAddress
    /// Starts a worker's process; it says `ready` later.
    func launch(_ worker: Worker) throws(SystemError)
    /// Has a worker finish what it has in hand and end.
    func drain(_ worker: Worker)
    /// Ends a worker now.
    func kill(_ worker: Worker)
    /// Loads the code anew, then calls `prepared` (again) or `preparationFailed` of the pool.
    func renew()
    /// Nobody is left: lets go of everything.
    func close()
    /// When `tick` has something to do; nil: not before another event.
    var deadline: UInt64? { get }
    func tick(now: UInt64)
}

/// Where a worker is reached.
struct WorkerAddress {
    var endpoint: EndpointAddress
    /// What edges may rely on.
    var kind: EndpointKind
    /// The socket it is given, when we make it.
    var listener: OpenFile?
    /// The socket's file, removed when the worker has ended.
    var path: String?
    /// The TCP port of a program that takes one.
    var port: UInt16?
}

/// The app-server kinds there are.
func makeAppServer(_ pool: Pool) -> any AppServer {
    switch pool.plan.program {
    case .demo: DemoServer(pool)
    case .app(let app): PythonServer(pool, app: app)
    case .command(let words): CommandServer(pool, words: words)
    }
}

/// One incarnation of a worker as the master holds it.
final class Worker {
    let key: WorkerKey
    let address: WorkerAddress
    /// Its part of the busy bytes.
    let room: Int
    /// Requests that the lives before it in its slot were given.
    let requestsBefore: UInt64
    /// When it was launched, monotonic nanoseconds.
    let startedAt: UInt64
    /// 0 until its process is known.
    var pid: Int32 = 0
    var process: ProcessHold?
    var channel: Channel?
    var output: OutputReader?
    /// The socket, until the process that listens on it has its own copy.
    var listener: OpenFile?

    init(
        key: WorkerKey, address: WorkerAddress, room: Int, requestsBefore: UInt64,
        startedAt: UInt64
    ) {
        self.key = key
        // Not one copy more than `listener`, which is let go: a dead worker's socket has to refuse.
        var place = address
        place.listener = nil
        self.address = place
        self.room = room
        self.requestsBefore = requestsBefore
        self.startedAt = startedAt
        listener = address.listener
    }
}

/// A process that can be signalled without hitting a stranger.
final class ProcessHold {
    private let process: ChildProcess
    var pid: Int32 { process.pid }
    /// Readable once the process has ended.
    var number: Int32 { process.descriptor.number }

    init(_ process: consuming ChildProcess) { self.process = process }

    func send(_ signal: Int32) { process.send(signal) }
    func sendToGroup(_ signal: Int32) { process.sendToGroup(signal) }

    /// Kills and reaps one that nobody else waits for.
    func end() {
        process.send(SignalNumber.kill)
        _ = try? process.waitForExit()
    }
}

/// Signal numbers of Linux, the same on every processor this runs on (signal(7)).
enum SignalNumber {
    static let hup: Int32 = 1
    static let int: Int32 = 2
    static let quit: Int32 = 3
    static let kill: Int32 = 9
    static let usr1: Int32 = 10
    static let usr2: Int32 = 12
    static let pipe: Int32 = 13
    static let term: Int32 = 15
    static let child: Int32 = 17
    static let fileSize: Int32 = 25
}
