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
            let apps = command["apps"] ?? .bool(false)
            guard let rolls = apps.boolean else {
                return client.fail(MasterFailure(.usage, "apps: takes true or false"))
            }
            reload(rolls ? ReloadRequest(rollers: [client]) : ReloadRequest(clients: [client]))
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
                "restarts": .whole(restarts), "refused": .whole(block[.connectionsRefused]),
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
        let slots = (0..<table.endpointHighWater).map { table.endpoint($0) }.filter { slot in
            let state = slot.status.state
            return slot.service == unit.index && state != .free && state != .retired
        }
        // By number; of two lives of one worker the older one, which drains, comes last.
        let ordered = slots.sorted { one, other in
            (one.number, one.status.state == .draining ? 1 : 0, one.index)
                < (other.number, other.status.state == .draining ? 1 : 0, other.index)
        }
        return [
            "kind": .string(unit.options.kind.rawValue),
            "balance": .string(unit.options.balance.rawValue),
            "queue": [
                "waiting": .whole(table.waiting(unit.index)),
                "length": .whole(unit.options.queue.length),
            ],
            "endpoints": .array(ordered.map(status)),
        ]
    }

    private func status(_ slot: EndpointSlot) -> JSONValue {
        let table = site.memory.table
        let status = slot.status
        // Taken out by passive health is down, for as long as it lasts.
        let isPaused = slot.pausedUntil.loadRelaxed() > Clock.monotonic
        let state = status.state == .ready && isPaused ? EndpointState.down : status.state
        return [
            "name": .string(table.name(ofEndpoint: slot.index)),
            "worker": status.kind.contains(.upstream) ? .null : .whole(slot.number),
            "pid": slot.pid == 0 ? .null : .whole(slot.pid),
            "address": .optional(slot.address.map { Table.text(of: $0) }),
            "state": .string("\(state)"), "capacity": .whole(status.capacity),
            "in_flight": .whole(table.inFlight(slot.index, capacity: status.capacity)),
            "requests": .whole(table.requests(slot.index)), "restarts": .whole(slot.restarts),
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
        case .starting, .prepared: "starting"
        case .accepting: "ready"
        case .draining, .stopping: "draining"
        }
    }
}
