// SPDX-License-Identifier: BSD-3-Clause
//
// Simulated clients: operations out, replies in, and the history of both. A client sends the
// commands of an operation, waits for as many replies as it has commands, and stamps the
// operation's begin and end. Invariant: outstanding operations are in the order of their sending,
// as their replies must be. Used by the workloads and by sim_io.c, which delivers the bytes.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/alloc.h"
#include "tests/simulation/sim.h"

// ---- arena -------------------------------------------------------------------------------------

#define ARENA_BLOCK 65536

struct arena_block {
    struct arena_block *next;
    char bytes[];
};

void *arena_alloc(struct arena *a, size_t n) {
    n = (n + 15) & ~(size_t)15;
    if (!a->blocks || a->size - a->used < n) {
        a->size = n > ARENA_BLOCK ? n : ARENA_BLOCK;
        struct arena_block *b = mem_alloc(sizeof *b + a->size + 16);
        b->next = a->blocks;
        a->blocks = b;
        a->used = 0;
    }
    char *p = a->blocks->bytes + a->used;
    a->used += n;
    return p;
}

char *arena_copy(struct arena *a, const char *p, size_t n) {
    char *copy = arena_alloc(a, n + 1);
    if (n > 0) memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

void arena_free(struct arena *a) {
    struct arena_block *b = a->blocks, *next;
    for (; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    *a = (struct arena){0};
}

// ---- replies -----------------------------------------------------------------------------------

static bool parse_into(struct arena *a, struct sim_value *v, const char *p, size_t n,
                       size_t *used) {
    const char *end = memchr(p, '\n', n);
    if (!end) return false;
    size_t line = (size_t)(end - p) + 1;
    char digits[32] = {0};
    memcpy(digits, p + 1, line - 3 < sizeof digits - 1 ? line - 3 : sizeof digits - 1);
    int64_t number = strtoll(digits, NULL, 10);
    *v = (struct sim_value){.number = number};
    *used = line;
    switch (p[0]) {
    case '$':
    case '=':
        if (number < 0) {
            v->type = VALUE_NULL;
            v->number = 0;
            return true;
        }
        if (n < line + (size_t)number + 2) return false;
        v->type = VALUE_TEXT;
        v->text = arena_copy(a, p + line, (size_t)number);
        v->n = (size_t)number;
        v->number = strtoll(v->text, NULL, 10);
        *used += (size_t)number + 2;
        return true;
    case '*':
    case '~':
    case '%':
    case '>':
        if (number < 0) {
            v->type = VALUE_NULL;
            v->number = 0;
            return true;
        }
        v->type = VALUE_ARRAY;
        v->n = (size_t)number * (p[0] == '%' ? 2 : 1);
        v->items = arena_alloc(a, v->n * sizeof *v->items);
        for (size_t i = 0; i < v->n; i++) {
            size_t more;
            if (!parse_into(a, &v->items[i], p + *used, n - *used, &more)) return false;
            *used += more;
        }
        return true;
    case '_': v->type = VALUE_NULL; return true;
    case ':': v->type = VALUE_INT; return true;
    default:
        v->type = p[0] == '+' ? VALUE_STATUS : p[0] == '-' ? VALUE_ERROR : VALUE_TEXT;
        v->text = arena_copy(a, p + 1, line - 3);
        v->n = line - 3;
        return true;
    }
}

struct sim_value *value_parse(struct arena *a, const char *p, size_t n, size_t *used) {
    if (n < 3) return NULL;
    struct sim_value v;
    if (!parse_into(a, &v, p, n, used)) return NULL;
    struct sim_value *copy = arena_alloc(a, sizeof *copy);
    *copy = v;
    return copy;
}

bool value_is_status(const struct sim_value *v, const char *text) {
    return v->type == VALUE_STATUS && strcmp(v->text, text) == 0;
}

// ---- sending -----------------------------------------------------------------------------------

struct client *client_add(struct world *w, int role, uint32_t budget, uint32_t depth) {
    ASSERT(w->client_count < SIM_CLIENTS_MAX);
    struct client *c = &w->clients[w->client_count];
    *c = (struct client){.world = w,
                         .id = w->client_count++,
                         .role = role,
                         .budget = budget * w->scale,
                         .depth = depth};
    c->link = sim_link_open(w, c);
    c->connections = 1;
    return c;
}

void client_use_shard_port(struct client *c, uint32_t shard) {
    c->node = true;
    c->shard = c->link->shard = shard;
}

static void send_words(struct client *c, int argc, const char *const *argv) {
    struct buf *out = &c->link->to_server;
    if (sim_below(c->world, 64) == 0) {
        for (int i = 0; i < argc; i++) buf_printf(out, "%s%s", i ? " " : "", argv[i]);
        buf_append(out, "\r\n", 2);
        return;
    }
    buf_printf(out, "*%d\r\n", argc);
    for (int i = 0; i < argc; i++) buf_printf(out, "$%zu\r\n%s\r\n", strlen(argv[i]), argv[i]);
}

static struct line split_words(struct arena *a, char *text) {
    const char *words[LINE_WORDS_MAX];
    struct line l = {0};
    char *save = NULL;
    for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        ASSERT(l.argc < LINE_WORDS_MAX);
        words[l.argc++] = p;
    }
    l.argv = arena_alloc(a, (size_t)l.argc * sizeof *l.argv);
    memcpy(l.argv, words, (size_t)l.argc * sizeof *l.argv);
    return l;
}

static struct op *op_new(struct client *c, int tag, int count) {
    struct world *w = c->world;
    struct op *op = arena_alloc(&w->arena, sizeof *op);
    *op = (struct op){.client = c,
                      .connection = c->connections,
                      .count = count,
                      .tag = tag,
                      .invoke = ++w->stamp};
    op->lines = arena_alloc(&w->arena, (size_t)count * sizeof *op->lines);
    if (c->last)
        c->last->next = op;
    else
        c->first = op;
    c->last = op;
    c->outstanding++;
    if (w->op_count == w->op_cap) {
        w->op_cap = w->op_cap ? w->op_cap * 2 : 256;
        w->ops = mem_realloc(w->ops, w->op_cap * sizeof(struct op *));
    }
    w->ops[w->op_count++] = op;
    return op;
}

/** Sabotage: a command over several keys as single ones, whose replies are put together. */
static bool send_split(struct client *c, struct op *op) {
    uint32_t sabotage = c->world->options.sabotage;
    const struct line *l = &op->lines[0];
    if (op->block) {
        bool reads = true;
        for (int i = 0; i < op->count; i++) reads &= strcmp(op->lines[i].argv[0], "GET") == 0;
        if (!(sabotage & (reads ? SABOTAGE_SPLIT_READ : SABOTAGE_SPLIT_WRITE))) return false;
        for (int i = 0; i < op->count; i++) send_words(c, op->lines[i].argc, op->lines[i].argv);
        op->wires = (uint32_t)op->count;
    } else if ((sabotage & SABOTAGE_SPLIT_READ) && strcmp(l->argv[0], "MGET") == 0) {
        for (int i = 1; i < l->argc; i++) send_words(c, 2, (const char *[]){"GET", l->argv[i]});
        op->wires = (uint32_t)l->argc - 1;
    } else if ((sabotage & SABOTAGE_SPLIT_WRITE) && strcmp(l->argv[0], "MSET") == 0) {
        for (int i = 1; i < l->argc; i += 2)
            send_words(c, 3, (const char *[]){"SET", l->argv[i], l->argv[i + 1]});
        op->wires = (uint32_t)l->argc / 2;
    } else if ((sabotage & SABOTAGE_SPLIT_WRITE) && strcmp(l->argv[0], "RENAME") == 0) {
        send_words(c, 4, (const char *[]){"COPY", l->argv[1], l->argv[2], "REPLACE"});
        send_words(c, 2, (const char *[]){"DEL", l->argv[1]});
        op->wires = 2;
    } else {
        return false;
    }
    op->split = true;
    return true;
}

static void send_op(struct client *c, struct op *op) {
    if (c->world->options.sabotage && send_split(c, op)) return;
    bool watch = strcmp(op->lines[0].argv[0], "WATCH") == 0;
    if (watch && (c->world->options.sabotage & SABOTAGE_IGNORE_WATCH)) {
        send_words(c, 3, (const char *[]){"CLIENT", "SETNAME", "nobody"});
        op->wires = 1;
        return;
    }
    if (op->block) send_words(c, 1, (const char *[]){"MULTI"});
    for (int i = 0; i < op->count; i++) send_words(c, op->lines[i].argc, op->lines[i].argv);
    if (op->block) send_words(c, 1, (const char *[]){"EXEC"});
    op->wires = (uint32_t)op->count + (op->block ? 2 : 0);
}

struct op *client_issue(struct client *c, int tag, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ASSERT(n > 0 && (size_t)n < sizeof text);
    struct op *op = op_new(c, tag, 1);
    op->lines[0] = split_words(&c->world->arena, arena_copy(&c->world->arena, text, (size_t)n));
    send_op(c, op);
    return op;
}

static struct op *op_of_lines(struct client *c, int tag, const char *lines) {
    struct arena *a = &c->world->arena;
    int count = 0;
    for (const char *p = lines; *p; p++) count += *p == '\n';
    struct op *op = op_new(c, tag, count);
    for (int i = 0; i < count; i++) {
        const char *end = strchr(lines, '\n');
        op->lines[i] = split_words(a, arena_copy(a, lines, (size_t)(end - lines)));
        lines = end + 1;
    }
    return op;
}

struct op *client_issue_block(struct client *c, int tag, const char *lines) {
    struct op *op = op_of_lines(c, tag, lines);
    op->block = true;
    send_op(c, op);
    return op;
}

struct op *client_issue_lines(struct client *c, int tag, const char *lines, uint32_t replies) {
    struct op *op = op_of_lines(c, tag, lines);
    for (int i = 0; i < op->count; i++) send_words(c, op->lines[i].argc, op->lines[i].argv);
    op->wires = replies;
    return op;
}

// ---- receiving ---------------------------------------------------------------------------------

/** Puts the single replies of a split operation together. */
static void join_parts(struct client *c, struct op *op) {
    struct arena *a = &c->world->arena;
    const char *name = op->lines[0].argv[0];
    struct buf raw = {0};
    bool array = op->block || strcmp(name, "MGET") == 0;
    if (array) buf_printf(&raw, "*%u\r\n", op->wires);
    if (array)
        buf_append(&raw, op->parts.p, op->parts.len);
    else
        buf_append_text(&raw,
                        op->parts.p[op->parts.len - 3] == '0' ? "-ERR no such key\r\n" : "+OK\r\n");
    op->raw = arena_copy(a, raw.p, raw.len);
    op->raw_n = raw.len;
    size_t used;
    op->reply = value_parse(a, op->raw, op->raw_n, &used);
    buf_free(&raw);
    buf_free(&op->parts);
}

static void sabotage_reply(struct client *c, struct op *op) {
    struct world *w = c->world;
    bool writes = op->block && strcmp(op->lines[0].argv[0], "SET") == 0;
    if ((w->options.sabotage & SABOTAGE_ABORT) && writes && sim_below(w, 4) == 0) {
        op->reply->type = VALUE_NULL;
        op->raw = "*-1\r\n";
        op->raw_n = 5;
    }
    if (!(w->options.sabotage & SABOTAGE_STALE) || sim_below(w, 8) != 0) return;
    for (uint32_t i = w->op_count; i-- > 0;) {
        struct op *other = w->ops[i];
        if (other == op || !other->reply || other->count != op->count || op->block ||
            other->block || other->lines[0].argc < 2 || op->lines[0].argc < 2)
            continue;
        if (strcmp(other->lines[0].argv[0], "GET") != 0 ||
            strcmp(op->lines[0].argv[0], "GET") != 0 ||
            strcmp(other->lines[0].argv[1], op->lines[0].argv[1]) != 0)
            continue;
        op->reply = other->reply;
        op->raw = other->raw;
        op->raw_n = other->raw_n;
        return;
    }
}

static void op_done(struct client *c, struct op *op) {
    struct world *w = c->world;
    c->first = op->next;
    if (!c->first) c->last = NULL;
    c->outstanding--;
    if (op->split) join_parts(c, op);
    if (w->options.sabotage) sabotage_reply(c, op);
    op->respond = ++w->stamp;
    w->progress_ns = w->now_ns;
    c->latest = op;
    if (w->setup_left > 0 && op->tag < 0) {
        w->setup_left--;
        if (op->reply->type == VALUE_ERROR) sim_fail(w, "setup got an error: %s", op->reply->text);
        return;
    }
    w->workload->replied(c, op);
}

/** Whether it is a message of a channel, or one about cached keys, and not a reply. */
static bool is_message(const struct sim_value *v) {
    static const char *const kinds[] = {"message", "pmessage", "smessage"};
    if (v->type != VALUE_ARRAY || v->n < 2 || v->items[0].type != VALUE_TEXT) return false;
    if (v->n == 2) return strcmp(v->items[0].text, "invalidate") == 0;
    for (int i = 0; i < 3; i++)
        if (strcmp(v->items[0].text, kinds[i]) == 0) return true;
    return false;
}

static void take_message(struct client *c, const struct sim_value *v) {
    struct world *w = c->world;
    uint32_t sabotage = w->options.sabotage;
    if ((sabotage & SABOTAGE_LOST_MESSAGE) && sim_below(w, 16) == 0) return;
    if ((sabotage & SABOTAGE_LATE_MESSAGE) && !c->late && sim_below(w, 8) == 0) {
        c->late = v;
        return;
    }
    w->workload->pushed(c, v);
    if (!c->late || w->failed) return;
    v = c->late;
    c->late = NULL;
    w->workload->pushed(c, v);
}

/** A reply on the wire: to the oldest outstanding operation. */
static void take_reply(struct client *c, struct sim_value *v, const char *raw, size_t n) {
    struct world *w = c->world;
    struct op *op = c->first;
    if (!op) {
        sim_fail(w, "client %u got a reply that it is not owed: %.*s", c->id, (int)n, raw);
        return;
    }
    op->arrived++;
    if (op->split) {
        buf_append(&op->parts, raw, n);
    } else if (op->block && op->arrived < op->wires) {
        const char *want = op->arrived == 1 ? "OK" : "QUEUED";
        if (v->type == VALUE_ERROR && op->arrived > 1 && strncmp(v->text, "OOM ", 4) == 0)
            op->refused = true; // full memory: EXEC has to say so, too
        else if (!value_is_status(v, want))
            sim_fail(w, "client %u: inside a block, %s was expected, not %.*s", c->id, want, (int)n,
                     raw);
    } else {
        op->reply = v;
        op->raw = arena_copy(&w->arena, raw, n);
        op->raw_n = n;
        if (op->refused && v->type != VALUE_ERROR)
            sim_fail(w, "client %u: EXEC ran a block of which a command was refused", c->id);
    }
    if (op->arrived == op->wires) op_done(c, op);
}

void client_receive(struct client *c, const char *p, size_t n) {
    buf_append(&c->inbox, p, n);
    size_t at = 0, used;
    struct link *link = c->link;
    const struct world *w = c->world;
    while (at < c->inbox.len && !c->world->failed && c->link == link) {
        struct sim_value *v =
            value_parse(&c->world->arena, c->inbox.p + at, c->inbox.len - at, &used);
        if (!v) break;
        if (w->workload->pushed && is_message(v))
            take_message(c, v);
        else
            take_reply(c, v, c->inbox.p + at, used);
        at += used;
    }
    if (c->link == link) buf_consume(&c->inbox, at);
}

// ---- leaving -----------------------------------------------------------------------------------

static void forget_outstanding(struct client *c) {
    for (struct op *op = c->first; op; op = op->next) {
        op->respond = SIM_LOST;
        buf_free(&op->parts);
    }
    c->first = c->last = NULL;
    c->outstanding = 0;
    c->inbox.len = 0;
}

void client_vanish(struct client *c, bool reset) {
    struct link *l = c->link;
    l->client = NULL;
    l->client_reset = reset;
    l->client_ended = true;
    forget_outstanding(c);
    c->world->progress_ns = c->world->now_ns;
    c->link = sim_link_open(c->world, c);
    c->connections++;
    c->phase = 0;
    if (c->world->workload->connected) c->world->workload->connected(c);
}

void client_was_closed(struct client *c) {
    if (!c->world->may_close)
        sim_fail(c->world, "the server closed the connection of client %u", c->id);
    else
        client_vanish(c, true);
}

void client_close(struct client *c) {
    c->link->client_ended = true;
    c->link->client = NULL;
    c->link = NULL;
}

// ---- history -----------------------------------------------------------------------------------

static bool op_names(const struct op *op, const char *key) {
    if (!key) return true;
    for (int i = 0; i < op->count; i++)
        for (int j = 1; j < op->lines[i].argc; j++)
            if (strcmp(op->lines[i].argv[j], key) == 0) return true;
    return false;
}

void history_print(const struct world *w, const char *key, size_t limit) {
    uint32_t from = w->op_count > limit ? w->op_count - (uint32_t)limit : 0;
    for (uint32_t i = from; i < w->op_count; i++) {
        const struct op *op = w->ops[i];
        if (!op_names(op, key)) continue;
        printf("  %6llu", (unsigned long long)op->invoke);
        if (op->respond == SIM_LOST)
            printf("    lost");
        else
            printf(" %7llu", (unsigned long long)op->respond);
        printf(" client %u.%u:", op->client->id, op->connection);
        for (int l = 0; l < op->count; l++) {
            printf("%s", op->block ? (l ? "; " : " MULTI ") : " ");
            for (int j = 0; j < op->lines[l].argc; j++)
                printf("%s%s", j ? " " : "", op->lines[l].argv[j]);
        }
        printf(" -> ");
        for (size_t b = 0; op->raw && b < op->raw_n && b < 200; b++)
            if (op->raw[b] == '\n')
                putchar(' ');
            else if (op->raw[b] != '\r')
                putchar(op->raw[b]);
        putchar('\n');
    }
}
