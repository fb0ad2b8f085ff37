/// `text` with `${NAME}` and `${NAME:-default}` filled in; `$${` is a literal `${`.
///
/// An unset variable without a default is a complaint; an empty one counts as unset where there is
/// a default.
package func withEnvironment(
    _ text: String, _ environment: [String: String]
) throws(Complaint) -> String {
    guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
    var result: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let dollar = rest.firstIndex(of: UInt8(ascii: "$")) {
        result += rest[..<dollar]
        rest = rest[dollar...]
        if rest.starts(with: "$${".utf8) {
            result += "${".utf8
            rest = rest.dropFirst(3)
        } else if rest.starts(with: "${".utf8) {
            guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                throw Complaint("\(quoted(text)): ${ without its }; a literal ${ is written $${")
            }
            let inner = String(decoding: rest[(dollar + 2)..<end], as: UTF8.self)
            result += try value(of: inner, in: text, environment).utf8
            rest = rest[(end + 1)...]
        } else {
            result.append(rest.removeFirst())
        }
    }
    return String(decoding: result + rest, as: UTF8.self)
}

private func value(
    of inner: String, in text: String, _ environment: [String: String]
) throws(Complaint) -> String {
    let name = inner.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    let rest = inner.dropFirst(name.count)
    guard let first = name.first, !first.isNumber, rest.isEmpty || rest.hasPrefix(":-") else {
        throw Complaint(
            "\(quoted(text)): ${\(inner)} names no environment variable; "
                + "write ${NAME} or ${NAME:-default}, and $${ for a literal ${")
    }
    let value = environment[String(name)]
    if rest.isEmpty {
        guard let value else {
            throw Complaint(
                "the environment variable \(name) is not set; "
                    + "set it, or write ${\(name):-default}")
        }
        return value
    }
    return value.flatMap { $0.isEmpty ? nil : $0 } ?? String(rest.dropFirst(2))
}
