import ArgumentParser
import Certificates
import Configuration
import Linux
import Routing
import Signals
import Supervision
import TLS

/// Becomes the master of a checked configuration, and returns the exit code once everything has
/// ended.
///
/// - Parameters:
///   - isApp: the command line was `--app`.
///   - reload: reads and checks the same configuration anew, for HUP.
func runMaster(
    _ loaded: LoadedConfiguration, isApp: Bool, reload: @escaping () -> LoadedConfiguration
) -> ExitCode {
    var first: LoadedConfiguration? = loaded
    let code = Master.run(
        Master.Manner(isApp: isApp, version: proxyVersion) {
            let loaded = first ?? reload()
            first = nil
            return reading(of: loaded)
        })
    return ExitCode(code)
}

/// What the master obeys: the configuration, and the files that only it may read.
private func reading(of loaded: LoadedConfiguration) -> Result<MasterReading, MasterFailure> {
    guard let effective = loaded.effective else {
        let count = loaded.diagnostics.errorCount
        return .failure(
            MasterFailure(
                loaded.diagnostics.lacksOnlyRights ? .permission : .configuration,
                count == 1 ? "1 error" : "\(count) errors",
                diagnostics: loaded.diagnostics))
    }
    do throws(MasterFailure) {
        var warnings = loaded.diagnostics
        let certificates = try certificates(for: effective, warnings: &warnings)
        return .success(
            MasterReading(
                configuration: effective, certificates: certificates, folder: loaded.folder,
                warnings: warnings, notices: loaded.notices))
    } catch {
        return .failure(error)
    }
}

/// The certificates of the https listeners and the authorities of upstreams, as edges take them;
/// empty without any.
private func certificates(
    for configuration: EffectiveConfiguration, warnings: inout [Diagnostic]
) throws(MasterFailure) -> [UInt8] {
    let needed = FrontOptions(configuration).listeners.contains { $0.url.scheme == .https }
    let bundle = CertificateBundle(
        certificates: needed ? try listenerCertificates(configuration, &warnings) : [],
        authorities: try authorities(of: ServiceOptions.all(configuration)))
    return bundle.certificates.isEmpty && bundle.authorities.isEmpty ? [] : bundle.encoded()
}

/// What each `ca:` file of an upstream holds.
private func authorities(of services: [ServiceOptions]) throws(MasterFailure) -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for file in services.flatMap(\.upstreams).compactMap(\.ca) {
        do throws(SystemError) {
            found[file] = try FileSystem.read(file)
        } catch {
            throw MasterFailure(error, while: "cannot read \(file)")
        }
    }
    return found
}

private func listenerCertificates(
    _ configuration: EffectiveConfiguration, _ warnings: inout [Diagnostic]
) throws(MasterFailure) -> [TLSCertificate] {
    let options = TLSOptions(configuration)
    var found: [TLSCertificate] = []
    for one in options.certificates {
        do throws(SystemError) {
            found.append(
                TLSCertificate(
                    certificate: try FileSystem.read(one.certificate),
                    key: try FileSystem.read(one.key), names: one.names,
                    isDefault: one.isDefault, label: one.certificate))
        } catch {
            throw MasterFailure(error, while: "cannot read \(one.certificate) or its key")
        }
    }
    if options.usesDevelopmentCA {
        let folder = "\(DirectoryOptions(configuration).state)/ca"
        do throws(DevelopmentAuthority.Failure) {
            let outcome = try DevelopmentAuthority(folder: folder).prepare(
                now: Int64(Linux.Clock.wall / 1_000_000_000))
            found.append(outcome.certificate)
            if outcome.replacedRoot {
                warnings.append(
                    Diagnostic(
                        file: outcome.rootPath, position: nil, severity: .warning,
                        key: "tls.dev_ca",
                        message: "a new root of the development CA took the place of one whose key "
                            + "was gone, damaged or at its end; whoever trusted that one has to "
                            + "trust this file anew"))
            }
        } catch {
            throw MasterFailure(.failed, "\(error)")
        }
    }
    return found
}
