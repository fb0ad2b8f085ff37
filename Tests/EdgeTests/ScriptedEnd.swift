@testable import Edge

/// A far end that a test drives by hand; it keeps what it gets.
final class ScriptedEnd: FarEnd {
    private(set) var bytes: [UInt8] = []
    private(set) var hasEnded = false
    private(set) var hasBroken = false
    private(set) var stream: Int32 = -1
    private let world: SimulatedWorld
    /// Called when bytes have come.
    private let react: (ScriptedEnd) -> Void

    init(_ world: SimulatedWorld, react: @escaping (ScriptedEnd) -> Void = { _ in }) {
        self.world = world
        self.react = react
    }

    /// As a client.
    func connect() { stream = world.connect(self) }

    func send(_ text: String) { world.send(Array(text.utf8), on: stream) }
    func send(_ bytes: [UInt8]) { world.send(bytes, on: stream) }
    func end() { world.end(stream) }
    func vanish() { world.vanish(stream) }
    func reset() { world.reset(stream) }
    /// Takes nothing until `resume`.
    func stall() { world.stalled.insert(stream) }
    func resume() { world.resume(stream) }
    /// Takes so many bytes once in so many nanoseconds, until the moment, and then nothing.
    func take(_ count: Int, every nanoseconds: UInt64, until moment: UInt64) {
        stall()
        guard world.now < moment else { return }
        world.at(nanoseconds) { [self] in
            guard world.streams[stream] != nil else { return }
            world.take(count, of: stream)
            take(count, every: nanoseconds, until: moment)
        }
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
    var isOver: Bool { hasEnded || hasBroken }

    func received(_ bytes: [UInt8], _ stream: Int32, _ world: SimulatedWorld) {
        self.stream = stream
        self.bytes += bytes
        react(self)
    }

    func ended(_ stream: Int32, _ world: SimulatedWorld) { hasEnded = true }
    func broke(_ stream: Int32, _ world: SimulatedWorld) { hasBroken = true }
}
