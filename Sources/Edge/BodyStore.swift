import Linux
import Memory

/// A request's body that is collected before a worker is taken: first in memory, then in a file.
///
/// It is kept until the request ends, and can be sent a second time until its answer begins.
struct BodyStore: ~Copyable {
    /// Why a body could not be collected.
    enum Fault: Error {
        /// The edge has no block left.
        case memoryIsScarce
        /// The spool has no room, or cannot be written.
        case spool(SystemError)
    }

    /// The beginning of the body, at most `limits.body_memory`.
    private var memory = BlockChain()
    /// What came after it.
    private var file: SpoolFile?
    /// What came last: written to the file when it has grown, so that small pieces do not cost a
    /// write each.
    private var end = BlockChain()
    /// The next block of `memory` or `end` to be read, `.none` when all have been.
    private var cursor = BlockID.none
    private var isRewound = true
    private var isAtEnd = false

    init() {}

    /// Bytes of the body so far.
    private(set) var count: UInt64 = 0

    /// Takes over bytes of a block behind those that are there.
    ///
    /// - Parameter memoryMax: bytes to hold in memory, fewer while blocks are scarce; what goes
    ///   beyond is written to a file in `folder`.
    mutating func append(
        _ bytes: Span<UInt8>, memoryMax: Int, folder: borrowing FolderPath,
        in pool: BlockPool
    ) throws(Fault) {
        let size = pool.isScarce ? BlockSize.small : .large
        let most = pool.isScarce ? min(memoryMax, size.bytes) : memoryMax
        if file == nil, end.isEmpty, memory.count + bytes.count <= most {
            guard memory.append(bytes, in: pool) else { throw .memoryIsScarce }
            count += UInt64(bytes.count)
            return
        }
        guard end.append(bytes, in: pool) else { throw .memoryIsScarce }
        count += UInt64(bytes.count)
        guard end.count >= size.bytes else { return }
        do throws(SystemError) {
            if file == nil { file = try SpoolFile(in: folder) }
            try file!.append(end, of: pool)
            end.giveAll(to: pool)
        } catch {
            throw .spool(error)
        }
    }

    /// Begins to read from the first byte.
    mutating func rewind() {
        isRewound = true
        file?.rewind()
    }

    /// Copies the next bytes of the body behind a chain's last one.
    ///
    /// - Returns: how many; 0 when the whole body has been read.
    mutating func read(
        into chain: inout BlockChain, in pool: BlockPool
    ) throws(Fault) -> Int {
        if isRewound {
            cursor = memory.first
            isRewound = false
            isAtEnd = false
        }
        while true {
            if !cursor.isNone {
                let count = pool.count(of: cursor)
                guard chain.append(pool.bytes(of: cursor), in: pool) else {
                    throw .memoryIsScarce
                }
                cursor = memory.block(after: cursor, in: pool)
                return count
            }
            guard !isAtEnd else { return 0 }
            let count = try readFile(into: &chain, in: pool)
            if count > 0 { return count }
            isAtEnd = true
            cursor = end.first
        }
    }

    private mutating func readFile(
        into chain: inout BlockChain, in pool: BlockPool
    ) throws(Fault) -> Int {
        guard file != nil else { return 0 }
        let block = pool.takeForBytes()
        guard !block.isNone else { throw .memoryIsScarce }
        do throws(SystemError) {
            let count = try file!.read(into: block, of: pool)
            chain.append(block, in: pool)
            return count
        } catch {
            pool.give(block)
            throw .spool(error)
        }
    }

    /// Gives the memory back and lets the file vanish.
    mutating func clear(in pool: BlockPool) {
        memory.giveAll(to: pool)
        end.giveAll(to: pool)
        file = nil
        cursor = .none
        isRewound = true
        count = 0
    }
}
