public import Configuration

/// Where a server that runs already is reached.
public struct UpstreamURL: Hashable, Sendable {
    public enum Place: Hashable, Sendable {
        case address(IPAddress, port: UInt16)
        /// A name, which the resolver process looks up.
        case name(String, port: UInt16)
        /// A Unix stream socket by its absolute path.
        case socket(String)
    }

    public let usesTLS: Bool
    public let place: Place

    public init(usesTLS: Bool, place: Place) {
        self.usesTLS = usesTLS
        self.place = place
    }

    /// Reads `http://10.0.0.5:8080`, `https://api.internal` or `unix:/run/legacy.sock`.
    package init(_ text: String) throws(Complaint) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard path.hasPrefix("/"), !path.hasPrefix("//") else {
                throw Complaint("\(quoted(text)): after unix: goes an absolute path")
            }
            guard path.utf8.count <= UpstreamURL.socketPathBytesMax else {
                throw Complaint(
                    "\(quoted(text)): a socket path has at most "
                        + "\(UpstreamURL.socketPathBytesMax) bytes, this one \(path.utf8.count)")
            }
            self.init(usesTLS: false, place: .socket(path))
            return
        }
        let parts = try URLParts(
            text, schemes: ["http", "https"], example: "http://10.0.0.5:8080 or unix:/run/a.sock")
        let usesTLS = parts.scheme == "https"
        let port = parts.port ?? (usesTLS ? 443 : 80)
        guard port != 0 else { throw Complaint("\(quoted(text)): port 0 cannot be reached") }
        if let address = IPAddress(parts.host) {
            self.init(usesTLS: usesTLS, place: .address(address, port: port))
        } else {
            guard HostPattern.isHostName(parts.host.lowercased()) else {
                throw Complaint("\(quoted(text)): \(quoted(parts.host)) is no host name")
            }
            self.init(usesTLS: usesTLS, place: .name(parts.host.lowercased(), port: port))
        }
    }

    /// What fits into `sockaddr_un` (unix(7)), without the final NUL. Bytes.
    package static let socketPathBytesMax = 107
}

extension UpstreamURL: CustomStringConvertible {
    public var description: String {
        let scheme = usesTLS ? "https" : "http"
        return switch place {
        case .address(let address, let port):
            address.isIPv4 ? "\(scheme)://\(address):\(port)" : "\(scheme)://[\(address)]:\(port)"
        case .name(let name, let port): "\(scheme)://\(name):\(port)"
        case .socket(let path): "unix:\(path)"
        }
    }
}

extension SettingType<UpstreamURL> {
    package static var upstreamURL: Self {
        Self(
            name: "a URL such as http://10.0.0.5:8080 or unix:/run/legacy.sock",
            schema: "\"type\":\"string\"",
            parse: { (text) throws(Complaint) in try UpstreamURL(text) },
            text: { $0.description })
    }
}
