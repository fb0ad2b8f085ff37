import HTTP
import Linux
import Memory
import Signals

/// The client's share of an answer: what waits for it in memory, what waits in a file, and the end.
extension EdgeLoop where World: ~Copyable {
    /// Puts body bytes of an answer behind what waits for the client, framed as the client is told.
    ///
    /// - Returns: false when there is no room in the file and what is in it goes before, or the
    ///   edge has no block left; nothing has changed then.
    mutating func appendAnswer(_ exchange: Int, _ data: Span<UInt8>) -> Bool {
        let client = Int(exchanges[exchange].client)
        let isChunked = exchanges[exchange].has(.chunksAnswer)
        guard isSpooling(exchange) || mustSpool(exchange, data.count) else {
            return append(data, inChunks: isChunked, to: &clients[client].outbound)
        }
        var piece = BlockChain()
        defer { piece.giveAll(to: pool) }
        guard append(data, inChunks: isChunked, to: &piece) else { return false }
        return spool(exchange, piece)
    }

    /// Whether a part of the answer waits in a file: what comes now goes behind it.
    func isSpooling(_ exchange: Int) -> Bool {
        let spool = Int(exchanges[exchange].spool)
        return spool >= 0 && spools[spool].count > 0
    }

    /// Whether memory is full and the file may be used.
    func mustSpool(_ exchange: Int, _ count: Int) -> Bool {
        guard exchanges[exchange].has(.buffersAnswer) else { return false }
        let waiting = clients[Int(exchanges[exchange].client)].outbound.count
        return waiting + count > settings.options.limits.responseMemoryBytes && maySpool(exchange)
    }

    /// Whether the file has room by its limit, and has not failed.
    func maySpool(_ exchange: Int) -> Bool {
        guard !exchanges[exchange].has(.spoolFailed) else { return false }
        let spool = Int(exchanges[exchange].spool)
        guard spool >= 0 else {
            return settings.options.limits.responseFileBytes > 0 && !spools.isFull
        }
        return spools[spool].written < UInt64(settings.options.limits.responseFileBytes)
    }

    /// Writes to the answer's file. Where that fails the bytes stay in memory and the endpoint has
    /// to wait.
    private mutating func spool(_ exchange: Int, _ piece: BlockChain) -> Bool {
        let client = Int(exchanges[exchange].client)
        do throws(SystemError) {
            if exchanges[exchange].spool < 0 {
                let file = try SpoolFile(in: settings.spoolFolder)
                exchanges[exchange].spool = Int32(spools.insert(file))
            }
            try spools[Int(exchanges[exchange].spool)].append(piece, of: pool)
            return true
        } catch {
            reportSpool(error)
            exchanges[exchange].set(.spoolFailed)
            // Order holds: memory takes it only when nothing waits in the file before it.
            guard !isSpooling(exchange) else { return false }
            return piece.appendCopy(to: &clients[client].outbound, in: pool)
        }
    }

    /// Reads the next part of the answer back from its file; what waits for the file's end follows
    /// it.
    ///
    /// - Returns: whether there is something to send now; false also when the exchange has ended over
    ///   it.
    mutating func refillFromSpool(_ exchange: Int) -> Bool {
        let client = Int(exchanges[exchange].client)
        guard isSpooling(exchange) else {
            guard !exchanges[exchange].answerEnd.isEmpty else { return false }
            clients[client].outbound.append(
                contentsOf: &exchanges[exchange].answerEnd, in: pool)
            return true
        }
        let block = pool.take(.large)
        guard !block.isNone else {
            pauseForMemory(Token(.client, client, generation: clients.generation(at: client)))
            return false
        }
        do throws(SystemError) {
            _ = try spools[Int(exchanges[exchange].spool)].read(into: block, of: pool)
        } catch {
            reportSpool(error)
        }
        guard pool.count(of: block) > 0 else {
            pool.give(block)
            fail(exchange, .proxyInternalError)
            return false
        }
        // The limit is the file's: an emptied one has room again.
        if !isSpooling(exchange) { spools[Int(exchanges[exchange].spool)].restart() }
        clients[client].outbound.append(block, in: pool)
        return true
    }

    /// The client has taken everything there was: the answer is complete, or its endpoint may go
    /// on.
    mutating func clientDrained(_ exchange: Int) {
        if isSpooling(exchange) { return }
        let client = Int(exchanges[exchange].client)
        if clients[client].has(.isTimed) {
            clients[client].clear(.isTimed)
            if clients[client].phase == .busy { setBodyDeadline(exchange) }
        }
        switch exchanges[exchange].state.phase {
        case .delivering:
            perform(exchanges[exchange].state.handle(.delivered), exchange)
        case .answering, .tunneling:
            let upstream = Int(exchanges[exchange].upstream)
            guard upstream >= 0 else { return }
            if upstreams[upstream].has(.readable) || upstreams[upstream].has(.isHeld) {
                queue(upstream: upstream)
            }
            if exchanges[exchange].state.phase == .tunneling { tunnelDrained(exchange) }
        default: break
        }
    }

    /// Puts framing behind everything that waits for the client, in its file if a part does. It is
    /// little, and the last of an answer: where the file takes no more it stays in memory.
    mutating func putBehind(_ exchange: Int, _ piece: inout BlockChain) {
        let client = Int(exchanges[exchange].client)
        guard isSpooling(exchange) else {
            return clients[client].outbound.append(contentsOf: &piece, in: pool)
        }
        if spool(exchange, piece) {
            piece.giveAll(to: pool)
        } else {
            exchanges[exchange].answerEnd.append(contentsOf: &piece, in: pool)
        }
    }

    /// Copies bytes behind a chain's last one, as one chunk if asked (RFC 9112 section 7.1).
    ///
    /// - Returns: false, with nothing written, when the edge has no block left.
    func append(
        _ data: Span<UInt8>, inChunks: Bool, to chain: inout BlockChain
    ) -> Bool {
        guard inChunks else { return chain.append(data, in: pool) }
        guard data.count > 0 else { return true }
        if data.count + EdgeLimits.chunkFramingBytesMax <= chain.room(in: pool) {
            return writeChunk(data, to: &chain)
        }
        var chunk = BlockChain()
        guard writeChunk(data, to: &chunk) else {
            chunk.giveAll(to: pool)
            return false
        }
        chain.append(contentsOf: &chunk, in: pool)
        return true
    }

    /// - Returns: false, with a part written, when the edge has no block left.
    private func writeChunk(_ data: Span<UInt8>, to chain: inout BlockChain) -> Bool {
        chain.append(framing.fill { $0.write(chunkSize: data.count) }, in: pool)
            && chain.append(data, in: pool)
            && chain.append(framing.fill { $0.writeChunkEnd() }, in: pool)
    }
}
