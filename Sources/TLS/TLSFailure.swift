import COpenSSL
import Memory

/// Why a handshake or a TLS connection failed: a closed reason for logs and signals, and OpenSSL's
/// own number.
public struct TLSFailure: Error, Equatable, Sendable {
    /// The causes that are told apart. The words are those of `tls_handshake_failed`'s `reason`.
    public enum Reason: UInt8, Sendable, CaseIterable {
        /// A plain HTTP request came where TLS was expected.
        case httpRequest
        /// What came is no TLS.
        case notTLS
        /// No version that both sides speak.
        case unsupportedVersion
        /// No cipher that both sides speak (or none that fits the certificate).
        case noSharedCipher
        /// No group for the key exchange that both sides speak.
        case noSharedGroup
        /// No way of signing that both sides speak.
        case noSharedSignature
        /// ALPN: the client offers only protocols that we do not speak (RFC 7301 section 3.2).
        case noApplicationProtocol
        /// The peer refused our certificate (alerts 42 to 48).
        case certificateRefused
        /// Our check of the peer's certificate failed (upstreams); `code` is the `X509_V_ERR_…`
        /// number.
        case certificateUntrusted
        /// The peer's certificate is good, but for another name (upstreams); `code` likewise.
        case certificateNameMismatch
        /// The peer sent another fatal alert.
        case peerAlert
        /// A record that is malformed, too long, or does not decrypt.
        case badRecord
        /// A handshake message that is malformed or out of order.
        case badMessage
        /// The peer closed without a word.
        case closed
        /// The connection was reset, or another error of the socket; `code` is `errno`.
        case reset
        /// The handshake took too long; only the edge says so.
        case timeout
        /// OpenSSL failed by itself (no memory).
        case internalError
    }

    public let reason: Reason
    /// The number of the fatal alert that ended it (RFC 8446 section 6), the peer's or ours, or 0.
    public let alert: UInt8
    /// For the error log: OpenSSL's error number, or what `reason` says about it.
    public let code: UInt32

    public init(_ reason: Reason, alert: UInt8 = 0, code: UInt32 = 0) {
        self.reason = reason
        self.alert = alert
        self.code = code
    }

    /// True where the peer's certificate is at fault: `tls_certificate_error`, else
    /// `tls_protocol_error`.
    public var isCertificateError: Bool {
        reason == .certificateUntrusted || reason == .certificateNameMismatch
    }

    /// What OpenSSL's check of the peer's certificate has found.
    ///
    /// - Parameter verdict: an `X509_V_ERR_…` number.
    static func certificate(verdict: Int, alert: UInt8) -> TLSFailure {
        let isOther =
            [X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH].contains(Int32(verdict))
        return TLSFailure(
            isOther ? .certificateNameMismatch : .certificateUntrusted, alert: alert,
            code: UInt32(truncatingIfNeeded: verdict))
    }
}

extension TLSFailure.Reason {
    /// The word in logs and signals.
    public var word: StaticString {
        switch self {
        case .httpRequest: "http_request"
        case .notTLS: "not_tls"
        case .unsupportedVersion: "unsupported_version"
        case .noSharedCipher: "no_shared_cipher"
        case .noSharedGroup: "no_shared_group"
        case .noSharedSignature: "no_shared_signature"
        case .noApplicationProtocol: "no_application_protocol"
        case .certificateRefused: "certificate_refused"
        case .certificateUntrusted: "certificate_untrusted"
        case .certificateNameMismatch: "certificate_name_mismatch"
        case .peerAlert: "peer_alert"
        case .badRecord: "bad_record"
        case .badMessage: "bad_message"
        case .closed: "closed"
        case .reset: "reset"
        case .timeout: "timeout"
        case .internalError: "internal_error"
        }
    }
}

extension TLSFailure: CustomStringConvertible {
    /// For the error log: the word, then OpenSSL's own text, e.g. `certificate_untrusted:
    /// certificate has expired`.
    public var description: String {
        let word = reason.word.description
        switch reason {
        case .certificateUntrusted, .certificateNameMismatch:
            return unsafe "\(word): \(String(cString: X509_verify_cert_error_string(Int(code))))"
        case .reset, .closed, .timeout:
            return word
        default:
            guard let text = unsafe ERR_reason_error_string(UInt(code)) else { return word }
            return unsafe "\(word): \(String(cString: text))"
        }
    }
}

extension TLSFailure {
    /// Takes the first error of OpenSSL's queue and empties it.
    ///
    /// - Parameter alertSent: named where the peer sent no alert of its own.
    static func fromErrorQueue(alertSent: UInt8) -> TLSFailure {
        let packed = ERR_peek_error()
        ERR_clear_error()
        let code = UInt32(truncatingIfNeeded: packed)
        guard packed >> UInt(ERR_LIB_OFFSET) & UInt(ERR_LIB_MASK) == UInt(ERR_LIB_SSL) else {
            return TLSFailure(.internalError, alert: alertSent, code: code)
        }
        let number = Int32(truncatingIfNeeded: packed & UInt(ERR_REASON_MASK))
        guard number > SSL_AD_REASON_OFFSET, number <= SSL_AD_REASON_OFFSET + 255 else {
            return TLSFailure(reason(of: number), alert: alertSent, code: code)
        }
        let alert = UInt8(number - SSL_AD_REASON_OFFSET)
        let reason: Reason =
            switch alert {
            case 42...48: .certificateRefused
            case 70: .unsupportedVersion
            case 120: .noApplicationProtocol
            default: .peerAlert
            }
        return TLSFailure(reason, alert: alert, code: code)
    }

    private static func reason(of number: Int32) -> Reason {
        switch number {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: .httpRequest
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL: .notTLS
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_UNSUPPORTED_SSL_VERSION, SSL_R_VERSION_TOO_LOW,
            SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_INAPPROPRIATE_FALLBACK:
            .unsupportedVersion
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_CIPHERS_AVAILABLE, SSL_R_WRONG_CIPHER_RETURNED,
            SSL_R_UNKNOWN_CIPHER_RETURNED:
            .noSharedCipher
        case SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SUITABLE_GROUPS, SSL_R_NO_SHARED_GROUPS,
            SSL_R_BAD_KEY_SHARE, SSL_R_WRONG_CURVE:
            .noSharedGroup
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
            .noSharedSignature
        case SSL_R_NO_APPLICATION_PROTOCOL: .noApplicationProtocol
        case SSL_R_CERTIFICATE_VERIFY_FAILED: .certificateUntrusted
        case SSL_R_UNEXPECTED_EOF_WHILE_READING: .closed
        case SSL_R_BAD_RECORD_TYPE, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
            SSL_R_DECRYPTION_FAILED, SSL_R_DATA_LENGTH_TOO_LONG, SSL_R_ENCRYPTED_LENGTH_TOO_LONG,
            SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_BAD_PACKET_LENGTH,
            SSL_R_DATA_BETWEEN_CCS_AND_FINISHED,
            SSL_R_RECORD_TOO_SMALL, SSL_R_RECORD_LENGTH_MISMATCH, SSL_R_BAD_LENGTH,
            SSL_R_TOO_MANY_WARN_ALERTS, SSL_R_UNEXPECTED_RECORD:
            .badRecord
        case SSL_R_LIBRARY_BUG, Int32(ERR_R_MALLOC_FAILURE), Int32(ERR_R_INTERNAL_ERROR):
            .internalError
        default: .badMessage
        }
    }
}
