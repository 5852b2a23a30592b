// SPDX-License-Identifier: BSD-3-Clause
//
// TLS contexts: certificates, key and rules of the server's side, made from settings (Redis's tls-*
// directives), and the texts of OpenSSL's errors. A context is immutable once it is made and
// counted by reference; sessions hold a reference of their own, so a new context leaves those that
// run alone. Any thread. The handshake is tls_handshake.h's, records are io_tls.h's.
#ifndef TORC_NET_TLS_H
#define TORC_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/buf.h"

struct ssl_ctx_st; // OpenSSL's SSL_CTX
struct ssl_st;     // and SSL

enum tls_auth { TLS_AUTH_NO, TLS_AUTH_YES, TLS_AUTH_OPTIONAL };

/** The texts are never NULL; empty: not set. */
struct tls_settings {
    char *cert_file, *key_file, *key_file_pass;
    char *ca_cert_file, *ca_cert_dir;
    char *protocols, *ciphers, *ciphersuites;
    char *dh_params_file;
    int auth_clients; // enum tls_auth
    bool prefer_server_ciphers;
    bool session_caching;
    bool offload; // records go to the kernel, where it takes them: tls_kernel.h
    int64_t session_cache_size, session_cache_timeout_s;
};

/** Makes a server's context. NULL: error gets one line that says what is wrong with what. */
struct ssl_ctx_st *tls_context_new(const struct tls_settings *settings, struct buf *error);
/** Drops a reference; NULL is allowed. */
void tls_context_free(struct ssl_ctx_st *context);

/**
 * Appends the reason of the latest failure on this thread, and forgets it: that of the peer's
 * certificate when session (may be NULL) has refused it, OpenSSL's otherwise.
 */
void tls_reason(struct ssl_st *session, struct buf *out);

/** Ends a session that nobody attached to an io. */
void tls_session_free(struct ssl_st *session);

#endif
