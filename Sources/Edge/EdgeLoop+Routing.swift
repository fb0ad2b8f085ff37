import HTTP
import Linux
import Memory
import Routing
import Signals

/// What becomes of a request before any endpoint is asked.
enum RouteDecision {
    struct Target {
        var service: Int
        var route: Int
        var strippedBytes: Int
    }
    case forward(Target)
    case redirect(Int)
    case redirectToHTTPS
    case respond(Int)
    case denied, none, badPath
}

/// Routes, and the answers that come from them.
extension EdgeLoop where World: ~Copyable {
    mutating func route(_ exchange: Int, _ client: Int, in bytes: Span<UInt8>) -> RouteDecision {
        if settings.listeners[Int(clients[client].listener)].redirects { return .redirectToHTTPS }
        exchanges[exchange].service = 0
        exchanges[exchange].route = 0
        return .forward(.init(service: 0, route: 0, strippedBytes: 0))
    }

    /// Sends an answer that was written with the request's text.
    mutating func sendPrepared(_ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        exchanges[exchange].state.answerDirectly()
        let text = pool.bytes(of: exchanges[exchange].text)
        let answer = text.extracting(exchanges[exchange].head.indices)
        guard clients[client].outbound.append(answer, in: pool) else {
            return cut(exchange, .proxyInternalError)
        }
        flushClient(client)
    }

    func bodyLimit(of exchange: Int) -> UInt64 {
        settings.services[Int(exchanges[exchange].service)].bodyBytesMax
    }
}
