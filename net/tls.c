// SPDX-License-Identifier: BSD-3-Clause
//
// Making a TLS context from the settings, step by step; the first step that fails says why.
// Stateless: a context belongs to the caller. Invariant: a context that is handed out is complete,
// and nothing of a failed one is left. Called at the start, by CONFIG SET and on SIGHUP.
#include "net/tls.h"

#include "net/tls_kernel.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SESSION_ID_CONTEXT "torc"

void tls_reason(struct ssl_st *session, struct buf *out) {
    long verified = session != NULL ? SSL_get_verify_result(session) : X509_V_OK;
    unsigned long first = ERR_get_error();
    const char *reason = ERR_reason_error_string(first);
    char text[256];
    if (verified != X509_V_OK)
        buf_printf(out, "the peer's certificate is refused: %s",
                   X509_verify_cert_error_string(verified));
    else if (reason != NULL)
        buf_append_text(out, reason);
    else if (first != 0) {
        ERR_error_string_n(first, text, sizeof text);
        buf_append_text(out, text);
    } else
        buf_append_text(out, "the connection broke off");
    ERR_clear_error();
}

void tls_context_free(struct ssl_ctx_st *context) { SSL_CTX_free(context); }

void tls_session_free(struct ssl_st *session) { SSL_free(session); }

static bool fail(struct buf *error, const char *what, const char *value) {
    buf_printf(error, "%s '%s': ", what, value);
    tls_reason(NULL, error);
    return false;
}

static int give_password(char *out, int size, int writing, void *context) {
    const char *password = context;
    size_t n = strlen(password);
    (void)writing;
    if (n >= (size_t)size) return -1;
    memcpy(out, password, n + 1);
    return (int)n;
}

static bool set_protocols(SSL_CTX *ctx, const char *text, struct buf *error) {
    static const struct {
        const char *name;
        uint64_t off;
    } known[] = {{"TLSv1", SSL_OP_NO_TLSv1},
                 {"TLSv1.1", SSL_OP_NO_TLSv1_1},
                 {"TLSv1.2", SSL_OP_NO_TLSv1_2},
                 {"TLSv1.3", SSL_OP_NO_TLSv1_3}};
    const size_t count = sizeof known / sizeof known[0];
    uint64_t off = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
    if (text[0] != '\0') off |= SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, " "), i = 0;
        while (n > 0 && i < count &&
               (strlen(known[i].name) != n || strncasecmp(known[i].name, at, n) != 0))
            i++;
        if (i == count) {
            buf_printf(error,
                       "tls-protocols '%s': '%.*s' is none of TLSv1, TLSv1.1, TLSv1.2, "
                       "TLSv1.3",
                       text, (int)n, at);
            return false;
        }
        if (n > 0) off &= ~known[i].off;
        at += n + (at[n] == ' ');
    }
    if ((off & SSL_OP_NO_TLSv1_2) && (off & SSL_OP_NO_TLSv1_3) && (off & SSL_OP_NO_TLSv1) &&
        (off & SSL_OP_NO_TLSv1_1)) {
        buf_printf(error, "tls-protocols '%s' allows no protocol", text);
        return false;
    }
    SSL_CTX_set_options(ctx, off);
    return true;
}

static bool set_ciphers(SSL_CTX *ctx, const struct tls_settings *s, struct buf *error) {
    if (s->ciphers[0] != '\0' && !SSL_CTX_set_cipher_list(ctx, s->ciphers))
        return fail(error, "tls-ciphers", s->ciphers);
    if (s->ciphersuites[0] != '\0' && !SSL_CTX_set_ciphersuites(ctx, s->ciphersuites))
        return fail(error, "tls-ciphersuites", s->ciphersuites);
    if (s->prefer_server_ciphers) SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return true;
}

static bool load_key(SSL_CTX *ctx, const struct tls_settings *s, struct buf *error) {
    if (s->cert_file[0] == '\0' || s->key_file[0] == '\0') {
        buf_printf(error, "%s is not set", s->cert_file[0] ? "tls-key-file" : "tls-cert-file");
        return false;
    }
    SSL_CTX_set_default_passwd_cb(ctx, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, s->key_file_pass);
    bool ok = true;
    if (SSL_CTX_use_certificate_chain_file(ctx, s->cert_file) <= 0)
        ok = fail(error, "tls-cert-file", s->cert_file);
    else if (SSL_CTX_use_PrivateKey_file(ctx, s->key_file, SSL_FILETYPE_PEM) <= 0)
        ok = fail(error, "tls-key-file", s->key_file);
    // The settings do not outlive this call.
    SSL_CTX_set_default_passwd_cb(ctx, NULL);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    return ok;
}

static bool set_authorities(SSL_CTX *ctx, const struct tls_settings *s, struct buf *error) {
    const char *file = s->ca_cert_file[0] != '\0' ? s->ca_cert_file : NULL;
    const char *dir = s->ca_cert_dir[0] != '\0' ? s->ca_cert_dir : NULL;
    if (s->auth_clients == TLS_AUTH_NO) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    } else {
        if (file == NULL && dir == NULL) {
            buf_append_text(error, "tls-auth-clients asks for certificates, and neither "
                                   "tls-ca-cert-file nor tls-ca-cert-dir is set");
            return false;
        }
        int required = s->auth_clients == TLS_AUTH_YES ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | required, NULL);
    }
    if ((file != NULL || dir != NULL) && !SSL_CTX_load_verify_locations(ctx, file, dir))
        return fail(error, file != NULL ? "tls-ca-cert-file" : "tls-ca-cert-dir",
                    file != NULL ? file : dir);
    return true;
}

static bool set_dh_params(SSL_CTX *ctx, const char *path, struct buf *error) {
    if (path[0] == '\0') return true;
    EVP_PKEY *key = NULL;
    FILE *in = fopen(path, "r");
    OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(
        &key, "PEM", NULL, "DH", OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS, NULL, NULL);
    bool ok = in != NULL && decoder != NULL && OSSL_DECODER_from_fp(decoder, in) == 1;
    if (ok && SSL_CTX_set0_tmp_dh_pkey(ctx, key) != 1) {
        EVP_PKEY_free(key);
        ok = false;
    }
    if (!ok && in == NULL)
        buf_printf(error, "tls-dh-params-file '%s': can't be read", path);
    else if (!ok)
        fail(error, "tls-dh-params-file", path);
    OSSL_DECODER_CTX_free(decoder);
    if (in != NULL) fclose(in);
    return ok;
}

static void set_sessions(SSL_CTX *ctx, const struct tls_settings *s) {
    if (!s->session_caching) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        return;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ctx, (long)s->session_cache_size);
    SSL_CTX_set_timeout(ctx, (long)s->session_cache_timeout_s);
}

struct ssl_ctx_st *tls_context_new(const struct tls_settings *s, struct buf *error) {
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        fail(error, "TLS", "context");
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_SINGLE_DH_USE | SSL_OP_NO_SSLv3);
    // An idle session keeps no buffers; and whoever takes the output takes all of it.
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // Also without a cache: a client that brings its certificate may resume by a ticket.
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)SESSION_ID_CONTEXT,
                                   sizeof SESSION_ID_CONTEXT - 1);
    set_sessions(ctx, s);
    if (s->offload) tls_kernel_prepare(ctx);
    if (set_protocols(ctx, s->protocols, error) && set_ciphers(ctx, s, error) &&
        load_key(ctx, s, error) && set_authorities(ctx, s, error) &&
        set_dh_params(ctx, s->dh_params_file, error))
        return ctx;
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return NULL;
}
