// SPDX-License-Identifier: BSD-3-Clause
//
// From an event to its messages. Runs on the thread that executes, which is in its own keyspace
// whatever else it is in, and so may use its own registry of who listens. Called through the sink
// of a keyspace (engine/keyspace/events.h), and by the pass of shard.c.
#include "shards/notify.h"

#include <stdio.h>

#include "engine/keyspace/events.h"
#include "shards/pubsub.h"
#include "shards/tracking_parts.h"

#define PREFIX_MAX 32 // of a channel, with the number of a database

/** Publishes to PREFIX@DB__:SUBJECT. */
static void publish(struct shard *s, const char *prefix, uint32_t db, struct slice subject,
                    struct slice payload) {
    char head[PREFIX_MAX];
    int n = snprintf(head, sizeof head, "%s@%u__:", prefix, db);
    ASSERT(n > 0 && n < PREFIX_MAX);
    struct buf *channel = &s->pubsub->channel;
    channel->len = 0;
    buf_append(channel, head, (size_t)n);
    buf_append(channel, subject.p, subject.n);
    struct slice text = slice_of(channel->p, channel->len);
    struct pubsub_message m = {PUBSUB_CHANNEL, text, payload, hashtable_hash(text), NULL};
    pubsub_publish(s, s, &m, true);
}

static void emit(void *context, uint32_t db, const char *name, struct slice key) {
    struct shard *s = context;
    struct slice event = slice_text(name);
    if (s->events.classes & EVENT_BY_KEY) publish(s, "__keyspace", db, key, event);
    if (s->events.classes & EVENT_BY_NAME) publish(s, "__keyevent", db, event, key);
}

void notify_configure(struct shard *s) {
    uint32_t classes;
    bool valid = event_classes(slice_text(s->config->notify_keyspace_events), &classes);
    ASSERT(valid);
    bool wanted = (classes & EVENT_WAYS) != 0 && (classes & ~EVENT_WAYS) != 0;
    s->events = (struct event_sink){.context = s, .classes = wanted ? classes : 0, .emit = emit};
    if (s->tracking->on) {
        s->events.modified = tracking_modified;
        s->events.replaced = tracking_replaced;
    }
    s->sink = wanted || s->tracking->on ? &s->events : NULL;
    if (!s->intents.lent) s->keyspace->events = s->sink; // else when it comes back
}

bool notify__is_crowded(struct shard *s) {
    const struct shard_face *face = &s->fleet->faces[s->crowded];
    if (atomic_load_explicit(&face->news_weight, memory_order_relaxed) >= s->fleet->news_room)
        return true;
    s->crowded = UINT32_MAX;
    return false;
}
