internal import Board
internal import Linux

/// Workers of the built-in demo app: this program in the role `worker`.
final class DemoServer: AppServer {
    private unowned let pool: Pool

    init(_ pool: Pool) { self.pool = pool }

    let deadline: UInt64? = nil

    func prepare() { pool.prepared(nil) }
    func renew() { pool.prepared(nil) }
    func close() {}
    func tick(now: UInt64) {}

    func makeAddress(_ key: WorkerKey) throws(SystemError) -> WorkerAddress {
        try pool.bindSocket(key, kind: .ours)
    }

    func launch(_ worker: Worker) throws(SystemError) {
        let control = try ChannelEnds()
        let output = try OutputEnds()
        guard let listener = worker.listener else { throw SystemError("listen", number: 9) }
        var role = RoleLaunch(role: "worker", environment: MasterSite.environment)
        role.run(as: pool.plan.account)
        role.set("service", pool.name)
        role.set("worker", worker.key.slot)
        role.set("incarnation", worker.key.incarnation)
        role.set("concurrency", min(pool.plan.capacity, placesMax))
        role.set("busy_offset", BusyBytes.offset(worker: worker.room))
        role.give(control.theirs.number, as: "control")
        role.give(listener.number, as: "listener")
        role.give(pool.busyFile.number, as: "busy")
        role.output = output.theirs.number
        let process = ProcessHold(try role.start())
        worker.process = process
        worker.listener = nil
        try pool.attach(worker, control: control.ours, output: output.ours)
        let pool = pool
        pool.site.children.register(process.pid) { [unowned pool] end in pool.exited(worker, end) }
        pool.started(worker, pid: process.pid)
    }

    func drain(_ worker: Worker) { pool.tellToDrain(worker) }
    func kill(_ worker: Worker) { worker.process?.send(SignalNumber.kill) }
}

extension Pool {
    /// Listens to a worker of ours: its channel and what it prints.
    ///
    /// - Parameter identified: called when the worker names its process before anybody else has.
    func attach(
        _ worker: Worker, control: OpenFile, output: OpenFile,
        identified: @escaping (Int32) -> Void = { _ in }
    ) throws(SystemError) {
        worker.channel = try Channel(
            control, on: site.loop,
            received: { [unowned self, unowned worker] message in
                if worker.pid == 0, let pid = message["pid"]?.whole.flatMap({ Int32(exactly: $0) })
                {
                    identified(pid)
                }
                self.hear(message, from: worker)
            })
        worker.output = try OutputReader(output, on: site.loop) {
            [unowned self, unowned worker] text in
            self.site.log.output(of: "\(self.name)/\(worker.key.slot)", text)
        }
    }

    private func hear(_ message: JSONValue, from worker: Worker) {
        switch message["event"]?.text {
        case "ready": ready(worker)
        case "cost":
            cost(
                worker, busySeconds: message["busy_seconds"]?.double ?? 0,
                residentBytes: message["rss_bytes"]?.whole ?? 0)
        default: break
        }
    }

    /// Has a worker finish what it has in hand; one that does not listen is ended.
    func tellToDrain(_ worker: Worker) {
        guard worker.channel?.send(["command": "drain"]) != true else { return }
        worker.process?.send(SignalNumber.term)
    }
}
