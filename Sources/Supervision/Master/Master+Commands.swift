internal import Board
internal import Linux
internal import Memory
internal import Routing
internal import Signals

/// What comes in by the control socket.
extension Master {
    func obey(_ command: JSONValue, _ client: AdminSocket.Client) {
        switch command["command"]?.text {
        case "status":
            plugins.status { [unowned self] plugins in client.succeed(status(plugins)) }
        case "reload":
            let rolls = command["apps"]?.boolean ?? false
            reload(ReloadRequest(rollsApps: rolls, client: client))
        case "stop": stop(client)
        case let other:
            client.fail(MasterFailure(.usage, "there is no command \(other ?? "")"))
        }
    }

    /// The whole answer to `status`, from shared memory and what the master itself knows.
    private func status(_ plugins: JSONValue) -> JSONValue {
        let board = site.memory.board
        let listeners = listeners.listeners.enumerated().map { number, listener -> JSONValue in
            let count = usedSlots.reduce(0) { $0 + board.block($1).connections(listener: number) }
            return ["url": .string(listener.url), "connections": .whole(count)]
        }
        let edges = edges.status().map { edge, pid, restarts -> JSONValue in
            let block = board.block(edge.slot)
            return [
                "edge": .whole(edge.index), "pid": .whole(pid),
                "generation": .whole(edge.generation), "state": .string(edge.phase.word),
                "connections": .whole(block[.connections]), "requests": .whole(block[.requests]),
                "restarts": .whole(restarts),
            ]
        }
        let services = services.units.map { unit in
            JSONValue.Member(name: unit.name, value: status(unit))
        }
        return [
            "version": .string(manner.version), "pid": .whole(ProcessTraits.pid),
            "generation": .whole(generation), "started": .string(startedText),
            "listeners": .array(listeners), "edges": .array(edges),
            "services": .object(services), "plugins": plugins,
        ]
    }

    /// Edge slots that somebody has or had: the others need not be read.
    private var usedSlots: [Int] { edges.status().map(\.edge.slot) }

    private func status(_ unit: ServiceUnit) -> JSONValue {
        let table = site.memory.table
        let rows = (0..<table.endpointHighWater).filter { index in
            let slot = table.endpoint(index)
            let state = slot.status.state
            return slot.service == unit.index && state != .free && state != .retired
        }
        let endpoints = rows.sorted { table.endpoint($0).number < table.endpoint($1).number }.map {
            index -> JSONValue in
            let slot = table.endpoint(index)
            let status = slot.status
            let isWorker = !status.kind.contains(.upstream)
            // Passive health is the edges' own word, beside the state.
            let isPaused = status.isReady && slot.pausedUntil.loadRelaxed() != 0
            return [
                "name": .string(table.name(ofEndpoint: index)),
                "worker": isWorker ? .whole(slot.number) : .null,
                "pid": slot.pid == 0 ? .null : .whole(slot.pid),
                "address": .optional(slot.address.map { Table.text(of: $0) }),
                "state": .string(isPaused ? "down" : "\(status.state)"), "capacity": .whole(status.capacity),
                "in_flight": .whole(table.inFlight(index, capacity: status.capacity)),
                "requests": .whole(table.requests(index)), "restarts": .whole(slot.restarts),
            ]
        }
        return [
            "kind": .string(unit.options.kind.rawValue),
            "balance": .string(unit.options.balance.rawValue),
            "queue": [
                "waiting": .whole(table.waiting(unit.index)),
                "length": .whole(unit.options.queue.length),
            ],
            "endpoints": .array(endpoints),
        ]
    }

    private var startedText: String {
        var line = EventLine()
        line.begin(.info, "started", wall: startedWall)
        line.end()
        let text = String(decoding: line.copied, as: UTF8.self)
        return JSONValue(parsing: Array(text.dropLast().utf8))?["time"]?.text ?? ""
    }
}

extension EventLine {
    fileprivate var copied: [UInt8] {
        var copy: [UInt8] = []
        for index in bytes.indices { copy.append(bytes[index]) }
        return copy
    }
}

extension EdgeFleet.Phase {
    /// The words that endpoints have too.
    fileprivate var word: String {
        switch self {
        case .starting: "starting"
        case .accepting: "ready"
        case .draining, .stopping: "draining"
        }
    }
}
