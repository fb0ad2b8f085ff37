import COpenSSL
public import Memory

/// A hash over bytes that come piece by piece.
@safe
public struct Digest: ~Copyable {
    /// The hashes there are.
    public enum Algorithm: Sendable {
        /// 32 bytes.
        case sha256
        /// 20 bytes, broken as a signature; here for the WebSocket handshake alone (RFC 6455
        /// section 4.2.2).
        case sha1

        /// The size of the result in bytes.
        public var byteCount: Int { self == .sha256 ? 32 : 20 }
    }

    private let context: OpaquePointer
    public let algorithm: Algorithm

    public init(_ algorithm: Algorithm) {
        guard let context = unsafe EVP_MD_CTX_new() else { preconditionFailure("no memory") }
        unsafe self.context = context
        self.algorithm = algorithm
        start()
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    private func start() {
        let kind = unsafe algorithm == .sha256 ? EVP_sha256() : EVP_sha1()
        let isStarted = unsafe EVP_DigestInit_ex(context, kind, nil) == 1
        precondition(isStarted, "OpenSSL has no \(algorithm)")
    }

    public mutating func update(_ bytes: Span<UInt8>) {
        let context = unsafe self.context
        unsafe bytes.withUnsafeBytes { buffer in
            unsafe _ = EVP_DigestUpdate(context, buffer.baseAddress, buffer.count)
        }
    }

    /// Ends the sum and begins the next one.
    ///
    /// - Returns: 32 bytes, of which the first `algorithm.byteCount` are the result.
    public mutating func finish() -> InlineArray<32, UInt8> {
        var result = InlineArray<32, UInt8>(repeating: 0)
        let context = unsafe self.context
        unsafe withUnsafeMutableBytes(of: &result) { bytes in
            let start = unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
            unsafe _ = EVP_DigestFinal_ex(context, start, nil)
        }
        start()
        return result
    }

    /// Ends the sum, begins the next one, and writes the result in lower-case hexadecimal digits.
    public mutating func finish(hexadecimalTo writer: inout ByteWriter) {
        let result = finish()
        for index in 0..<algorithm.byteCount {
            writer.write(Digest.digit(result[index] >> 4))
            writer.write(Digest.digit(result[index] & 15))
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? 0x30 + value : 0x57 + value
    }
}

/// Overwrites a key's bytes before their memory goes back, in a way that no optimiser leaves out.
package func wipe(_ bytes: inout [UInt8]) {
    unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe OPENSSL_cleanse(buffer.baseAddress, buffer.count)
    }
    bytes.removeAll()
}
