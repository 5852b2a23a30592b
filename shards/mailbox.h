// SPDX-License-Identifier: BSD-3-Clause
//
// Mailboxes: how shards talk. A lock-free single-producer single-consumer ring of 64-bit words
// for each ordered pair of shards, and in front of it the sender's private outbox. All that one
// pass produces for a peer is published with one store. A full ring is back-pressure: words stay
// in the outbox, in order, and the sender stops taking new work until they are gone; nothing is
// ever lost.
//
// A word is a message: a pointer with its kind in the top byte, which no address uses. Who owns the
// pointed-to object goes with the message.
#ifndef TORC_SHARDS_MAILBOX_H
#define TORC_SHARDS_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/alloc.h"
#include "engine/base/assert.h"

#define MAILBOX_LINE       64
#define MESSAGE_KIND_SHIFT 56

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
    MESSAGE_QUEUE,      // struct blocked_leg: queue up for its keys
    MESSAGE_UNQUEUE,    // struct blocked_leg: leave the queues, and come back
    MESSAGE_UNQUEUED,   // struct blocked_leg: it has
    MESSAGE_SERVED,     // struct blocked: answered, or its home has to look itself
    MESSAGE_PUBSUB,     // struct pubsub_leg: do it at the home of its channels
    MESSAGE_FANOUT,     // struct fanout_leg: run it
    MESSAGE_FANNED,     // struct fanout_leg: has run
    MESSAGE_ASK,        // struct snapshot_ask: do it, then answer
    MESSAGE_ANSWER,     // struct snapshot_ask: it has been answered
    MESSAGE_CONNECTION, // struct accepted: a connection to adopt
    MESSAGE_SNAPSHOT,   // struct snapshot_share: it has come to its end
    MESSAGE_KINDS
};
_Static_assert(MESSAGE_KINDS <= 256, "a kind has eight bits");

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

static inline uint64_t message_pack(enum message_kind kind, const void *object) {
    ASSERT((uint64_t)(uintptr_t)object >> MESSAGE_KIND_SHIFT == 0);
    return (uint64_t)(uintptr_t)object | (uint64_t)kind << MESSAGE_KIND_SHIFT;
}
static inline enum message_kind message_kind(uint64_t word) {
    return (enum message_kind)(word >> MESSAGE_KIND_SHIFT);
}
static inline void *message_object(uint64_t word) {
    return (void *)(uintptr_t)(word & ((UINT64_C(1) << MESSAGE_KIND_SHIFT) - 1));
}

#endif
