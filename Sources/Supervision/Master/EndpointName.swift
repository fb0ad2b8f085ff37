internal import Board
internal import Configuration

extension Table {
    /// What logs and `status` call an endpoint: `web/3`, or `10.0.0.5:8080`.
    func name(ofEndpoint index: Int) -> String {
        let slot = endpoint(index)
        guard slot.status.kind.contains(.upstream) else {
            return "\(name(ofService: slot.service))/\(slot.number)"
        }
        return slot.address.map { Self.text(of: $0) } ?? "?"
    }

    /// The name of a service.
    func name(ofService index: Int) -> String {
        guard index >= 0, index < layout.services else { return "-" }
        let span = service(index).name
        var bytes: [UInt8] = []
        for position in span.indices { bytes.append(span[position]) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// An address for people.
    static func text(of address: EndpointAddress) -> String {
        switch address {
        case .unix(let path): return "unix:\(String(decoding: path, as: UTF8.self))"
        case .ipv4(let bytes, let port):
            return "\(bytes.map { "\($0)" }.joined(separator: ".")):\(port)"
        case .ipv6(let bytes, let port, _):
            func word(_ half: ArraySlice<UInt8>) -> UInt64 {
                half.reduce(0) { $0 << 8 | UInt64($1) }
            }
            let text = IPAddress(high: word(bytes[0..<8]), low: word(bytes[8..<16]))
            return "[\(text)]:\(port)"
        }
    }
}
