import Memory
import TLS

/// Sends every WebSocket message back (RFC 6455), as a value without I/O: bytes in, frames out.
///
/// Messages may be fragmented, are limited, and come back in one frame; pings are answered; a close
/// is answered and ends it, as does everything that breaks the protocol.
struct WebSocketEcho {
    /// The longest message in bytes: 1 MiB.
    static let messageBytesMax = 1 << 20
    /// The longest payload of a control frame (RFC 6455 section 5.5).
    static let controlBytesMax = 125

    private enum Opcode: UInt8 {
        case continuation = 0
        case text = 1
        case binary = 2
        case close = 8
        case ping = 9
        case pong = 10

        var isControl: Bool { rawValue >= 8 }
    }

    /// Why a connection is closed (RFC 6455 section 7.4.1).
    private enum CloseCode: UInt16 {
        case normal = 1000
        case protocolError = 1002
        case invalidText = 1007
        case tooLong = 1009
    }

    /// Frames to send; the caller takes them out.
    var replies: [UInt8] = []
    /// True once a close was sent: nothing more is read.
    private(set) var hasEnded = false

    private var header: [UInt8] = []
    private var opcode = Opcode.text
    private var isFinal = false
    private var left = 0
    private var mask: [UInt8] = []
    private var maskIndex = 0
    private var isInPayload = false
    private var control: [UInt8] = []
    private var message: [UInt8] = []
    private var messageOpcode: Opcode?

    /// Reads all of the bytes.
    mutating func receive(_ bytes: Span<UInt8>) {
        var position = 0
        while position < bytes.count, !hasEnded {
            if isInPayload {
                let count = min(left, bytes.count - position)
                unmask(bytes.extracting(position..<position + count))
                position += count
                left -= count
            } else {
                header.append(bytes[position])
                position += 1
                readHeader()
            }
            if isInPayload, left == 0, !hasEnded { endFrame() }
        }
    }

    /// Says that this end goes away; for a stop.
    private mutating func close(_ code: CloseCode) {
        guard !hasEnded else { return }
        appendFrame(.close, [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 255)])
        hasEnded = true
    }

    /// Looks at the header as far as it is there: 2 bytes, the longer length, 4 bytes of mask.
    private mutating func readHeader() {
        guard header.count >= 2 else { return }
        let short = header[1] & 0x7f
        let lengthBytes = short == 126 ? 2 : short == 127 ? 8 : 0
        if header.count == 2 {
            guard header[0] & 0x70 == 0, header[1] & 0x80 != 0,
                let code = Opcode(rawValue: header[0] & 0x0f)
            else { return close(.protocolError) }
            opcode = code
            isFinal = header[0] & 0x80 != 0
            if opcode.isControl {
                guard isFinal, Int(short) <= Self.controlBytesMax else {
                    return close(.protocolError)
                }
            } else if (opcode == .continuation) != (messageOpcode != nil) {
                return close(.protocolError)
            }
        }
        guard header.count == 2 + lengthBytes + 4 else { return }
        var length = UInt64(short)
        if lengthBytes > 0 {
            length = header[2..<2 + lengthBytes].reduce(0) { $0 << 8 | UInt64($1) }
            let isShortest = length > (lengthBytes == 2 ? 125 : 65535) && length < 1 << 63
            guard isShortest else { return close(.protocolError) }
        }
        let sum = UInt64(message.count) + length
        guard opcode.isControl || sum <= UInt64(Self.messageBytesMax) else {
            return close(.tooLong)
        }
        left = Int(length)
        mask = Array(header.suffix(4))
        maskIndex = 0
        header.removeAll()
        isInPayload = true
    }

    private mutating func unmask(_ bytes: Span<UInt8>) {
        for index in bytes.indices {
            let byte = bytes[index] ^ mask[maskIndex]
            maskIndex = (maskIndex + 1) & 3
            if opcode.isControl { control.append(byte) } else { message.append(byte) }
        }
    }

    private mutating func endFrame() {
        isInPayload = false
        switch opcode {
        case .ping: appendFrame(.pong, control)
        case .pong: break
        case .close: answerClose()
        case .text, .binary, .continuation:
            if opcode != .continuation { messageOpcode = opcode }
            if isFinal { endMessage() }
        }
        control.removeAll()
    }

    private mutating func endMessage() {
        guard let kind = messageOpcode else { return }
        if kind == .text, (try? UTF8Span(validating: message.span)) == nil {
            return close(.invalidText)
        }
        appendFrame(kind, message)
        message.removeAll(keepingCapacity: true)
        messageOpcode = nil
    }

    private mutating func answerClose() {
        guard !control.isEmpty else { return close(.normal) }
        guard control.count >= 2 else { return close(.protocolError) }
        let code = UInt16(control[0]) << 8 | UInt16(control[1])
        let isKnown = (1000...1014).contains(code) && ![1004, 1005, 1006].contains(code)
        guard isKnown || (3000...4999).contains(code) else { return close(.protocolError) }
        let reason = Array(control[2...])
        guard (try? UTF8Span(validating: reason.span)) != nil else { return close(.invalidText) }
        appendFrame(.close, Array(control.prefix(2)))
        hasEnded = true
    }

    /// Frames of a server are not masked.
    private mutating func appendFrame(_ opcode: Opcode, _ payload: [UInt8]) {
        replies.append(0x80 | opcode.rawValue)
        switch payload.count {
        case ...125: replies.append(UInt8(payload.count))
        case ...65535: replies += [126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default:
            replies.append(127)
            for shift in (0..<8).reversed() {
                replies.append(UInt8(truncatingIfNeeded: payload.count >> (8 * shift)))
            }
        }
        replies += payload
    }
}

/// The opening handshake of WebSocket (RFC 6455 section 4.2.2).
enum WebSocketHandshake {
    /// `Sec-WebSocket-Accept` for a key; nil when the key is not 16 bytes in base64.
    static func accept(_ key: Span<UInt8>) -> [UInt8]? {
        guard key.count == 24, key[22] == 0x3d, key[23] == 0x3d else { return nil }
        for index in 0..<22 where !base64.contains(key[index]) { return nil }
        var digest = Digest(.sha1)
        digest.update(key)
        let magic: StaticString = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        digest.update(magic.bytes)
        let sum = digest.finish()
        var text: [UInt8] = []
        for group in 0..<7 {
            var word = 0
            for offset in 0..<3 {
                let index = group * 3 + offset
                word = word << 8 | (index < 20 ? Int(sum[index]) : 0)
            }
            for shift in [18, 12, 6, 0] { text.append(base64[(word >> shift) & 63]) }
        }
        text[27] = 0x3d
        return text
    }

    private static let base64 = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}
