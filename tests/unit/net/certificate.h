// SPDX-License-Identifier: BSD-3-Clause
//
// A certificate that signs itself and its key, for tests of TLS: made anew each time, in PEM files
// that the caller names and removes. Stateless; any thread. Used by the unit tests of net/ and by
// fuzz_tls.
#ifndef TORC_TESTS_UNIT_NET_CERTIFICATE_H
#define TORC_TESTS_UNIT_NET_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static inline bool certificate_write_key(const char *path, EVP_PKEY *key, const char *password) {
    FILE *out = fopen(path, "w");
    if (out == NULL) return false;
    const EVP_CIPHER *cipher = password ? EVP_aes_128_cbc() : NULL;
    void *word = (void *)(uintptr_t)password;
    bool ok = PEM_write_PrivateKey(out, key, cipher, NULL, 0, NULL, word) == 1;
    return (fclose(out) == 0) & ok;
}

/** Writes the certificate, and its key plain and (unless the path is NULL) under a password. */
static inline bool certificate_write(const char *cert_path, const char *key_path,
                                     const char *locked_path, const char *password) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    if (key == NULL || x == NULL) return false;
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"torc", -1, -1, 0);
    X509_set_issuer_name(x, name);
    FILE *out = fopen(cert_path, "w");
    bool ok = out != NULL && X509_sign(x, key, EVP_sha256()) > 0 && PEM_write_X509(out, x) == 1;
    if (out != NULL) fclose(out);
    ok = ok && certificate_write_key(key_path, key, NULL);
    if (locked_path != NULL) ok = ok && certificate_write_key(locked_path, key, password);
    X509_free(x);
    EVP_PKEY_free(key);
    return ok;
}

#endif
