import Board
import Memory

/// A request of this edge that waits for a place.
struct Waiter {
    /// What the edge knows it by.
    var token: UInt64
    var since: UInt64
    var deadline: UInt64
    var keyHash: UInt64
    var tried: TriedEndpoints
    /// Neighbours in the line, `WaitLine.nobody` at its ends.
    var before: UInt32
    var behind: UInt32
    /// The line's position.
    var line: UInt16
}

/// What is to be tried for a line.
enum Errand: Equatable {
    case nothing
    /// See whether there is room, if this edge's oldest waiter is the oldest of all.
    case look
    /// This endpoint has one place for this edge's oldest waiter.
    case place(at: Int)
    /// There may be room anywhere for this edge's oldest waiter, and then for others.
    case room

    /// What is left to do when one more is to be done.
    func joined(with other: Errand) -> Errand {
        switch (self, other) {
        case (.nothing, _): other
        case (_, .nothing): self
        case (.look, _): other
        case (_, .look): self
        default: .room
        }
    }
}

/// The waiters of one service at this edge, in order.
struct WaitLine {
    var head = nobody
    var tail = nobody
    var count = 0
    var errand = Errand.nothing
    /// True while the line stands in the list of those with errands.
    var isCalled = false

    static let nobody = UInt32.max
}

/// The waiters of one edge, for all its services: bounded, in order, published on the board;
/// nothing is allocated after `init`.
struct WaitQueue: ~Copyable {
    private let place = Immobile()
    private let table: Table
    private let edge: EdgeIdentity
    private let waiters: SlotTable<Waiter>
    private let services: [Int]
    private(set) var lines: [WaitLine]
    /// Positions of lines that have waiters.
    private(set) var waitingLines: [UInt16] = []
    /// Positions of lines with errands.
    private var called: [UInt16] = []

    /// - Parameters:
    ///   - services: each line's service in the table.
    ///   - capacity: waiters of all lines together.
    init(table: Table, edge: EdgeIdentity, services: [Int], capacity: Int) {
        self.table = table
        self.edge = edge
        self.services = services
        waiters = SlotTable(capacity: capacity)
        lines = Array(repeating: WaitLine(), count: services.count)
        waitingLines.reserveCapacity(services.count)
        called.reserveCapacity(services.count)
    }

    /// Puts a waiter into a line, in order of time: at its end, but for one that is put back. Nil if
    /// the queue of all edges, or this edge's memory, is full.
    mutating func insert(
        into line: Int, token: UInt64, since: UInt64, deadline: UInt64, keyHash: UInt64,
        tried: TriedEndpoints
    ) -> Int? {
        guard !waiters.isFull else { return nil }
        // A time of 0 says that nobody waits.
        let since = max(since, 1)
        let behind = firstYounger(than: since, in: line)
        let isFirst = behind == lines[line].head
        let before = behind == WaitLine.nobody ? lines[line].tail : waiters[Int(behind)].before
        let oldest = isFirst ? since : waiters[Int(lines[line].head)].since
        guard
            table.enterQueue(
                service: services[line], edge: edge, count: lines[line].count + 1, oldest: oldest)
        else { return nil }
        let index = waiters.insert(
            Waiter(
                token: token, since: since, deadline: deadline, keyHash: keyHash, tried: tried,
                before: before, behind: behind, line: UInt16(line)))
        if lines[line].count == 0 { waitingLines.append(UInt16(line)) }
        if before == WaitLine.nobody {
            lines[line].head = UInt32(index)
        } else {
            waiters[Int(before)].behind = UInt32(index)
        }
        if behind == WaitLine.nobody {
            lines[line].tail = UInt32(index)
        } else {
            waiters[Int(behind)].before = UInt32(index)
        }
        lines[line].count += 1
        return index
    }

    /// The first of a line who came after a moment, `nobody` if none did.
    private func firstYounger(than since: UInt64, in line: Int) -> UInt32 {
        let tail = lines[line].tail
        if tail == WaitLine.nobody || waiters[Int(tail)].since <= since { return WaitLine.nobody }
        var next = lines[line].head
        while waiters[Int(next)].since <= since { next = waiters[Int(next)].behind }
        return next
    }

    /// Takes a waiter out, and publishes who is the oldest now.
    mutating func remove(_ index: Int) -> Waiter {
        let waiter = waiters.remove(at: index)
        let line = Int(waiter.line)
        if waiter.before == WaitLine.nobody {
            lines[line].head = waiter.behind
        } else {
            waiters[Int(waiter.before)].behind = waiter.behind
        }
        if waiter.behind == WaitLine.nobody {
            lines[line].tail = waiter.before
        } else {
            waiters[Int(waiter.behind)].before = waiter.before
        }
        lines[line].count -= 1
        if lines[line].count == 0, let place = waitingLines.firstIndex(of: waiter.line) {
            waitingLines.swapAt(place, waitingLines.count - 1)
            waitingLines.removeLast()
        }
        table.leaveQueue(
            service: services[line], edge: edge, count: lines[line].count,
            oldest: oldest(of: line) ?? 0)
        return waiter
    }

    /// The first of a line, if there is one.
    func first(of line: Int) -> Int? { index(lines[line].head) }

    /// Who stands behind a waiter.
    func next(after waiter: Int) -> Int? { index(waiters[waiter].behind) }

    subscript(waiter: Int) -> Waiter { waiters[waiter] }

    /// Since when the first of a line waits.
    func oldest(of line: Int) -> UInt64? { first(of: line).map { waiters[$0].since } }

    private func index(_ link: UInt32) -> Int? { link == WaitLine.nobody ? nil : Int(link) }

    /// Adds to what is to be tried for a line.
    mutating func call(_ line: Int, _ errand: Errand) {
        lines[line].errand = lines[line].errand.joined(with: errand)
        if !lines[line].isCalled {
            lines[line].isCalled = true
            called.append(UInt16(line))
        }
    }

    /// A line with an errand, which stays until `finishErrand`.
    var nextCalled: Int? { called.last.map { Int($0) } }

    /// Changes a line's errand; `nothing` takes it off the list.
    mutating func setErrand(_ errand: Errand, of line: Int) {
        lines[line].errand = errand
        guard errand == .nothing, lines[line].isCalled else { return }
        lines[line].isCalled = false
        if let place = called.lastIndex(of: UInt16(line)) {
            called.swapAt(place, called.count - 1)
            called.removeLast()
        }
    }
}
