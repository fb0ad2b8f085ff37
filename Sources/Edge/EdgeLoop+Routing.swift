import Configuration
import HTTP
import Linux
import Memory
import Routing
import Signals

/// What becomes of a request before any endpoint is asked.
enum RouteDecision: Equatable {
    /// To the exchange's service, with so many leading bytes of the path taken off.
    case forward(strippedBytes: Int)
    /// A route sends it elsewhere, or answers it.
    case redirect(Int)
    case respond(Int)
    /// The listener sends everything to https.
    case redirectToHTTPS
    case denied, none, badPath
}

/// Routes, and the answers that come from them.
extension EdgeLoop where World: ~Copyable {
    /// Finds out where a request goes; the exchange's service and route are set.
    mutating func route(_ exchange: Int, _ client: Int, in bytes: Span<UInt8>) -> RouteDecision {
        exchanges[exchange].route = Int32(settings.ownRoute)
        if settings.listeners[Int(clients[client].listener)].redirects { return .redirectToHTTPS }
        switch routes.match(requestHead, in: bytes, peer: clientAddress) {
        case .none: return .none
        case .denied: return .denied
        case .ambiguous: return .badPath
        case .route(let number, let strippedBytes):
            exchanges[exchange].route = Int32(number)
            switch settings.routeKinds[number] {
            case .redirect: return .redirect(number)
            case .respond: return .respond(number)
            case .forward: break
            }
            let service = routes.nextService(of: number)
            exchanges[exchange].service = Int32(service)
            exchanges[exchange].keyHash = keyHashes[service].hash(
                requestHead, in: bytes, client: clientAddress)
            return .forward(strippedBytes: strippedBytes)
        }
    }

    /// Sends an answer that was written with the request's text.
    mutating func sendPrepared(_ exchange: Int) {
        let client = Int(exchanges[exchange].client)
        exchanges[exchange].state.answerDirectly()
        let text = pool.bytes(of: exchanges[exchange].text)
        let answer = text.extracting(exchanges[exchange].head.indices)
        guard clients[client].outbound.append(answer, in: pool) else {
            exchanges[exchange].result.status = 0
            return cut(exchange, .proxyInternalError)
        }
        flushClient(client)
    }

    func bodyLimit(of exchange: Int) -> UInt64 {
        settings.services[Int(exchanges[exchange].service)].bodyBytesMax
    }
}
