// SPDX-License-Identifier: BSD-3-Clause
//
// Commands that need neither keys nor a connection: PING, ECHO, TIME, LOLWUT, MEMORY HELP. Pure
// functions of their arguments and the command's time; any thread. Invariant: each writes exactly
// one reply. Called through the rows of the command table.
#include "engine/commands/server.h"

#include "engine/base/random.h"
#include "engine/commands/introspect.h"

void server_ping(struct cmd *c) {
    if (c->argc > 2) {
        reply_error(c->reply, "ERR wrong number of arguments for 'ping' command");
    } else if (unlikely(c->flags & CMD_CTX_SUBSCRIBED)) {
        reply_array(c->reply, 2);
        reply_bulk_text(c->reply, "pong");
        reply_bulk_slice(c->reply, c->argc == 2 ? c->argv[1] : slice_of("", 0));
    } else if (c->argc == 2) {
        reply_bulk_slice(c->reply, c->argv[1]);
    } else {
        reply_status(c->reply, "PONG");
    }
}

void server_echo(struct cmd *c) { reply_bulk_slice(c->reply, c->argv[1]); }

void server_time(struct cmd *c) {
    reply_array(c->reply, 2);
    reply_bulk_int(c->reply, c->now_us / 1000000);
    reply_bulk_int(c->reply, c->now_us % 1000000);
}

void server_memory_help(struct cmd *c) {
    static const char *const lines[] = {
        "USAGE <key> [SAMPLES <count>]",
        "    Tells the bytes that the key and its value take.",
        NULL,
    };
    introspect_help_reply(c->reply, "MEMORY", lines);
}

// ---- LOLWUT: a torc, the twisted neck ring of the Celts, another one every time ----------------

#define ART_ROWS    21
#define ART_COLUMNS 51
#define OUTER       1000 // radii in thousandths of the picture's half height
#define INNER       690
#define KNOB_X      300 // the two knobs beside the opening, at the lower end
#define KNOB_Y      800
#define KNOB        210

struct torc {
    int64_t twists;      // of the strands, once around
    int64_t phase;       // of the twist, of 4000
    const char *strands; // one character for each shade, 8 of them
    char knob;
};

/** A cheap angle: runs from 0 to 4000 once around the circle, not evenly, but that nobody sees. */
static int64_t angle_of(int64_t x, int64_t y) {
    int64_t sum = (x < 0 ? -x : x) + (y < 0 ? -y : y);
    if (sum == 0) return 0;
    int64_t part = y * 1000 / sum;
    return x >= 0 ? 1000 + part : 3000 - part;
}

static char pixel(const struct torc *t, int64_t x, int64_t y) {
    int64_t side = (x < 0 ? -x : x) - KNOB_X, up = y - KNOB_Y;
    int64_t knob = side * side + up * up;
    if (knob < KNOB * KNOB) return knob < KNOB * KNOB / 3 ? 'o' : t->knob;
    int64_t r2 = x * x + y * y;
    if (r2 > OUTER * OUTER || r2 < INNER * INNER) return ' ';
    if (y > 0 && x > -KNOB_X && x < KNOB_X) return ' '; // the opening
    // A strand runs from the outer to the inner rim while the angle turns: that is the twist.
    int64_t depth = (r2 - INNER * INNER) * 4000 / (OUTER * OUTER - INNER * INNER);
    int64_t strand = angle_of(x, y) * t->twists + depth + t->phase;
    return t->strands[strand / 500 % 8];
}

static void draw(struct buf *out, const struct torc *t) {
    for (int64_t row = 0; row < ART_ROWS; row++) {
        char line[ART_COLUMNS];
        size_t length = 0;
        for (int64_t column = 0; column < ART_COLUMNS; column++) {
            int64_t x = (2 * column - (ART_COLUMNS - 1)) * 1020 / (ART_COLUMNS - 1);
            int64_t y = (2 * row - (ART_ROWS - 1)) * 1020 / (ART_ROWS - 1);
            line[column] = pixel(t, x, y);
            if (line[column] != ' ') length = (size_t)column + 1;
        }
        buf_append(out, line, length);
        buf_append_char(out, '\n');
    }
}

void server_lolwut(struct cmd *c) {
    int64_t version;
    if (c->argc >= 3 && slice_is(c->argv[1], "version") && !cmd_arg_i64(c, 2, &version)) return;
    static const char *const metals[] = {"@%#*+=-.", "\\\\|//|--", "#=#-*=*-", "&8&8oooo",
                                         "~~==##=="};
    struct random random;
    random_init(&random, (uint64_t)c->now_ms);
    struct torc torc = {
        .twists = 4 + (int64_t)random_below(&random, 9),
        .phase = (int64_t)random_below(&random, 4000),
        .strands = metals[random_below(&random, sizeof metals / sizeof metals[0])],
        .knob = "@%#&"[random_below(&random, 4)],
    };
    struct buf text = {0};
    draw(&text, &torc);
    buf_append_text(&text,
                    "\nA torc of a thousand strands, no two alike. Redis ver. " SERVER_REDIS_VERSION
                    "\n");
    reply_verbatim(c->reply, "txt", slice_of(text.p, text.len));
    buf_free(&text);
}
