/// Which of a listener's sockets each edge of a generation takes connections from.
///
/// A socket is never closed while the proxy serves, because the connections queued in it would be
/// lost. Edge i has socket i; with fewer edges than sockets those left over go round, so that each
/// socket has an edge, and with more edges than sockets the master makes the sockets that are
/// missing first.
package enum SocketShares {
    /// The positions of edge `edge`'s sockets.
    package static func positions(edge: Int, edges: Int, sockets: Int) -> [Int] {
        precondition(edge >= 0 && edge < edges)
        return Array(stride(from: edge, to: sockets, by: edges))
    }
}
