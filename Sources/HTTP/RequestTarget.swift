import Memory

extension RequestHead {
    /// Takes the target apart (RFC 9112 section 3.2).
    ///
    /// - Parameter queryMark: where the first `?` is.
    mutating func readTarget(_ bytes: Span<UInt8>, queryMark: Int?) -> Refusal? {
        guard method != .connect else { return .connectMethod }
        let start = Int(target.start)
        if bytes[start] == 0x2f {
            targetForm = .origin
            splitPath(from: start, queryMark: queryMark)
            return nil
        }
        if target.count == 1, bytes[start] == 0x2a {
            targetForm = .asterisk
            return method == .options ? nil : .oddTarget
        }
        targetForm = .absolute
        return readAbsoluteTarget(bytes, queryMark: queryMark)
    }

    private mutating func readAbsoluteTarget(_ bytes: Span<UInt8>, queryMark: Int?) -> Refusal? {
        let start = Int(target.start)
        let plain = ByteRange(start: start, count: min(7, Int(target.count)))
        let secure = ByteRange(start: start, count: min(8, Int(target.count)))
        let authorityStart: Int
        if bytes.equals(plain, ignoringCase: "http://") {
            authorityStart = plain.end
        } else if bytes.equals(secure, ignoringCase: "https://") {
            authorityStart = secure.end
        } else {
            return hasScheme(bytes) ? .oddScheme : .oddTarget
        }
        let stop = queryMark ?? target.end
        var authorityEnd = authorityStart
        while authorityEnd < stop, bytes[authorityEnd] != 0x2f { authorityEnd += 1 }
        guard authorityEnd >= authorityStart else { return .badAuthority }
        let range = ByteRange(start: authorityStart, count: authorityEnd - authorityStart)
        guard let authority = Authority(range, in: bytes) else { return .badAuthority }
        setHost(range, authority)
        splitPath(from: authorityEnd, queryMark: queryMark)
        return nil
    }

    mutating func setHost(_ range: ByteRange, _ authority: Authority) {
        host = range
        hostName = authority.name
        hostPort = authority.port
    }

    private func hasScheme(_ bytes: Span<UInt8>) -> Bool {
        for index in target.indices where bytes[index] == Characters.colon {
            return index + 2 < target.end && bytes[index + 1] == 0x2f && bytes[index + 2] == 0x2f
        }
        return false
    }

    private mutating func splitPath(from start: Int, queryMark: Int?) {
        let end = target.end
        path = ByteRange(start: start, count: (queryMark ?? end) - start)
        hasQuery = queryMark != nil
        if let queryMark { query = ByteRange(start: queryMark + 1, count: end - queryMark - 1) }
    }
}
