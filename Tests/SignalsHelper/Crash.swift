import Board
import CFork
import CLinux
import Memory
import Signals

#if CRASH_STEPS
    /// An edge raises the signals of three requests and is killed in front of every change it makes
    /// to shared memory; the master then raises what is missing. Every request that had started has
    /// finished and is torn down, once.
    func crashScenario(isBroken: Bool) {
        var steps = 0
        var violations: [String] = []
        // More steps than the operation has; a bound, so that nothing loops for ever.
        while steps < 5000, violations.count < 20 {
            let stage = CrashStage()
            var reader = stage.rings.reader(of: stage.edge.slot)
            let isWhole = inChild {
                CrashSteps.arm(after: steps)
                stage.serve()
            }
            stage.recover(isBroken: isBroken)
            for problem in check(stage.events(&reader), isWhole: isWhole) {
                violations.append("step \(steps): \(problem)")
            }
            if isWhole { break }
            steps += 1
        }
        print("steps \(steps)")
        for violation in violations { print(violation) }
    }

    /// Forks, runs `body` in the child and waits; false when it was killed. The helper has one
    /// thread.
    private func inChild(_ body: () -> Void) -> Bool {
        let pid = cfork_fork()
        precondition(pid >= 0)
        if pid == 0 {
            body()
            _exit(0)
        }
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0 { precondition(clinux_errno() == EINTR) }
        precondition(status == 0 || status & 0x7F == SIGKILL)
        return status == 0
    }

    private func check(_ events: [String], isWhole: Bool) -> [String] {
        var problems: [String] = []
        for id in ["1", "2", "3"] {
            let own = events.filter { $0.hasSuffix(id) }.map { $0.dropLast(2) }
            let withoutException = own.filter { $0 != "request_exception" }
            let isRight =
                withoutException == ["request_started", "request_finished", "request_tearing_down"]
                && (own.count == 3 || own[1] == "request_exception")
            if !isRight, isWhole || !own.isEmpty { problems.append("request \(id): \(own)") }
        }
        return problems
    }

    /// A table and rings with one edge.
    private struct CrashStage {
        let table: Table
        let rings: SignalRings
        let edge: EdgeIdentity

        init() {
            do {
                let layout = TableLayout(
                    services: 2, endpoints: 4, edgeSlots: 2, requestsPerEdge: 8)
                let made = try Table.create(layout)
                close(made.descriptor)
                table = made.table
                let rings = try SignalRings.create(edgeSlots: 2, records: 32)
                close(rings.descriptor)
                self.rings = rings.rings
                self.rings.setListened(SignalSet.all.rawValue)
                edge = try table.openEdge(number: 0, configuration: 1)
            } catch { preconditionFailure("\(error)") }
        }

        /// What the edge does: two requests that overlap, one of them with an exception, and a
        /// third.
        func serve() {
            var ledger = RequestLedger(table, edge: edge)
            var writer = SignalWriter(rings, ring: edge.slot)
            let none = "".utf8.span
            let text = RequestText(head: none, service: "web".utf8.span, endpoint: none, sni: none)
            var entries: [Int] = []
            for number in 1...3 as ClosedRange<UInt64> {
                if number == 3, let first = entries.first { finish(1, first, &writer, &ledger) }
                let entry = writer.start(facts(number), text, service: 0, now: 5, in: &ledger)
                guard let entry else { preconditionFailure("the ledger is full") }
                entries.append(entry)
            }
            let exception = ExceptionFacts(
                id: facts(2).id, origin: .worker, failure: .connectionTerminated, worker: 1, pid: 9)
            writer.requestException(
                exception,
                ExceptionText(
                    service: none, endpoint: none, type: none, message: none, traceback: none),
                wall: 7)
            finish(2, entries[1], &writer, &ledger)
            finish(3, entries[2], &writer, &ledger)
        }

        private func finish(
            _ number: UInt64, _ entry: Int, _ writer: inout SignalWriter,
            _ ledger: inout RequestLedger
        ) {
            let none = "".utf8.span
            writer.finish(
                entry, facts(number), RequestResult(),
                RequestText(head: none, service: "web".utf8.span, endpoint: none, sni: none),
                wall: 8, in: &ledger)
        }

        private func facts(_ number: UInt64) -> RequestFacts {
            RequestFacts(
                id: RequestID(high: 1, low: number), wall: 6, remote: .none, remotePort: 0,
                scheme: .http, version: .http11, tls: .none, connection: 1, connectionRequests: 1)
        }

        /// What the master does. A broken one raises nothing.
        func recover(isBroken: Bool) {
            var writer = SignalWriter(rings, ring: edge.slot)
            let recovery = table.recover(edge, ringHead: rings.head(of: edge.slot))
            if isBroken { return }
            writer.raiseMissing(recovery.requests, wall: 9, now: 10) { _ in
                RequestNames(service: Array("web".utf8), endpoint: [])
            }
        }

        /// `EVENT ID` of each record, the id's last character.
        func events(_ reader: inout RingReader) -> [String] {
            var line = SignalLine()
            var record = [UInt8](repeating: 0, count: SignalRings.payloadMax)
            var events: [String] = []
            for _ in 0..<100 {
                var target = record.mutableSpan
                guard case .record(let count, _) = reader.next(into: &target) else { return events }
                var scratch = ByteScratch(capacity: SignalLine.bytesMax)
                let parts = line.write(
                    record.span.extracting(0..<count), to: &scratch.writer)
                guard let parts else { return events + ["a torn record"] }
                let text = String(decoding: Array(scratch.bytes), as: UTF8.self)
                let id = text.split(separator: "\"id\":\"")[1].prefix(26)
                events.append("\(parts.signal.name) \(id.suffix(1))")
            }
            return events
        }
    }

    extension [UInt8] {
        fileprivate init(_ span: Span<UInt8>) {
            self.init()
            for index in span.indices { append(span[index]) }
        }
    }
#else
    func crashScenario(isBroken: Bool) { fatalError("only in debug builds") }
#endif
