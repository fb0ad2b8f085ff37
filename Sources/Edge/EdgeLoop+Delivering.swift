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
        let isChunked = exchanges[exchange].has(.chunksAnswer)
        guard isSpooling(exchange) || mustSpool(exchange, data.count) else {
            let client = Int(exchanges[exchange].client)
            return append(data, inChunks: isChunked, to: &clients[client].outbound)
        }
        guard !exchanges[exchange].has(.spoolFailed),
            append(data, inChunks: isChunked, to: &exchanges[exchange].spoolEnd)
        else { return false }
        exchanges[exchange].set(.isSpooling)
        spoolIfGrown(exchange)
        return true
    }

    /// Whether a part of the answer waits for its file or in it: what comes now goes behind it.
    func isSpooling(_ exchange: Int) -> Bool { exchanges[exchange].has(.isSpooling) }

    /// Bytes of an answer that wait in memory, and of any side that wait to be sent before no more
    /// are read for it: little while blocks are scarce, so that slow clients cannot hold all of
    /// them.
    var responseMemoryMax: Int {
        let most = settings.options.limits.responseMemoryBytes
        return pool.isScarce ? min(most, BlockSize.small.bytes) : most
    }

    var unsentBytesMax: Int {
        pool.isScarce ? BlockSize.small.bytes : EdgeLimits.unsentBytesMax
    }

    /// Whether memory is full and the file may be used.
    func mustSpool(_ exchange: Int, _ count: Int) -> Bool {
        guard exchanges[exchange].has(.buffersAnswer) else { return false }
        let waiting = clients[Int(exchanges[exchange].client)].outbound.count
        return waiting + count > responseMemoryMax && maySpool(exchange)
    }

    /// Whether the file has room by its limit, and has not failed.
    func maySpool(_ exchange: Int) -> Bool {
        guard !exchanges[exchange].has(.spoolFailed) else { return false }
        let spool = Int(exchanges[exchange].spool)
        if spool < 0, spools.isFull { return false }
        let written = spool >= 0 ? spools[spool].written : 0
        let count = written + UInt64(exchanges[exchange].spoolEnd.count)
        return count < UInt64(settings.options.limits.responseFileBytes)
    }

    /// Writes what has gathered for the answer's file when it is a block's worth, so that small
    /// pieces do not cost a write each. Where that fails the bytes stay in memory and the endpoint
    /// has to wait.
    private mutating func spoolIfGrown(_ exchange: Int) {
        let size = pool.isScarce ? BlockSize.small : .large
        guard exchanges[exchange].spoolEnd.count >= size.bytes,
            !exchanges[exchange].has(.spoolFailed)
        else { return }
        do throws(SystemError) {
            if exchanges[exchange].spool < 0 {
                let file = try SpoolFile(in: settings.spoolFolder)
                exchanges[exchange].spool = Int32(spools.insert(file))
            }
            try spools[Int(exchanges[exchange].spool)].append(
                exchanges[exchange].spoolEnd, of: pool)
            exchanges[exchange].spoolEnd.giveAll(to: pool)
        } catch {
            reportSpool(error)
            exchanges[exchange].set(.spoolFailed)
        }
    }

    /// Reads the next part of the answer back from its file; what has gathered for the file's end
    /// follows it from memory.
    ///
    /// - Returns: whether there is something to send now; false also when the exchange has ended
    ///   over it.
    mutating func refillFromSpool(_ exchange: Int) -> Bool {
        guard isSpooling(exchange) else { return false }
        let client = Int(exchanges[exchange].client)
        let spool = Int(exchanges[exchange].spool)
        guard spool >= 0, spools[spool].count > 0 else {
            exchanges[exchange].clear(.isSpooling)
            clients[client].outbound.append(contentsOf: &exchanges[exchange].spoolEnd, in: pool)
            return !clients[client].outbound.isEmpty
        }
        let block = pool.takeForBytes()
        guard !block.isNone else {
            pauseForMemory(Token(.client, client, generation: clients.generation(at: client)))
            return false
        }
        do throws(SystemError) {
            _ = try spools[spool].read(into: block, of: pool)
        } catch {
            reportSpool(error)
        }
        guard pool.count(of: block) > 0 else {
            pool.give(block)
            fail(exchange, .proxyInternalError)
            return false
        }
        // The limit is the file's: an emptied one has room again.
        if spools[spool].count == 0 { spools[spool].restart() }
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

    /// Puts framing, a block of it, behind everything that waits for the client. It is little, and
    /// the last of an answer: there is always room.
    mutating func putBehind(_ exchange: Int, _ block: BlockID) {
        guard isSpooling(exchange) else {
            return clients[Int(exchanges[exchange].client)].outbound.append(block, in: pool)
        }
        exchanges[exchange].spoolEnd.append(block, in: pool)
        spoolIfGrown(exchange)
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
