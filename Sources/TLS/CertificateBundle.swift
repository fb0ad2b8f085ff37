/// Certificates, keys and upstreams' authorities on their way from the master to an edge, in a
/// sealed memory file.
///
/// The master reads the files while it may; an edge that has dropped its privileges never opens
/// one. Numbers are 4 bytes, the smallest first; text and PEM are a length and so many bytes:
/// count, then for each `label certificate key isDefault nameCount names…`; count, then for each
/// authority `file PEM`.
package struct CertificateBundle: Sendable {
    package var certificates: [TLSCertificate]
    /// The PEM of each file of authorities, by its path.
    package var authorities: [String: [UInt8]]

    /// More than any configuration lists; a larger number means a damaged file.
    private static let certificatesMax = 65536

    package init(certificates: [TLSCertificate], authorities: [String: [UInt8]] = [:]) {
        self.certificates = certificates
        self.authorities = authorities
    }

    /// - Throws: `.empty` where `bytes` are no bundle.
    package init(decoding bytes: [UInt8]) throws(CertificateProblem) {
        var reader = Reader(bytes: bytes)
        certificates = []
        authorities = [:]
        let count = try reader.number()
        guard count <= CertificateBundle.certificatesMax else { throw .empty }
        for _ in 0..<count {
            let label = String(decoding: try reader.piece(), as: UTF8.self)
            let certificate = Array(try reader.piece())
            let key = Array(try reader.piece())
            let isDefault = try reader.number() == 1
            var names: [String] = []
            for _ in 0..<(try reader.number()) {
                names.append(String(decoding: try reader.piece(), as: UTF8.self))
            }
            certificates.append(
                TLSCertificate(
                    certificate: certificate, key: key, names: names, isDefault: isDefault,
                    label: label))
        }
        for _ in 0..<(try reader.number()) {
            let file = String(decoding: try reader.piece(), as: UTF8.self)
            authorities[file] = Array(try reader.piece())
        }
    }

    /// The bytes for the memory file; they hold private keys: `wipe` them after writing.
    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        func add(_ number: Int) {
            for shift in stride(from: 0, to: 32, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: number >> shift))
            }
        }
        func add(_ piece: [UInt8]) {
            add(piece.count)
            bytes += piece
        }
        add(certificates.count)
        for one in certificates {
            add(Array(one.label.utf8))
            add(one.certificate)
            add(one.key)
            add(one.isDefault ? 1 : 0)
            add(one.names.count)
            for name in one.names { add(Array(name.utf8)) }
        }
        add(authorities.count)
        for (file, pem) in authorities.sorted(by: { $0.key < $1.key }) {
            add(Array(file.utf8))
            add(pem)
        }
        return bytes
    }

    /// Overwrites the keys, once contexts are built.
    package mutating func wipeKeys() {
        for index in certificates.indices { wipe(&certificates[index].key) }
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        mutating func number() throws(CertificateProblem) -> Int {
            guard bytes.count - position >= 4 else { throw .empty }
            defer { position += 4 }
            return (0..<4).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
        }

        mutating func piece() throws(CertificateProblem) -> ArraySlice<UInt8> {
            let size = try number()
            guard bytes.count - position >= size else { throw .empty }
            defer { position += size }
            return bytes[position..<position + size]
        }
    }
}
