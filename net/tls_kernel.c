// SPDX-License-Identifier: BSD-3-Clause
//
// Keys for the kernel. OpenSSL does not tell traffic keys, but what they follow from: for TLS 1.3
// the traffic secrets (as for a key log), for TLS 1.2 the master secret; keys are derived as RFC
// 8446, section 7.3, and RFC 5246, section 6.3, say. The number of the next record is known as
// well: the peer has sent none under these keys that was not data, and ours are counted as they go
// out (tickets). Runs on handshake threads; the rest on the io's. Invariant: keys are wiped as soon
// as the kernel has them, or does not want them.
#include "net/tls_kernel.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"
#include "engine/base/log.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#define SECRET_MAX     48 // SHA-384
#define KEY_MAX        32
#define IV_BYTES       12
#define SALT_BYTES     4 // of the 12, fixed for all records
#define ALERT_WARNING  1
#define CLOSE_NOTIFY   0
#define RECORD_ALERT   21
#define RECORD_SHAKING 22

/** What a session keeps for us until its handshake is over. */
struct kept {
    unsigned char client[SECRET_MAX], server[SECRET_MAX]; // TLS 1.3
    size_t client_length, server_length;
    bool finished;    // our Finished has gone out ...
    uint64_t records; // ... and so many records behind it
};

struct direction {
    unsigned char key[KEY_MAX], iv[IV_BYTES];
    uint64_t sequence;
};

/** A cipher as the kernel and OpenSSL know it. */
struct cipher {
    int nid;
    uint16_t kernel;
    size_t key_length;
    const char *name, *suite_13; // TLS 1.2: without how keys were agreed on, which it does not know
};

static const struct cipher ciphers[] = {
    {NID_aes_128_gcm, TLS_CIPHER_AES_GCM_128, 16, "AES128-GCM", "TLS_AES_128_GCM_SHA256"},
    {NID_aes_256_gcm, TLS_CIPHER_AES_GCM_256, 32, "AES256-GCM", "TLS_AES_256_GCM_SHA384"},
    {NID_chacha20_poly1305, TLS_CIPHER_CHACHA20_POLY1305, 32, "CHACHA20-POLY1305",
     "TLS_CHACHA20_POLY1305_SHA256"},
};
#define CIPHERS (sizeof ciphers / sizeof ciphers[0])

static _Atomic bool missing; // the kernel has no TLS: it need not be asked again

// ---- what the handshake tells ------------------------------------------------------------------

static void kept_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                      void *argument) {
    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    if (pointer == NULL) return;
    OPENSSL_cleanse(pointer, sizeof(struct kept));
    mem_free(pointer);
}

static int kept_index(void) {
    static _Atomic int index = -1;
    int known = atomic_load(&index);
    if (known < 0) { // contexts are made by one thread at a time
        known = SSL_get_ex_new_index(0, NULL, NULL, NULL, kept_free);
        ASSERT(known >= 0); // memory only
        atomic_store(&index, known);
    }
    return known;
}

static struct kept *kept_of(const SSL *ssl) {
    struct kept *k = SSL_get_ex_data(ssl, kept_index());
    if (k == NULL) {
        k = mem_calloc(sizeof *k);
        SSL_set_ex_data((SSL *)ssl, kept_index(), k);
    }
    return k;
}

/** The bytes of hex digits; 0: they are not, or too many. */
static size_t from_hex(const char *text, unsigned char out[SECRET_MAX]) {
    size_t n = strlen(text) / 2;
    if (n > SECRET_MAX) return 0;
    for (size_t i = 0; i < n; i++)
        if (sscanf(text + 2 * i, "%2hhx", &out[i]) != 1) return 0;
    return n;
}

/** A line of the key log: a label, the client's random number, a secret. */
static void on_secret(const SSL *ssl, const char *line) {
    static const char client[] = "CLIENT_TRAFFIC_SECRET_0 ", server[] = "SERVER_TRAFFIC_SECRET_0 ";
    const char *secret = strrchr(line, ' ');
    if (secret == NULL) return;
    struct kept *k = kept_of(ssl);
    if (strncmp(line, client, sizeof client - 1) == 0)
        k->client_length = from_hex(secret + 1, k->client);
    else if (strncmp(line, server, sizeof server - 1) == 0)
        k->server_length = from_hex(secret + 1, k->server);
}

static void on_message(int written, int version, int type, const void *bytes, size_t length,
                       SSL *ssl, void *argument) {
    (void)version, (void)argument;
    if (!written) return;
    struct kept *k = kept_of(ssl);
    if (type == SSL3_RT_HEADER && k->finished) k->records++;
    if (type == SSL3_RT_HANDSHAKE && length > 0 &&
        *(const unsigned char *)bytes == SSL3_MT_FINISHED) {
        k->finished = true;
        k->records = 0;
    }
}

void tls_kernel_prepare(SSL_CTX *context) {
    (void)kept_index();
    SSL_CTX_set_keylog_callback(context, on_secret);
    SSL_CTX_set_msg_callback(context, on_message);
}

// ---- keys --------------------------------------------------------------------------------------

static bool derive(const char *kdf_name, const OSSL_PARAM *params, unsigned char *out, size_t n) {
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, kdf_name, NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = context && EVP_KDF_derive(context, out, n, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return ok;
}

/** HKDF-Expand-Label of a traffic secret (RFC 8446, section 7.1). */
static bool expand(const char *digest, const unsigned char *secret, size_t length,
                   const char *label, unsigned char *out, size_t n) {
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)label, strlen(label)),
        OSSL_PARAM_construct_end()};
    return derive("TLS13-KDF", params, out, n);
}

static bool keys_of_13(const SSL *ssl, const struct cipher *c, struct direction *in,
                       struct direction *out) {
    const struct kept *k = kept_of(ssl);
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    if (md == NULL || k->client_length == 0 || k->server_length == 0 || !k->finished) return false;
    const char *digest = EVP_MD_get0_name(md);
    out->sequence = k->records;
    return expand(digest, k->client, k->client_length, "key", in->key, c->key_length) &&
           expand(digest, k->client, k->client_length, "iv", in->iv, IV_BYTES) &&
           expand(digest, k->server, k->server_length, "key", out->key, c->key_length) &&
           expand(digest, k->server, k->server_length, "iv", out->iv, IV_BYTES);
}

/** The key block of TLS 1.2: both keys, then both fixed parts of the nonces; client's first. */
static bool keys_of_12(SSL *ssl, const struct cipher *c, struct direction *in,
                       struct direction *out) {
    static const char label[] = "key expansion";
    unsigned char master[SSL_MAX_MASTER_KEY_LENGTH], seed[sizeof label - 1 + 64];
    unsigned char block[2 * (KEY_MAX + IV_BYTES)];
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    size_t fixed = c->kernel == TLS_CIPHER_CHACHA20_POLY1305 ? IV_BYTES : SALT_BYTES;
    size_t n = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof master);
    if (md == NULL || n == 0) return false;
    memcpy(seed, label, sizeof label - 1);
    SSL_get_server_random(ssl, seed + sizeof label - 1, 32);
    SSL_get_client_random(ssl, seed + sizeof label - 1 + 32, 32);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(md), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, n),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
        OSSL_PARAM_construct_end()};
    // What is not fixed stands in each record; a random start is none that OpenSSL has used.
    bool ok = derive("TLS1-PRF", params, block, 2 * (c->key_length + fixed)) &&
              RAND_bytes(in->iv, IV_BYTES) == 1 && RAND_bytes(out->iv, IV_BYTES) == 1;
    memcpy(in->key, block, c->key_length);
    memcpy(out->key, block + c->key_length, c->key_length);
    memcpy(in->iv, block + 2 * c->key_length, fixed);
    memcpy(out->iv, block + 2 * c->key_length + fixed, fixed);
    in->sequence = 1; // Finished was the first, on both sides
    out->sequence = 1;
    OPENSSL_cleanse(master, sizeof master);
    OPENSSL_cleanse(block, sizeof block);
    return ok;
}

// ---- the socket --------------------------------------------------------------------------------

static int set_keys(int fd, int which, const struct cipher *c, uint16_t version,
                    const struct direction *d) {
    union {
        struct tls_crypto_info info;
        struct tls12_crypto_info_aes_gcm_128 gcm_128;
        struct tls12_crypto_info_aes_gcm_256 gcm_256;
        struct tls12_crypto_info_chacha20_poly1305 chacha;
    } u;
    socklen_t size = 0;
    unsigned char sequence[8];
    memset(&u, 0, sizeof u);
    for (int i = 0; i < 8; i++) sequence[i] = (unsigned char)(d->sequence >> (56 - 8 * i));
    u.info.version = version;
    u.info.cipher_type = c->kernel;
#define FILL_GCM(field)                                                \
    do {                                                               \
        memcpy((field).key, d->key, sizeof(field).key);                \
        memcpy((field).salt, d->iv, SALT_BYTES);                       \
        memcpy((field).iv, d->iv + SALT_BYTES, IV_BYTES - SALT_BYTES); \
        memcpy((field).rec_seq, sequence, sizeof sequence);            \
        size = sizeof(field);                                          \
    } while (0)
    if (c->kernel == TLS_CIPHER_AES_GCM_128) {
        FILL_GCM(u.gcm_128);
    } else if (c->kernel == TLS_CIPHER_AES_GCM_256) {
        FILL_GCM(u.gcm_256);
    } else {
        memcpy(u.chacha.key, d->key, sizeof u.chacha.key);
        memcpy(u.chacha.iv, d->iv, IV_BYTES);
        memcpy(u.chacha.rec_seq, sequence, sizeof sequence);
        size = sizeof u.chacha;
    }
#undef FILL_GCM
    int rc = setsockopt(fd, SOL_TLS, which, &u, size) == 0 ? 0 : -errno;
    OPENSSL_cleanse(&u, sizeof u);
    return rc;
}

static enum tls_kernel_result give(int fd, const struct cipher *c, uint16_t version,
                                   const struct direction *in, const struct direction *out) {
    if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls") != 0) {
        if (errno == ENOENT && !atomic_exchange(&missing, true))
            log_line(LOG_NOTICE, "The kernel has no TLS (module tls): records stay with OpenSSL");
        return TLS_KERNEL_NOT;
    }
    // Without keys the socket is as it was; with one of them there is no way back.
    if (set_keys(fd, TLS_RX, c, version, in) != 0) return TLS_KERNEL_NOT;
    return set_keys(fd, TLS_TX, c, version, out) == 0 ? TLS_KERNEL_TAKEN : TLS_KERNEL_BROKEN;
}

static const struct cipher *cipher_of(const SSL *ssl) {
    int nid = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl));
    for (size_t i = 0; i < CIPHERS; i++)
        if (ciphers[i].nid == nid) return &ciphers[i];
    return NULL;
}

enum tls_kernel_result tls_kernel_take(SSL *ssl, int fd) {
    int version = SSL_version(ssl);
    const struct cipher *c = cipher_of(ssl);
    bool known = version == TLS1_3_VERSION || version == TLS1_2_VERSION;
    // What OpenSSL has read already the kernel would miss.
    if (!known || c == NULL || SSL_has_pending(ssl) || atomic_load(&missing)) return TLS_KERNEL_NOT;
    struct direction in = {.sequence = 0}, out = {.sequence = 0};
    enum tls_kernel_result result = TLS_KERNEL_NOT;
    if (version == TLS1_3_VERSION ? keys_of_13(ssl, c, &in, &out) : keys_of_12(ssl, c, &in, &out))
        result = give(fd, c, (uint16_t)version, &in, &out);
    OPENSSL_cleanse(&in, sizeof in);
    OPENSSL_cleanse(&out, sizeof out);
    // Freed without a word to the peer, the session may still be resumed.
    if (result == TLS_KERNEL_TAKEN)
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    return result;
}

// ---- what is no data ---------------------------------------------------------------------------

void tls_kernel_say_goodbye(int fd) {
    unsigned char alert[] = {ALERT_WARNING, CLOSE_NOTIFY};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(1)];
    } control = {0};
    struct iovec piece = {alert, sizeof alert};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_SET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(1);
    *CMSG_DATA(header) = RECORD_ALERT;
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; // a courtesy: nobody waits for it
}

int tls_kernel_take_control(int fd, const char **reason) {
    unsigned char bytes[64];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(1)];
    } control = {0};
    struct iovec piece = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
    const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    int type = header && header->cmsg_level == SOL_TLS && header->cmsg_type == TLS_GET_RECORD_TYPE
                   ? *CMSG_DATA(header)
                   : 0;
    *reason = "a record could not be received";
    if (type == RECORD_ALERT && n == 2 && bytes[1] == CLOSE_NOTIFY) return 0;
    if (type == RECORD_ALERT) *reason = "the client has sent an alert";
    // Kernels before 6.14 cannot change keys, and clients ask for it after many gigabytes only.
    if (type == RECORD_SHAKING)
        *reason = "the client wants new keys, which the kernel cannot take; tls-offload no lets it";
    return -EPROTO;
}

void tls_kernel_describe(int fd, const char **protocol, const char **cipher) {
    struct tls_crypto_info info = {0};
    socklen_t size = sizeof info;
    *protocol = *cipher = "?";
    if (getsockopt(fd, SOL_TLS, TLS_TX, &info, &size) != 0) return;
    *protocol = info.version == TLS_1_3_VERSION ? "TLSv1.3" : "TLSv1.2";
    for (size_t i = 0; i < CIPHERS; i++)
        if (ciphers[i].kernel == info.cipher_type)
            *cipher = info.version == TLS_1_3_VERSION ? ciphers[i].suite_13 : ciphers[i].name;
}
