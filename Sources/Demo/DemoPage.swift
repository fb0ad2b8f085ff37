import Memory

/// What a request asks of the demo app, its parameters checked.
enum DemoPage: Equatable {
    /// `/`: a page for browsers, else as `worker`.
    case home
    case worker
    /// Nanoseconds.
    case sleep(UInt64)
    case echo
    case upload
    /// So many bytes, of which byte i is i mod 251.
    case bytes(UInt64)
    /// Chunks with so many nanoseconds between them, and a trailer.
    case stream(count: UInt64, interval: UInt64)
    /// An event stream.
    case events(count: UInt64, interval: UInt64)
    case webSocket
    case early
    case status(UInt16)
    case exception
    case exit(Int32)
    case kill
    /// Announces 100 bytes and closes after so many.
    case cut(UInt64)
    case missing
    /// A parameter is out of its bounds; the rule names it.
    case wrong(String)

    /// The longest pause of a page in seconds.
    static let secondsMax: UInt64 = 60
    /// The largest body that `/bytes` makes: 1 GiB.
    static let bytesMax: UInt64 = 1 << 30
    /// The most pieces of a stream.
    static let countMax: UInt64 = 1_000_000
    /// What `/cut` announces.
    static let cutBytes: UInt64 = 100

    /// - Parameters:
    ///   - path: as sent; the demo knows no encoded names.
    ///   - query: without its question mark.
    init(path: Span<UInt8>, query: Span<UInt8>) {
        let parameters = QueryParameters(query)
        switch String(path) {
        case "/", "": self = .home
        case "/worker": self = .worker
        case "/sleep":
            let pause = parameters.nanoseconds("seconds", default: 1_000_000_000)
            self = pause.map { .sleep($0) } ?? .wrong("seconds: from 0 to 60")
        case "/echo": self = .echo
        case "/upload": self = .upload
        case "/bytes":
            let size = parameters.number("size", default: 1024, in: 0...Self.bytesMax)
            self = size.map { .bytes($0) } ?? .wrong("size: from 0 to 1073741824")
        case "/stream":
            self = Self.series(parameters, default: 100_000_000) {
                .stream(count: $0, interval: $1)
            }
        case "/events":
            self = Self.series(parameters, default: 1_000_000_000) {
                .events(count: $0, interval: $1)
            }
        case "/ws": self = .webSocket
        case "/early": self = .early
        case "/exception": self = .exception
        case "/exit":
            let code = parameters.number("code", default: 3, in: 0...255)
            self = code.map { .exit(Int32($0)) } ?? .wrong("code: from 0 to 255")
        case "/kill": self = .kill
        case "/cut":
            let count = parameters.number("after", default: 10, in: 0...Self.cutBytes - 1)
            self = count.map { .cut($0) } ?? .wrong("after: from 0 to 99")
        default: self = Self.status(path)
        }
    }

    private static func series(
        _ parameters: borrowing QueryParameters, default interval: UInt64,
        _ make: (UInt64, UInt64) -> DemoPage
    ) -> DemoPage {
        guard let count = parameters.number("count", default: 5, in: 0...countMax) else {
            return .wrong("count: from 0 to 1000000")
        }
        guard let pause = parameters.nanoseconds("seconds", default: interval) else {
            return .wrong("seconds: from 0 to 60")
        }
        return make(count, pause)
    }

    /// `/status/CODE`
    private static func status(_ path: Span<UInt8>) -> DemoPage {
        let prefix: StaticString = "/status/"
        let count = prefix.utf8CodeUnitCount
        guard path.count >= count, String(path.extracting(first: count)) == "\(prefix)" else {
            return .missing
        }
        let code = QueryParameters.number(path.extracting(droppingFirst: count), in: 200...599)
        return code.map { .status(UInt16($0)) } ?? .wrong("status: from 200 to 599")
    }

    /// The routes, for the page that is not found.
    static let all: [StaticString] = [
        "/", "/worker", "/sleep?seconds=1", "/echo", "/upload", "/bytes?size=1024",
        "/stream?count=5&seconds=0.1", "/events?count=5&seconds=1", "/ws", "/early", "/status/404",
        "/exception", "/exit?code=3", "/kill", "/cut?after=10",
    ]
}

extension String {
    /// The text of bytes that are meant for people; what is no UTF-8 is replaced.
    init(_ bytes: Span<UInt8>) {
        var copy: [UInt8] = []
        copy.reserveCapacity(bytes.count)
        for index in bytes.indices { copy.append(bytes[index]) }
        self = String(decoding: copy, as: UTF8.self)
    }
}
