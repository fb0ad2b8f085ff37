import HTTP
import Memory

/// What the edge says of a request in `proxy-peer`: `PLACE SCHEME REMOTE …`.
struct PeerFacts: Equatable {
    /// The number of the place word this request occupies; nil when no edge sent it.
    var place: Int?
    var scheme = "http"
    var remote = ""

    /// Places are bytes of one worker's 64.
    static let placesMax: UInt64 = 64

    init() {}

    /// - Parameter value: the field's value; what is malformed counts as not sent.
    init(_ value: Span<UInt8>) {
        let parts = String(value).split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count >= 3, let place = UInt64(parts[0]), place < Self.placesMax else { return }
        self.place = Int(place)
        scheme = String(parts[1])
        remote = String(parts[2])
    }
}
