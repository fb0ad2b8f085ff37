import Certificates
import Configuration
import Linux
import Routing
import Signals
import Supervision
import TLS

/// The certificates of the https listeners and the authorities of upstreams, as edges take them.
struct CertificateReading {
    /// Empty without any.
    let encoded: [UInt8]
    /// When the development certificate will be made anew, in seconds since 1970.
    let renewAt: Int64?

    /// Reads every file, and makes a development certificate where that is needed.
    ///
    /// - Parameter now: seconds since 1970.
    init(of configuration: EffectiveConfiguration, now: Int64) throws(MasterFailure) {
        var bundle = CertificateBundle(
            certificates: [], authorities: try Self.authorities(ServiceOptions.all(configuration)))
        var renewAt: Int64?
        if FrontOptions(configuration).listeners.contains(where: { $0.url.scheme == .https }) {
            bundle.certificates = try Self.configured(configuration)
            if let made = try Self.development(configuration, now: now) {
                bundle.certificates.append(made.certificate)
                renewAt = made.renewAt
            }
        }
        let isEmpty = bundle.certificates.isEmpty && bundle.authorities.isEmpty
        encoded = isEmpty ? [] : bundle.encoded()
        self.renewAt = renewAt
    }

    private static func configured(
        _ configuration: EffectiveConfiguration
    ) throws(MasterFailure) -> [TLSCertificate] {
        var found: [TLSCertificate] = []
        for one in TLSOptions(configuration).certificates {
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
        return found
    }

    /// The certificate of our own CA; nil where none is asked for.
    fileprivate static func development(
        _ configuration: EffectiveConfiguration, now: Int64
    ) throws(MasterFailure) -> DevelopmentAuthority.Outcome? {
        guard TLSOptions(configuration).usesDevelopmentCA else { return nil }
        let folder = "\(DirectoryOptions(configuration).state)/ca"
        do throws(DevelopmentAuthority.Failure) {
            return try DevelopmentAuthority(folder: folder).prepare(now: now)
        } catch {
            throw MasterFailure(.failed, "\(error)")
        }
    }

    /// What each `ca:` file of an upstream holds.
    private static func authorities(
        _ services: [ServiceOptions]
    ) throws(MasterFailure) -> [String: [UInt8]] {
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
}

/// A reading with its development certificate made anew, where that is due; the files that its
/// configuration names are not read again, for nobody has asked for that.
///
/// - Parameter now: seconds since 1970.
func renewed(_ reading: MasterReading, now: Int64) -> Result<MasterReading, MasterFailure> {
    var fresh = reading
    do throws(MasterFailure) {
        guard let made = try CertificateReading.development(reading.configuration, now: now) else {
            fresh.renewAt = nil
            return .success(fresh)
        }
        do throws(CertificateProblem) {
            var bundle = try CertificateBundle(decoding: reading.certificates)
            for index in bundle.certificates.indices
            where bundle.certificates[index].label == made.certificate.label {
                bundle.certificates[index] = made.certificate
            }
            fresh.certificates = bundle.encoded()
        } catch {
            throw MasterFailure(.failed, "\(error)")
        }
        fresh.renewAt = made.renewAt
        return .success(fresh)
    } catch {
        return .failure(error)
    }
}
