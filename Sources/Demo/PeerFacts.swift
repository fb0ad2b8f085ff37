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
        // Bytes, not characters: a combining mark would hide the blank before it.
        let parts = Array(String(value).utf8)
            .split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count >= 3,
            let place = QueryParameters.number(Array(parts[0]).span, in: 0...Self.placesMax - 1)
        else { return }
        self.place = Int(place)
        scheme = String(decoding: parts[1], as: UTF8.self)
        remote = String(decoding: parts[2], as: UTF8.self)
    }
}
