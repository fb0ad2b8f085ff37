package import Linux
package import TLS

/// The development CA (`tls.dev_ca: true`): a root of this user on this machine, and a certificate
/// for localhost by it.
///
/// Both are kept in one private folder and made when they are missing, close to their end, or for
/// other names. The machine's trust store is never touched: a client is told to trust `root.pem`.
/// The root is not limited to certain names, since a route's host may be any; so its key never
/// leaves the folder, and it can sign no further authority.
package struct DevelopmentAuthority: Sendable {
    /// What `prepare` found and did.
    package struct Outcome: Sendable {
        /// What the listeners serve with.
        package var certificate: TLSCertificate
        /// The root's file, for `curl --cacert`.
        package var rootPath: String
        package var madeRoot: Bool
        package var madeLeaf: Bool
        /// Seconds since 1970.
        package var leafNotAfter: Int64

        /// The first second, since 1970, at which `prepare` makes another leaf.
        package var renewAt: Int64 { leafNotAfter - leafLeftDaysMin * 86400 + 1 }
    }

    /// Why there is no development certificate.
    package enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        case file(path: String, SystemError)
        case certificate(CertificateProblem)

        package var description: String {
            switch self {
            case .file(let path, let error): "\(path): \(error)"
            case .certificate(let problem): "the development CA: \(problem)"
            }
        }
    }

    /// Ten years: whoever trusts it should not have to do so again.
    package static let rootDays: Int64 = 3650
    package static let leafDays: Int64 = 90
    /// A leaf is remade when less than this, a third of its life, is left, so that it never ends
    /// under a proxy that is started now and then.
    package static let leafLeftDaysMin: Int64 = 30
    /// Always among the leaf's names.
    package static let localNames = ["localhost", "127.0.0.1", "::1"]

    private static let rootFile = "root.pem"
    /// The root's key, and its certificate once more: one file, so that the two can never be of
    /// different makes.
    private static let rootKeyFile = "root-key.pem"
    /// The leaf and its key in one file, for the same reason.
    private static let leafFile = "localhost.pem"

    private let path: String
    private let owner: String

    /// - Parameters:
    ///   - folder: `directories.state` and `/ca`; made when it is missing, mode 0700.
    ///   - owner: stands in the root's name, so that a list of trusted roots says whose it is.
    package init(folder: String, owner: String = HostIdentity.userAtHost) {
        path = folder
        self.owner = owner
    }

    /// Sees to it that root and leaf are there and good.
    ///
    /// - Parameters:
    ///   - names: further DNS names and IP addresses for the leaf.
    ///   - now: seconds since 1970.
    package func prepare(names: [String] = [], now: Int64) throws(Failure) -> Outcome {
        let folder = try openFolder()
        let (root, madeRoot) = try prepareRoot(folder, now)
        let wanted = DevelopmentAuthority.wanted(names)
        let found = try read(folder, DevelopmentAuthority.leafFile)
        if !madeRoot, let found, isGood(leaf: found, of: root, for: wanted, now) {
            return try outcome(found, madeRoot: false, madeLeaf: false)
        }
        let leaf = try make { () throws(CertificateProblem) in
            try CertificateIssuing.makeLeaf(
                names: wanted, root: root, days: DevelopmentAuthority.leafDays, now: now)
        }
        try write(folder, leaf.certificate + leaf.key, DevelopmentAuthority.leafFile)
        return try outcome(leaf.certificate + leaf.key, madeRoot: madeRoot, madeLeaf: true)
    }

    private func prepareRoot(
        _ folder: borrowing PrivateFolder, _ now: Int64
    ) throws(Failure) -> (root: IssuedCertificate, isNew: Bool) {
        if let found = try read(folder, DevelopmentAuthority.rootKeyFile),
            let facts = try? CertificateFacts(pem: found),
            CertificateIssuing.key(found, belongsTo: found),
            facts.notAfter - now > DevelopmentAuthority.leafDays * 86400
        {
            let certificate = CertificateIssuing.firstCertificate(in: found)
            if try read(folder, DevelopmentAuthority.rootFile) != certificate {
                try write(folder, certificate, DevelopmentAuthority.rootFile)
            }
            return (IssuedCertificate(certificate: certificate, key: found), false)
        }
        let root = try make { () throws(CertificateProblem) in
            try CertificateIssuing.makeRoot(
                name: "proxy dev CA \(owner)", days: DevelopmentAuthority.rootDays, now: now)
        }
        try write(folder, root.key + root.certificate, DevelopmentAuthority.rootKeyFile)
        try write(folder, root.certificate, DevelopmentAuthority.rootFile)
        return (root, true)
    }

    /// The names a leaf has to carry, each once, as certificates write them.
    private static func wanted(_ names: [String]) -> [String] {
        var wanted: [String] = []
        for name in localNames + names.map(CertificateIssuing.canonicalName)
        where !wanted.contains(name) {
            wanted.append(name)
        }
        return wanted
    }

    private func isGood(
        leaf: [UInt8], of root: IssuedCertificate, for names: [String], _ now: Int64
    ) -> Bool {
        guard let facts = try? CertificateFacts(pem: leaf) else { return false }
        return Set(facts.dnsNames + facts.addresses) == Set(names)
            && facts.notBefore <= now
            && facts.notAfter - now >= DevelopmentAuthority.leafLeftDaysMin * 86400
            && CertificateIssuing.key(leaf, belongsTo: leaf)
            && CertificateIssuing.verify(leaf, signedBy: root.certificate)
    }

    private func outcome(
        _ leaf: [UInt8], madeRoot: Bool, madeLeaf: Bool
    ) throws(Failure) -> Outcome {
        let facts = try make { () throws(CertificateProblem) in try CertificateFacts(pem: leaf) }
        return Outcome(
            certificate: TLSCertificate(
                certificate: leaf, key: leaf, label: filePath(DevelopmentAuthority.leafFile)),
            rootPath: filePath(DevelopmentAuthority.rootFile), madeRoot: madeRoot,
            madeLeaf: madeLeaf, leafNotAfter: facts.notAfter)
    }

    private func filePath(_ name: String) -> String { "\(path)/\(name)" }

    private func make<Made>(
        _ body: () throws(CertificateProblem) -> Made
    ) throws(Failure) -> Made {
        do throws(CertificateProblem) {
            return try body()
        } catch {
            throw .certificate(error)
        }
    }

    /// The folder, held against other processes of the same user that start at the same moment.
    private func openFolder() throws(Failure) -> PrivateFolder {
        do throws(SystemError) {
            let folder = try PrivateFolder(path)
            try folder.lock()
            return folder
        } catch {
            throw .file(path: path, error)
        }
    }

    private func read(
        _ folder: borrowing PrivateFolder, _ name: String
    ) throws(Failure) -> [UInt8]? {
        do throws(SystemError) {
            return try folder.read(name)
        } catch {
            throw .file(path: filePath(name), error)
        }
    }

    private func write(
        _ folder: borrowing PrivateFolder, _ bytes: [UInt8], _ name: String
    ) throws(Failure) {
        do throws(SystemError) {
            try folder.write(bytes, to: name)
        } catch {
            throw .file(path: filePath(name), error)
        }
    }
}
