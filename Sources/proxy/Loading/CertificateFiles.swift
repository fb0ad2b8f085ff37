import Configuration
import Linux
import Routing
import TLS

/// Reads the certificates and keys of a configuration and judges them.
struct CertificateFiles {
    let configuration: Configuration

    /// - Parameter now: seconds since 1970.
    static func check(_ configuration: Configuration, now: Int64) -> [Diagnostic] {
        let files = CertificateFiles(configuration: configuration)
        return TLSOptions.check(configuration) + files.checkPresence() + files.checkPairs(now: now)
    }

    /// An https listener needs something to show.
    private func checkPresence() -> [Diagnostic] {
        let hasCertificates = !configuration.writtenNames(below: ["tls", "certificates"]).isEmpty
        if hasCertificates || configuration.value(TLSOptions.developmentCA) == true { return [] }
        // A value that was refused is no sign that there is none.
        if configuration.isWritten("tls", "dev_ca"),
            configuration.value(TLSOptions.developmentCA) == nil
        {
            return []
        }
        let number = configuration.names("listen[]").first { number in
            (configuration.value(FrontOptions.url, number) ?? nil)?.scheme == .https
        }
        guard let number else { return [] }
        return [
            configuration.finding(
                value: "listen", number, "url",
                message: "https needs a certificate: write tls: { certificates: "
                    + "[{ certificate: FILE, key: FILE }] }, or tls: { dev_ca: true } for tests")
        ]
    }

    private func checkPairs(now: Int64) -> [Diagnostic] {
        let numbers = configuration.names("tls.certificates[]")
        var found: [Diagnostic] = []
        var read: [String: CertificateFile] = [:]
        for number in numbers {
            for key in ["certificate", "key"] {
                let path = ["tls", "certificates", number, key]
                guard let file = configuration.values.node(path)?.text, read[file] == nil else {
                    continue
                }
                do {
                    let status = try FileSystem.status(of: file)
                    let bytes = try FileSystem.read(file)
                    read[file] = CertificateFile(path: file, bytes: bytes, mode: status.mode)
                } catch {
                    found.append(
                        finding(
                            path, .error, "\(file) cannot be read: \(HostChecks.reason(error))"))
                }
            }
        }
        let certificates = numbers.compactMap { number in
            configuration.value(TLSOptions.certificate, number).flatMap { read[$0] }
        }
        for number in numbers {
            guard let certificate = configuration.value(TLSOptions.certificate, number),
                let key = configuration.value(TLSOptions.key, number),
                let certificateFile = read[certificate], let keyFile = read[key]
            else { continue }
            let check = CertificateCheck(
                certificate: certificateFile, key: keyFile, others: certificates,
                names: configuration.entries(TLSOptions.name, number).map(\.value), now: now)
            found += check.findings.map { one in
                finding(
                    ["tls", "certificates", number, one.place == .key ? "key" : "certificate"],
                    one.severity == .error ? .error : .warning,
                    one.message + (one.suggestion.map { "; \($0)" } ?? ""))
            }
        }
        return found
    }

    private func finding(
        _ path: [String], _ severity: Diagnostic.Severity, _ message: String
    ) -> Diagnostic {
        Diagnostic(
            file: configuration.file, position: configuration.valuePosition(path),
            severity: severity, key: joinedPath(path), message: message)
    }
}
