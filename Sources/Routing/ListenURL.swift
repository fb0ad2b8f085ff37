public import Configuration

/// Where to listen: a scheme, an address and a port.
public struct ListenURL: Hashable, Sendable {
    public enum Scheme: String, Sendable { case http, https }

    public enum Host: Hashable, Sendable {
        /// `*`: every address of both families.
        case any
        /// `localhost`: the loopback address of both families.
        case localhost
        case address(IPAddress)
    }

    public let scheme: Scheme
    public let host: Host
    /// 0 takes a free port.
    public let port: UInt16

    public init(scheme: Scheme, host: Host, port: UInt16) {
        self.scheme = scheme
        self.host = host
        self.port = port
    }

    /// Reads `https://*:443`, `http://127.0.0.1:8080`, `http://[::1]`; nothing may follow the port.
    package init(_ text: String) throws(Complaint) {
        let parts = try URLParts(text, schemes: ["http", "https"], example: "http://*:80")
        scheme = Scheme(rawValue: parts.scheme)!
        port = parts.port ?? (scheme == .https ? 443 : 80)
        switch parts.host {
        case "*": host = .any
        case "localhost": host = .localhost
        default:
            guard let address = IPAddress(parts.host) else {
                throw Complaint(
                    "\(quoted(text)): \(quoted(parts.host)) is no address of this machine to "
                        + "listen on; write an IP address, localhost, or * for all")
            }
            host = .address(address)
        }
    }

    /// What sockets are bound to.
    package var addresses: [IPAddress] {
        switch host {
        case .any: [IPAddress(ipv4: 0), IPAddress(high: 0, low: 0)]
        case .localhost: [IPAddress(ipv4: 0x7f00_0001), IPAddress(high: 0, low: 1)]
        case .address(let address): [address]
        }
    }

    /// True when both take the connections of one address and port, be it that one takes those of
    /// every address of a family: which of them a client meets must not depend on the kernel.
    package func collides(with other: ListenURL) -> Bool {
        guard port == other.port, port != 0 else { return false }
        return addresses.contains { one in
            other.addresses.contains { another in
                guard one.isIPv4 == another.isIPv4 else { return false }
                let any = one.isIPv4 ? IPAddress(ipv4: 0) : IPAddress(high: 0, low: 0)
                return one == another || one == any || another == any
            }
        }
    }
}

extension ListenURL: CustomStringConvertible {
    /// Always with the port: `https://[::1]:443`.
    public var description: String {
        switch host {
        case .any: "\(scheme.rawValue)://*:\(port)"
        case .localhost: "\(scheme.rawValue)://localhost:\(port)"
        case .address(let address) where address.isIPv4:
            "\(scheme.rawValue)://\(address):\(port)"
        case .address(let address): "\(scheme.rawValue)://[\(address)]:\(port)"
        }
    }
}

extension SettingType<ListenURL> {
    package static var listenURL: Self {
        Self(
            name: "a URL such as https://*:443", schema: "\"type\":\"string\"",
            parse: { (text) throws(Complaint) in try ListenURL(text) }, text: { $0.description })
    }
}
