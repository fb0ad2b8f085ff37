/// What is wrong with the bytes of a certificate or key, without the names of the files they came
/// from.
package enum CertificateProblem: Error, Equatable, Sendable {
    /// No bytes at all.
    case empty
    /// Binary DER, where PEM text is wanted.
    case isDER
    /// Text without a certificate; `found` is the label of the first PEM block, if there is one.
    case noCertificate(found: String?)
    /// The certificate at `position` (from 1) cannot be read; OpenSSL's words in `detail`.
    case damagedCertificate(position: Int, detail: String)
    /// Text without a private key; `found` is the label of the first PEM block, if there is one.
    case noKey(found: String?)
    /// The key needs a passphrase, which a server that starts by itself cannot ask for.
    case keyEncrypted
    /// The key cannot be read; OpenSSL's words in `detail`.
    case damagedKey(detail: String)
    /// Key and certificate are each good, and do not belong together.
    case keyMismatch
    /// OpenSSL does not serve with this pair, e.g. because the key is too short.
    case refused(detail: String)
    /// Neither a certificate nor a way to make one was given.
    case noCertificates
}

extension CertificateProblem: CustomStringConvertible {
    /// A phrase that follows the name of the file: `is empty`.
    package var description: String {
        switch self {
        case .empty: "is empty"
        case .isDER: "is binary (DER), not PEM text"
        case .noCertificate(let found): CertificateProblem.missing("certificate", found)
        case .damagedCertificate(let position, let detail):
            "certificate \(position) in the file is damaged (\(detail))"
        case .noKey(let found): CertificateProblem.missing("private key", found)
        case .keyEncrypted: "is encrypted with a passphrase"
        case .damagedKey(let detail): "the private key is damaged (\(detail))"
        case .keyMismatch: "does not belong to the certificate"
        case .refused(let detail): "is not accepted by OpenSSL (\(detail))"
        case .noCertificates: "no certificate is configured"
        }
    }

    private static func missing(_ wanted: String, _ found: String?) -> String {
        guard let found else { return "holds no \(wanted)" }
        return "holds no \(wanted), but a \(found.lowercased())"
    }
}

/// The PEM labels in `bytes` in order, such as `CERTIFICATE` (RFC 7468 section 2).
func pemLabels(in bytes: [UInt8]) -> [String] {
    let text = String(decoding: bytes, as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).compactMap { line in
        guard line.hasPrefix("-----BEGIN "), line.hasSuffix("-----") else { return nil }
        return String(line.dropFirst(11).dropLast(5))
    }
}

/// Why `bytes` hold nothing of the wanted kind.
func pemProblem(
    _ bytes: [UInt8], otherwise: (String?) -> CertificateProblem
) -> CertificateProblem {
    if bytes.isEmpty { return .empty }
    // A DER SEQUENCE with a length of two bytes, as certificates and keys have it.
    if bytes[0] == 0x30, bytes.count > 1, bytes[1] >= 0x80 { return .isDER }
    return otherwise(pemLabels(in: bytes).first)
}
