import COpenSSL

/// Which certificates go together into one context, and which names lead there. Set 0 is the
/// default.
struct CertificatePlan {
    /// Positions of certificates; in each set at most one for each kind of key.
    private(set) var sets: [[Int]] = []
    private(set) var names = ServerNames()

    init(_ certificates: [TLSCertificate]) throws(TLSContextError) {
        guard !certificates.isEmpty else {
            throw TLSContextError(label: "", problem: .noCertificates)
        }
        var claims: [(names: [String], kind: Int32)] = []
        for certificate in certificates {
            do throws(CertificateProblem) {
                let chain = try CertificateChain(pem: certificate.certificate)
                guard try PrivateKey(pem: certificate.key).belongs(to: chain) else {
                    throw CertificateProblem.keyMismatch
                }
                let own = certificate.names.isEmpty ? chain.dnsNames : certificate.names
                claims.append((own, chain.keyKind))
            } catch {
                throw TLSContextError(label: certificate.label, problem: error)
            }
        }
        let first = certificates.firstIndex(where: \.isDefault) ?? 0
        let order = [first] + certificates.indices.filter { $0 != first }
        // For each name, in order: the first certificate of each kind of key.
        var members: [[UInt8]: [Int]] = [:]
        for position in order {
            for name in claims[position].names {
                let key = ServerNames.canonical(Array(name.utf8))
                let known = members[key, default: []]
                guard !known.contains(where: { claims[$0].kind == claims[position].kind }) else {
                    continue
                }
                members[key] = known + [position]
            }
        }
        let defaultKey = claims[first].names.first.map { ServerNames.canonical(Array($0.utf8)) }
        sets.append(defaultKey.flatMap { members[$0] } ?? [first])
        for position in order {
            for name in claims[position].names {
                guard let set = members[ServerNames.canonical(Array(name.utf8))] else { continue }
                names.add(name, index(of: set))
            }
        }
    }

    private mutating func index(of set: [Int]) -> Int {
        if let index = sets.firstIndex(of: set) { return index }
        sets.append(set)
        return sets.count - 1
    }
}
