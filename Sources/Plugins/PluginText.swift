import Memory
import Signals

/// The lines for plug-ins that the host writes itself.
enum PluginText {
    /// `{"v":1,"event":"NAME","seq":` for each signal, at its number.
    static let heads: [[UInt8]] = {
        var heads = [[UInt8]](repeating: [], count: 1 + Signal.allCases.count)
        for signal in Signal.allCases {
            heads[Int(signal.rawValue)] = line(capacity: 128) {
                SignalLine.writeHead(signal, to: &$0)
            }
        }
        return heads
    }()

    /// The first line of each life of a plug-in.
    static func started(name: String, dropped: UInt64, restarts: UInt64) -> [UInt8] {
        line(capacity: 1024) {
            $0.write(#"{"v":1,"event":"plugin_started","seq":0,"data":{"name":"#)
            $0.writeJSON(name.utf8.span, cutAt: 64)
            $0.write(#","dropped":"#)
            $0.write(decimal: dropped)
            $0.write(#","restarts":"#)
            $0.write(decimal: restarts)
            $0.write("}}\n")
        }
    }

    private static func line(capacity: Int, _ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var scratch = ByteScratch(capacity: capacity)
        body(&scratch.writer)
        return Array(scratch.bytes)
    }
}

extension [UInt8] {
    /// A copy of the bytes of a span.
    init(_ span: Span<UInt8>) {
        self.init()
        reserveCapacity(span.count)
        for index in span.indices { append(span[index]) }
    }
}
