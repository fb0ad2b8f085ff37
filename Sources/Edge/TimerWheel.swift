import Memory

/// A thing's deadline and its place on the wheel; all zero is a thing without a deadline.
struct TimerNode: BitwiseCopyable {
    /// Nanoseconds before `TimerWheel.never`.
    var remainder: UInt64
    /// The tick this node waits for on the wheel; 0 while it is on none.
    var tick: UInt64
    /// Neighbours in the slot's list, plus one; 0 for none.
    var previous: UInt32
    var next: UInt32
    var slot: UInt32

    var deadline: UInt64 {
        get { TimerWheel.never - remainder }
        set { remainder = TimerWheel.never - newValue }
    }
}

/// Deadlines of many things at once: hashed hierarchical timing wheels (Varghese and Lauck, 1987).
///
/// A thing is a number below `capacity`; it has one deadline. Moving a deadline later costs one
/// store: the thing stays where it is on the wheel and is put back when its old place comes round.
/// So a keep-alive request, which only ever moves deadlines later, touches no list.
struct TimerWheel: ~Copyable {
    /// Nanoseconds of one tick of the innermost wheel. No deadline fires early; it fires at most
    /// two ticks late.
    static let tick: UInt64 = 4_000_000
    /// Slots of one wheel, as a power of two.
    static let slotBits: UInt64 = 6
    /// Wheels: 64 slots each, so that the outermost comes round after 64^5 ticks (49 days).
    static let wheels = 5
    /// No deadline.
    static let never = UInt64.max

    /// The end of a list; a thing in one is its number plus one.
    private static let none: UInt32 = 0
    private let nodes: FixedArray<TimerNode>
    private let heads: FixedArray<UInt32>
    private var current: UInt64
    /// Bit n is set while slot n of the innermost wheel holds a node.
    private var occupied: UInt64 = 0
    /// Nodes on the wheel.
    private(set) var count = 0

    /// - Parameters:
    ///   - capacity: how many things there can be.
    ///   - now: nanoseconds of the monotonic clock.
    init(capacity: Int, now: UInt64) {
        nodes = FixedArray(zeroed: capacity)
        heads = FixedArray(zeroed: Self.wheels << Int(Self.slotBits))
        current = now / Self.tick
    }

    /// Sets the deadline of a thing, `never` to have none.
    mutating func set(_ thing: Int, to deadline: UInt64) {
        nodes[thing].deadline = deadline
        if deadline == Self.never { return }
        let tick = Self.tick(of: deadline)
        if nodes[thing].tick == 0 {
            insert(thing, at: tick)
        } else if tick < nodes[thing].tick {
            unlink(thing)
            insert(thing, at: tick)
        }
    }

    /// Takes a thing off the wheel: it ends, and its number will be another's.
    mutating func clear(_ thing: Int) {
        nodes[thing].deadline = Self.never
        if nodes[thing].tick != 0 { unlink(thing) }
    }

    /// The next thing whose deadline has come, its deadline set to `never`; nil when there is none
    /// by `now`.
    mutating func next(now: UInt64) -> Int? {
        let target = now / Self.tick
        while true {
            let slot = Int(current & 63)
            while heads[slot] != Self.none {
                let thing = Int(heads[slot]) - 1
                unlink(thing)
                let deadline = nodes[thing].deadline
                if deadline <= now {
                    nodes[thing].deadline = Self.never
                    return thing
                }
                if deadline != Self.never { insert(thing, at: Self.tick(of: deadline)) }
            }
            guard current < target else { return nil }
            if count == 0 {
                current = target
            } else {
                current += 1
                cascade()
            }
        }
    }

    /// Nanoseconds until the wheel has to be turned again; nil when nothing is on it.
    ///
    /// Exact for what is due within the innermost wheel; otherwise the time of its next turn.
    func wait(now: UInt64) -> UInt64? {
        guard count > 0 else { return nil }
        let ahead = occupied >> (current & 63)
        let tick = ahead == 0 ? (current | 63) + 1 : current + UInt64(ahead.trailingZeroBitCount)
        let due = tick * Self.tick
        return due > now ? due - now : 0
    }

    private static func tick(of deadline: UInt64) -> UInt64 { deadline / tick + 1 }

    /// Moves the nodes of the outer wheels' slots that begin at this tick inwards.
    private mutating func cascade() {
        var wheel = 1
        while wheel < Self.wheels {
            let shift = Self.slotBits * UInt64(wheel)
            guard current & ((1 << shift) - 1) == 0 else { return }
            let slot = wheel * 64 + Int(current >> shift & 63)
            var thing = heads[slot]
            while thing != Self.none {
                let index = Int(thing) - 1
                unlink(index)
                let deadline = nodes[index].deadline
                if deadline != Self.never { insert(index, at: Self.tick(of: deadline)) }
                thing = heads[slot]
            }
            wheel += 1
        }
    }

    private mutating func insert(_ thing: Int, at tick: UInt64) {
        let due = max(tick, current + 1)
        let distance = due - current
        var wheel = 0
        while wheel < Self.wheels - 1, distance >> (Self.slotBits * UInt64(wheel + 1)) != 0 {
            wheel += 1
        }
        let farthest = current + (1 << (Self.slotBits * UInt64(Self.wheels))) - 1
        let place = min(due, farthest) >> (Self.slotBits * UInt64(wheel))
        let slot = wheel * 64 + Int(place & 63)
        nodes[thing].tick = due
        nodes[thing].slot = UInt32(slot)
        nodes[thing].previous = Self.none
        nodes[thing].next = heads[slot]
        if heads[slot] != Self.none { nodes[Int(heads[slot]) - 1].previous = UInt32(thing) + 1 }
        heads[slot] = UInt32(thing) + 1
        if wheel == 0 { occupied |= 1 << UInt64(slot) }
        count += 1
    }

    private mutating func unlink(_ thing: Int) {
        let node = nodes[thing]
        if node.previous == Self.none {
            heads[Int(node.slot)] = node.next
            if node.slot < 64, node.next == Self.none { occupied &= ~(1 << UInt64(node.slot)) }
        } else {
            nodes[Int(node.previous) - 1].next = node.next
        }
        if node.next != Self.none { nodes[Int(node.next) - 1].previous = node.previous }
        nodes[thing].tick = 0
        count -= 1
    }
}
