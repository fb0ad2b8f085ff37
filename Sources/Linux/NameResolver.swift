import CCares

/// Looks names up by the system's configuration (hosts file and DNS), several at once, with the
/// answers' time to live.
///
/// It waits in `wait`, so it lives in a process of its own.
@safe
package struct NameResolver: ~Copyable {
    /// What became of one question.
    package enum Answer: Equatable, Sendable {
        /// The addresses as text, and for how many seconds they hold; nil when the source does not
        /// say.
        case found([String], seconds: Int?)
        /// Why there are none.
        case failed(String)
    }

    private let resolver: OpaquePointer

    /// Throws `ENOMEM` when the system's configuration cannot be read.
    package init() throws(SystemError) {
        guard let resolver = unsafe ccares_new() else { throw SystemError("ares_init", number: 12) }
        unsafe self.resolver = resolver
    }

    deinit { unsafe ccares_free(resolver) }

    /// Asks for all addresses of a name; the answer comes under `question`.
    package func ask(_ name: String, question: UInt64) {
        unsafe ccares_ask(resolver, name, question)
    }

    /// Waits for answers; true when `control` is readable.
    package func wait(control: Int32, milliseconds: Int32) -> Bool {
        unsafe ccares_wait(resolver, control, milliseconds) != 0
    }

    /// The oldest answer that has come; nil when there is none.
    package func take() -> (question: UInt64, answer: Answer)? {
        var answer = ccares_answer()
        guard unsafe ccares_take(resolver, &answer) != 0 else { return nil }
        guard answer.status == 0, answer.count > 0 else {
            let reason = unsafe String(cString: ccares_error(answer.status))
            return (answer.question, .failed(answer.status == 0 ? "no addresses" : reason))
        }
        let addresses = (0..<answer.count).map {
            unsafe String(cString: ccares_address(resolver, $0))
        }
        return (
            answer.question,
            .found(addresses, seconds: answer.ttl < 0 ? nil : Int(answer.ttl))
        )
    }
}
