// SPDX-License-Identifier: BSD-3-Clause
//
// The log of what was denied, newest first: ACL LOG. What repeats within a minute is counted, not
// logged again. No clock: times are passed in. Its owner sees to it that one thread at a time uses
// it.
#ifndef TORC_ENGINE_ACL_ACL_LOG_H
#define TORC_ENGINE_ACL_ACL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/reply.h"
#include "engine/base/slice.h"

enum acl_log_reason {
    ACL_LOG_COMMAND = 1, // as enum acl_verdict
    ACL_LOG_KEY,
    ACL_LOG_CHANNEL,
    ACL_LOG_AUTH,
    ACL_LOG_REASONS
};

/** A denial, as it is told to the log; texts are copied. */
struct acl_denial {
    enum acl_log_reason reason;
    bool in_multi;
    struct slice object; // the command, key or channel
    struct slice user;
    struct slice client; // as CLIENT LIST shows it
};

struct acl_log {
    struct acl_log_entry *first;
    uint64_t count, next_id;
};

/** Enters a denial; the oldest entries beyond max go. now_ms: wall clock. */
void acl_log_add(struct acl_log *log, const struct acl_denial *denial, uint64_t max,
                 int64_t now_ms);
/** Forgets all entries. */
void acl_log_reset(struct acl_log *log);
/** Replies with the newest entries, at most count of them. */
void acl_log_reply(const struct acl_log *log, uint64_t count, int64_t now_ms, struct reply *reply);

#endif
