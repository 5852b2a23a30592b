// SPDX-License-Identifier: BSD-3-Clause
//
// Mailboxes: how shards talk. A lock-free single-producer single-consumer ring of 64-bit words
// for each ordered pair of shards, and in front of it the sender's private outbox. All that one
// pass produces for a peer is published with one store. A full ring is back-pressure: words stay
// in the outbox, in order, and the sender stops taking new work until they are gone; nothing is
// ever lost.
//
// A word is a message: a pointer (16-byte aligned) with its kind in the low four bits. Who owns the
// pointed-to object goes with the message.
#ifndef TORC_SHARDS_MAILBOX_H
#define TORC_SHARDS_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define MAILBOX_LINE 64

enum message_kind {
    MESSAGE_REQUEST,    // struct request: execute it, then send it back
    MESSAGE_REPLY,      // struct request: it has been executed
    MESSAGE_INTENT,     // struct part: register it
    MESSAGE_GRANT,      // struct part: it is its turn; keys (or the whole shard) are lent
    MESSAGE_REFUSED,    // struct part: it came too late; not registered
    MESSAGE_RETURN,     // struct part: the transaction is done; free the part
    MESSAGE_WITHDRAW,   // struct part: forget it, as if it had never been registered
    MESSAGE_WITHDRAWN,  // struct part: forgotten
    MESSAGE_WATCH,      // struct watch_leg: register or forget watched keys
    MESSAGE_WATCHED,    // struct watch_leg: done
    MESSAGE_FANOUT,     // struct fanout_leg: run it
    MESSAGE_FANNED,     // struct fanout_leg: has run
    MESSAGE_CONNECTION, // struct accepted: a connection to adopt
    MESSAGE_KINDS
};
_Static_assert(MESSAGE_KINDS <= 16, "a kind has four bits");

struct mailbox {
    _Alignas(MAILBOX_LINE) _Atomic uint64_t tail; // written by the sender
    uint64_t head_seen;                           // sender's last view of head
    _Alignas(MAILBOX_LINE) _Atomic uint64_t head; // written by the receiver
    _Alignas(MAILBOX_LINE) uint64_t *words;
    uint64_t mask;
};

/** A sender's words for one peer that are not in the ring yet. */
struct outbox {
    uint64_t *words;
    size_t len, cap;
};

/** Makes an empty ring of `capacity` words, a power of two. */
void mailbox_init(struct mailbox *m, size_t capacity);
void mailbox_fini(struct mailbox *m);

/** Adds a word for the peer; private to the sender until mailbox_flush. */
void outbox_add(struct outbox *o, uint64_t word);
void outbox_fini(struct outbox *o);
/** Publishes as many of the outbox's words as fit. Returns how many it published. */
size_t mailbox_flush(struct mailbox *m, struct outbox *o);
/** Takes up to max words. Returns how many. */
size_t mailbox_take(struct mailbox *m, uint64_t *words, size_t max);
/** Whether something is there to take. Receiver only. */
bool mailbox_is_empty(struct mailbox *m);

/** Memory for an object that is sent: aligned so that the kind fits in the pointer's low bits. */
static inline void *message_alloc(size_t bytes) { return mem_alloc_aligned(bytes, 16); }

static inline uint64_t message_pack(enum message_kind kind, const void *object) {
    ASSERT(((uintptr_t)object & 15) == 0);
    return (uint64_t)(uintptr_t)object | kind;
}
static inline enum message_kind message_kind(uint64_t word) {
    return (enum message_kind)(word & 15);
}
static inline void *message_object(uint64_t word) {
    return (void *)(uintptr_t)(word & ~UINT64_C(15));
}

#endif
