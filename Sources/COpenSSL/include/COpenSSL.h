/// OpenSSL 3.0's headers and the macros of it that Swift cannot import. No logic lives here.
#pragma once
#include <errno.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline int copenssl_errno(void) { return errno; }

/// The two calls behind a TLS socket. Flags are enumerators here and macros there, by who includes first.
static inline ssize_t copenssl_receive(int socket, void *buffer, size_t size) { return recv(socket, buffer, size, 0); }
static inline ssize_t copenssl_send(int socket, const void *buffer, size_t size) { return send(socket, buffer, size, MSG_NOSIGNAL); }

// SSL_CTX: macros over SSL_CTX_ctrl
static inline int copenssl_set_min_version(SSL_CTX *c, int v) { return (int)SSL_CTX_set_min_proto_version(c, v); }
static inline int copenssl_set_max_version(SSL_CTX *c, int v) { return (int)SSL_CTX_set_max_proto_version(c, v); }
static inline int copenssl_set_groups(SSL_CTX *c, const char *list) { return (int)SSL_CTX_set1_groups_list(c, list); }
static inline void copenssl_set_mode(SSL_CTX *c, long mode) { SSL_CTX_set_mode(c, mode); }
static inline void copenssl_set_read_ahead(SSL_CTX *c) { SSL_CTX_set_read_ahead(c, 1); }
static inline void copenssl_set_dh_auto(SSL_CTX *c) { SSL_CTX_set_dh_auto(c, 1); }
static inline void copenssl_set_cache_mode(SSL_CTX *c, long mode) { SSL_CTX_set_session_cache_mode(c, mode); }
static inline void copenssl_set_servername_callback(SSL_CTX *c, int (*callback)(SSL *, int *, void *), void *argument) {
    SSL_CTX_set_tlsext_servername_callback(c, callback);
    SSL_CTX_set_tlsext_servername_arg(c, argument);
}

// Options are shifts, which Swift does not import
static const uint64_t copenssl_op_common = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION;
static const uint64_t copenssl_op_no_ticket = SSL_OP_NO_TICKET;
static const uint64_t copenssl_op_server_preference = SSL_OP_CIPHER_SERVER_PREFERENCE;
static const unsigned long copenssl_name_flags = XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ & ~ASN1_STRFLGS_ESC_MSB;

// SSL: macros over SSL_ctrl
static inline int copenssl_set_host_name(SSL *s, const char *name) { return (int)SSL_set_tlsext_host_name(s, name); }
static inline int copenssl_negotiated_group(SSL *s) { return (int)SSL_get_negotiated_group(s); }

// Typed stacks: macros over OPENSSL_STACK
static inline STACK_OF(X509) *copenssl_chain_new(void) { return sk_X509_new_null(); }
static inline int copenssl_chain_push(STACK_OF(X509) *chain, X509 *one) { return sk_X509_push(chain, one); }
static inline int copenssl_chain_count(const STACK_OF(X509) *chain) { return sk_X509_num(chain); }
static inline X509 *copenssl_chain_at(const STACK_OF(X509) *chain, int index) { return sk_X509_value(chain, index); }
static inline void copenssl_chain_free(STACK_OF(X509) *chain) { sk_X509_pop_free(chain, X509_free); }
static inline int copenssl_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline GENERAL_NAME *copenssl_names_at(const GENERAL_NAMES *names, int index) { return sk_GENERAL_NAME_value(names, index); }
static inline GENERAL_NAMES *copenssl_names_new(void) { return sk_GENERAL_NAME_new_null(); }
/// Adds an address, which the list takes over, or without one a DNS name.
static inline int copenssl_names_add(GENERAL_NAMES *names, ASN1_OCTET_STRING *address, const unsigned char *dns, int count) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = address ? NULL : ASN1_IA5STRING_new();
    if (name == NULL || (text == NULL && address == NULL)) { ASN1_OCTET_STRING_free(address); GENERAL_NAME_free(name); return 0; }
    if (text != NULL) ASN1_STRING_set(text, dns, count);
    GENERAL_NAME_set0_value(name, address ? GEN_IPADD : GEN_DNS, address ? (void *)address : (void *)text);
    return sk_GENERAL_NAME_push(names, name) > 0;
}
static inline int copenssl_ciphers_count(const STACK_OF(SSL_CIPHER) *ciphers) { return sk_SSL_CIPHER_num(ciphers); }
static inline const SSL_CIPHER *copenssl_ciphers_at(const STACK_OF(SSL_CIPHER) *ciphers, int index) { return sk_SSL_CIPHER_value(ciphers, index); }

// Parameter names have to be C strings that outlive the call: string literals here.
static inline int copenssl_hmac_sha256_init(EVP_MAC_CTX *context, const unsigned char *key, size_t count) {
    OSSL_PARAM parameters[2] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_init(context, key, count, parameters);
}
static inline EVP_PKEY *copenssl_make_p256_key(void) { return EVP_EC_gen("P-256"); }
