import Board
import Memory
import Signals

/// The names of endpoints for logs and signals, `web/3` or `10.0.0.5:8080`, made when first asked
/// for.
struct EndpointNames: ~Copyable {
    /// A name longer than this is cut: a path of a Unix socket may be.
    static let bytesMax = 120

    /// For each row the incarnation it is named for, plus one, and the number of its name, plus
    /// one; 0 for none.
    private let generations: FixedArray<UInt64>
    private let numbers: FixedArray<UInt32>
    private var names: [TextScratch] = []

    /// - Parameter endpoints: rows of the endpoint table.
    init(endpoints: Int) {
        generations = FixedArray(zeroed: endpoints)
        numbers = FixedArray(zeroed: endpoints)
    }

    /// An endpoint's name; empty when its row is another's by now and it was never asked for.
    subscript(reference: EndpointReference, table: Table) -> Span<UInt8> {
        @_lifetime(immortal)
        mutating get {
            let index = Int(reference.index)
            if generations[index] == UInt64(reference.generation) + 1 {
                return names[Int(numbers[index]) - 1].bytes
            }
            let endpoint = table.endpoint(index)
            guard endpoint.status.generation == reference.generation else {
                return ("" as StaticString).bytes
            }
            if numbers[index] == 0 {
                names.append(TextScratch(capacity: Self.bytesMax))
                numbers[index] = UInt32(names.count)
            }
            generations[index] = UInt64(reference.generation) + 1
            return names[Int(numbers[index]) - 1].fill { Self.write(endpoint, of: table, to: &$0) }
        }
    }

    private static func write(
        _ endpoint: EndpointSlot, of table: Table, to writer: inout ByteWriter
    ) {
        if endpoint.status.kind.contains(.upstream) {
            write(endpoint.address, to: &writer)
        } else {
            writer.write(table.service(endpoint.service).name)
            writer.write("/")
            writer.write(decimal: UInt64(endpoint.number))
        }
    }

    private static func write(_ address: EndpointAddress?, to writer: inout ByteWriter) {
        switch address {
        case nil: return
        case .unix(let path): writer.write(path.span)
        case .ipv4(let bytes, let port):
            var word: UInt32 = 0
            for byte in bytes { word = word << 8 | UInt32(byte) }
            PeerAddress(ipv4: word).write(to: &writer)
            writer.write(":")
            writer.write(decimal: UInt64(port))
        case .ipv6(let bytes, let port, _):
            var high: UInt64 = 0
            var low: UInt64 = 0
            for index in 0..<8 {
                high = high << 8 | UInt64(bytes[index])
                low = low << 8 | UInt64(bytes[index + 8])
            }
            writer.write("[")
            PeerAddress(ipv6High: high, low: low).write(to: &writer)
            writer.write("]:")
            writer.write(decimal: UInt64(port))
        }
    }
}
