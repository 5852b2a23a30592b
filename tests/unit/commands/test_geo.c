// SPDX-License-Identifier: BSD-3-Clause
//
// Geo commands through the command table, against the replies of Redis 7.2.6: every option, edge
// and error text, both protocols, ties and unordered results, what is stored. Long replies are
// compared by their hash. One process, one thread.
#include "tests/unit/commands/harness.h"

#define BAD_UNIT  "-ERR unsupported unit provided. please use M, KM, FT, MI\r\n"
#define NO_MEMBER "-ERR could not decode requested zset member\r\n"

static uint64_t fnv(const char *text, size_t n) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void add_sicily(struct harness *h) {
    EXPECT(h, ":2\r\n", "GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
}

static void test_geoadd(void **state) {
    struct harness *h = *state;
    add_sicily(h);
    EXPECT(h, "$16\r\n3479099956230698\r\n", "ZSCORE s Palermo");
    EXPECT_MODIFIED(h, 0, "GEOADD s 13.361389 38.115556 Palermo");
    EXPECT(h, ":0\r\n", "GEOADD s nx 1 1 Palermo");
    EXPECT(h, ":1\r\n", "GEOADD s CH 1 1 Palermo");
    EXPECT(h, ":0\r\n", "GEOADD s XX 2 2 Palermo 3 3 new");
    EXPECT(h, ":2\r\n", "GEOADD s XX CH 3 3 Palermo 3 3 Catania 3 3 new");
    EXPECT(h, ":0\r\n", "GEOADD none XX 1 1 a");
    EXPECT(h, ":0\r\n", "EXISTS none");
    EXPECT(h, SYNTAX, "GEOADD s NX XX 1 1 a");
    EXPECT(h, SYNTAX, "GEOADD s 1 1 a 1");
    EXPECT(h, SYNTAX, "GEOADD s NX NX NX");
    EXPECT(h, SYNTAX, "GEOADD s NX 1 1 a 1");
    EXPECT(h, "-ERR value is not a valid float\r\n", "GEOADD s x 1 a");
    EXPECT(h, "-ERR value is not a valid float\r\n", "GEOADD s 1 '' a");
    EXPECT(h, "-ERR invalid longitude,latitude pair 210.000000,1.000000\r\n",
           "GEOADD new 1 1 ok 210 1 a");
    EXPECT(h, "-ERR invalid longitude,latitude pair 1.000000,-85.060000\r\n",
           "GEOADD s 1 -85.06 a");
    EXPECT(h, "-ERR invalid longitude,latitude pair inf,0.000000\r\n", "GEOADD s inf 0 a");
    EXPECT(h, ":0\r\n", "EXISTS new");
    EXPECT(h, ":4\r\n",
           "GEOADD edge 180 85.05112878 a -180 -85.05112878 b 180 0 c 0 85.05112878 d");
    EXPECT(h, OK, "SET str x");
    EXPECT(h, WRONG_TYPE, "GEOADD str 1 1 a");
    EXPECT(h, SYNTAX, "GEOADD str 1 1 a 1");
    // More at once than a few, and into the large form.
    harness_run(h, "GEOADD many 1 1 a 1 2 b 1 3 c 1 4 d 1 5 e 1 6 f 1 7 g 1 8 h 1 9 i 2 1 j 2 2 k "
                   "2 3 l 2 4 m 2 5 n 2 6 o 2 7 p 2 8 q 2 9 r 3 1 s 3 2 t 3 3 u 3 4 v 3 5 w 3 6 x "
                   "3 7 y 3 8 z 3 9 A 4 1 B 4 2 C 4 3 D 4 4 E 4 5 F 4 6 G 4 7 H");
    EXPECT(h, ":34\r\n", "ZCARD many");
}

static void test_asking(void **state) {
    struct harness *h = *state;
    add_sicily(h);
    EXPECT(h, "*2\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n*-1\r\n",
           "GEOPOS s Palermo none");
    EXPECT(h, "*1\r\n*-1\r\n", "GEOPOS none a");
    EXPECT(h, NONE, "GEOPOS s");
    EXPECT(h, "*2\r\n$11\r\nsqc8b49rny0\r\n$-1\r\n", "GEOHASH s Palermo none");
    EXPECT(h, "$11\r\n166274.1516\r\n", "GEODIST s Palermo Catania");
    EXPECT(h, "$8\r\n166.2742\r\n", "GEODIST s Palermo Catania KM");
    EXPECT(h, "$8\r\n103.3182\r\n", "GEODIST s Catania Palermo mi");
    EXPECT(h, "$11\r\n545518.8700\r\n", "GEODIST s Palermo Catania ft");
    EXPECT(h, "$6\r\n0.0000\r\n", "GEODIST s Palermo Palermo");
    EXPECT(h, "$-1\r\n", "GEODIST s Palermo none");
    EXPECT(h, "$-1\r\n", "GEODIST none a b km");
    EXPECT(h, BAD_UNIT, "GEODIST s Palermo Catania miles");
    EXPECT(h, SYNTAX, "GEODIST s Palermo Catania m m");
    EXPECT(h, OK, "SET str x");
    EXPECT(h, BAD_UNIT, "GEODIST str a b x");
    EXPECT(h, WRONG_TYPE, "GEODIST str a b m");
    EXPECT(h, WRONG_TYPE, "GEOPOS str a");
    EXPECT(h, WRONG_TYPE, "GEOHASH str a");
    // Short distances, and scores that are no places.
    EXPECT(h, ":2\r\n", "GEOADD near 0 0 a 0.00001 0 b");
    EXPECT(h, "$6\r\n0.5967\r\n", "GEODIST near a b");
    EXPECT(h, "$6\r\n0.0006\r\n", "GEODIST near a b km");
    EXPECT(h, ":2\r\n", "ZADD near -1 below inf above");
}

static void test_resp3(void **state) {
    struct harness *h = *state;
    add_sicily(h);
    h->proto = 3;
    EXPECT(h, "*2\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n_\r\n",
           "GEOPOS s Palermo none");
    EXPECT(h, "*2\r\n$11\r\nsqc8b49rny0\r\n_\r\n", "GEOHASH s Palermo none");
    EXPECT(h, "$11\r\n166274.1516\r\n", "GEODIST s Palermo Catania");
    EXPECT(h, "_\r\n", "GEODIST s Palermo none");
    EXPECT(h,
           "*1\r\n*4\r\n$7\r\nPalermo\r\n$8\r\n190.4424\r\n:3479099956230698\r\n*2\r\n"
           ",13.36138933897018433\r\n,38.11555639549629859\r\n",
           "GEORADIUS s 15 37 200 km WITHCOORD WITHHASH WITHDIST COUNT 1 DESC");
}

static void test_searching(void **state) {
    struct harness *h = *state;
    add_sicily(h);
    const char *both = "*2\r\n$7\r\nPalermo\r\n$7\r\nCatania\r\n";
    const char *nearest = "*2\r\n$7\r\nCatania\r\n$7\r\nPalermo\r\n";
    EXPECT(h, both, "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km");
    EXPECT(h, nearest, "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC");
    EXPECT(h, nearest, "geosearch s asc byradius 200000 m fromlonlat 15 37");
    EXPECT(h, both, "GEOSEARCH s FROMLONLAT 15 37 BYBOX 400 400 km DESC");
    EXPECT(h, nearest, "GEOSEARCH s FROMMEMBER Catania BYBOX 400 400 km ASC");
    EXPECT(h, "*1\r\n$7\r\nCatania\r\n", "GEOSEARCH s FROMMEMBER Catania BYBOX 400 100 km");
    EXPECT(h, "*1\r\n$7\r\nCatania\r\n", "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1");
    EXPECT(h, "*1\r\n$7\r\nPalermo\r\n",
           "GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY");
    EXPECT(h, "*1\r\n*2\r\n$7\r\nCatania\r\n$6\r\n0.0000\r\n",
           "GEORADIUSBYMEMBER s Catania 0 m WITHDIST");
    EXPECT(h, NONE, "GEOSEARCH s FROMLONLAT 0 0 BYRADIUS 10 km");
    EXPECT(h, NONE, "GEOSEARCH none FROMMEMBER a BYRADIUS 10 km");
    EXPECT(h, NONE, "GEORADIUSBYMEMBER none a no unit");
    EXPECT(h, both, "GEORADIUS_RO s 15 37 200 km");
    EXPECT(h, nearest, "GEORADIUSBYMEMBER_RO s Catania 200 km ASC");
}

/** Places at equal distances come as Redis's partial and full sorts leave them. */
static void test_replies_of_redis(void **state) {
    struct harness *h = *state;
    static const struct {
        const char *line;
        size_t bytes;
        uint64_t hash;
    } redis[] = {
        {"GEOSEARCH world FROMLONLAT 10 10 BYRADIUS 3000 km WITHDIST WITHHASH WITHCOORD", 1686,
         UINT64_C(0x956aabc29e763baf)},
        {"GEOSEARCH world FROMLONLAT -170 60 BYRADIUS 4000 mi DESC WITHDIST", 3359,
         UINT64_C(0xc555ccc0c5bcb366)},
        {"GEOSEARCH world FROMMEMBER p7 BYBOX 5000 3000 km ASC WITHDIST WITHCOORD", 1752,
         UINT64_C(0xa7e59590028f223d)},
        {"GEOSEARCH world FROMMEMBER p100 BYBOX 90000000 30000000 ft COUNT 20 WITHDIST", 651,
         UINT64_C(0x2b660ea311a80df6)},
        {"GEORADIUS world 0 0 30000 km COUNT 10 ANY WITHCOORD", 708, UINT64_C(0x0e506f7cff4959d5)},
        {"GEORADIUSBYMEMBER world p33 9000 km DESC COUNT 12 WITHHASH", 396,
         UINT64_C(0x61d4223a1053a3ab)},
        {"GEOPOS world p0 p1 p2 p399", 245, UINT64_C(0x67e9c6d9cda96f78)},
        {"GEOHASH world p0 p1 p2 p399", 76, UINT64_C(0xc2b1f1dd2cb61eca)},
    };
    for (int large = 0; large < 2; large++) {
        h->settings.limits.zset_max_listpack_entries = large ? 128 : 1000;
        harness_run(h, "DEL world");
        h->walk = false;
        for (int i = 0; i < 400; i++)
            harness_run(h, "GEOADD world %.2f %.2f p%d", i * 7919 % 36000 / 100.0 - 180,
                        i * 104729 % 17000 / 100.0 - 85, i);
        h->walk = true;
        for (size_t i = 0; i < sizeof redis / sizeof *redis; i++) {
            const char *reply = harness_run(h, "%s", redis[i].line);
            if (h->reply.len != redis[i].bytes || fnv(reply, redis[i].bytes) != redis[i].hash)
                fail_msg("'%s' answered %s", redis[i].line, reply);
        }
    }
}

static void test_option_errors(void **state) {
    struct harness *h = *state;
    add_sicily(h);
    EXPECT(h, NO_MEMBER, "GEOSEARCH s FROMMEMBER x BYRADIUS 1 m");
    EXPECT(h, NO_MEMBER, "GEORADIUSBYMEMBER s x no unit");
    EXPECT(h, "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOsearch\r\n",
           "GEOsearch s BYRADIUS 1 m ASC ASC");
    EXPECT(h, "-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH\r\n",
           "GEOSEARCH none FROMMEMBER a ASC ASC ASC");
    EXPECT(h, SYNTAX, "GEOSEARCH s FROMMEMBER Catania FROMLONLAT 1 1 BYRADIUS 1 m");
    EXPECT(h, SYNTAX, "GEOSEARCH s FROMLONLAT 1 1 FROMMEMBER Catania BYRADIUS 1 m");
    EXPECT(h, SYNTAX, "GEOSEARCH s FROMLONLAT 1 1 BYRADIUS 1 m BYBOX 1 1 m");
    EXPECT(h, SYNTAX, "GEOSEARCH s FROMLONLAT 1 1 BYBOX 1 1 m BYRADIUS 1 m");
    EXPECT(h, SYNTAX, "GEOSEARCH s FROMLONLAT 1 1 BYRADIUS 1 m STORE d");
    EXPECT(h, SYNTAX, "GEOSEARCH s FROMLONLAT 1 1 BYRADIUS 1 m STOREDIST");
    EXPECT(h, SYNTAX, "GEOSEARCH s FROMLONLAT 1 1 BYRADIUS 1 m COUNT");
    EXPECT(h, SYNTAX, "GEORADIUS_RO s 1 1 1 m STORE d");
    EXPECT(h, SYNTAX, "GEORADIUSBYMEMBER_RO s Catania 1 m STOREDIST d");
    EXPECT(h, SYNTAX, "GEORADIUS s 1 1 1 m FROMLONLAT 1 1");
    EXPECT(h, SYNTAX, "GEORADIUS s 1 1 1 m STORE");
    EXPECT(h, "-ERR need numeric radius\r\n", "GEOSEARCH s FROMLONLAT 1 1 BYRADIUS x m");
    EXPECT(h, "-ERR radius cannot be negative\r\n", "GEORADIUS s 1 1 -1 m");
    EXPECT(h, "-ERR need numeric width\r\n", "GEOSEARCH s FROMLONLAT 1 1 BYBOX x 1 m");
    EXPECT(h, "-ERR need numeric height\r\n", "GEOSEARCH s FROMLONLAT 1 1 BYBOX 1 x m");
    EXPECT(h, "-ERR height or width cannot be negative\r\n",
           "GEOSEARCH s FROMLONLAT 1 1 BYBOX 1 -1 m");
    EXPECT(h, BAD_UNIT, "GEORADIUS s 1 1 1 x");
    EXPECT(h, "-ERR COUNT must be > 0\r\n", "GEORADIUS s 1 1 1 m COUNT 0");
    EXPECT(h, "-ERR value is not an integer or out of range\r\n", "GEORADIUS s 1 1 1 m COUNT x");
    EXPECT(h, "-ERR the ANY argument requires COUNT argument\r\n", "GEORADIUS none 1 1 1 m ANY");
    EXPECT(h,
           "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD "
           "options\r\n",
           "GEORADIUS s 1 1 1 m WITHDIST STORE d");
    EXPECT(
        h,
        "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options\r\n",
        "GEOSEARCHSTORE d s FROMLONLAT 1 1 BYRADIUS 1 m WITHHASH");
    EXPECT(h, OK, "SET str x");
    EXPECT(h, WRONG_TYPE, "GEOSEARCH str no words at all that are right");
    EXPECT(h, WRONG_TYPE, "GEOSEARCHSTORE d str FROMLONLAT 1 1 BYRADIUS 1 m");
}

static void test_storing(void **state) {
    struct harness *h = *state;
    add_sicily(h);
    EXPECT(h, ":2\r\n", "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km");
    EXPECT(h,
           "*4\r\n$7\r\nPalermo\r\n$16\r\n3479099956230698\r\n$7\r\nCatania\r\n"
           "$16\r\n3479447370796909\r\n",
           "ZRANGE d 0 -1 WITHSCORES");
    EXPECT(h, "$8\r\nlistpack\r\n", "OBJECT ENCODING d");
    EXPECT(h, ":1\r\n", "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST COUNT 1");
    EXPECT(h, "*2\r\n$7\r\nCatania\r\n$16\r\n56.4412578701582\r\n", "ZRANGE d 0 -1 WITHSCORES");
    EXPECT(h, ":1\r\n", "EXPIRE d 100");
    EXPECT(h, ":2\r\n", "GEORADIUS s 15 37 200 km STORE x STOREDIST d");
    EXPECT(h, ":-1\r\n", "TTL d");
    EXPECT(h, ":0\r\n", "EXISTS x");
    EXPECT(h, ":2\r\n", "GEORADIUSBYMEMBER s Palermo 200 km STOREDIST x STORE s");
    // Nothing found, or nothing to search in: the destination goes.
    EXPECT(h, ":0\r\n", "GEOSEARCHSTORE d s FROMLONLAT 0 0 BYRADIUS 1 m");
    EXPECT(h, ":0\r\n", "EXISTS d");
    EXPECT(h, OK, "SET d text");
    EXPECT_MODIFIED(h, 1, "GEORADIUSBYMEMBER none a 1 m STORE d");
    EXPECT(h, ":0\r\n", "EXISTS d");
    EXPECT(h, ":0\r\n", "GEOSEARCHSTORE d none FROMMEMBER a BYRADIUS 1 m");
    h->settings.limits.zset_max_listpack_entries = 1;
    EXPECT(h, ":2\r\n", "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km");
    EXPECT(h, "$8\r\nskiplist\r\n", "OBJECT ENCODING d");
    uint64_t dirty = h->shards[0]->stats.dirty;
    EXPECT(h, ":2\r\n", "GEOSEARCHSTORE d s FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST");
    assert_int_equal(h->shards[0]->stats.dirty - dirty, 2);
}

static void test_keys_on_several_shards(void **state) {
    struct harness *h = *state;
    for (int i = 0; i < 8; i++) {
        EXPECT(h, ":1\r\n", "GEOADD key%d 1 1 a", i);
        EXPECT(h, ":1\r\n", "GEOSEARCHSTORE to%d key%d FROMMEMBER a BYRADIUS 1 m", i, i);
        EXPECT(h, ":1\r\n", "GEORADIUS key%d 1 1 1 m STORE x%d STORE y%d", i, i, i);
    }
    EXPECT(h, ":8\r\n", "EXISTS y0 y1 y2 y3 y4 y5 y6 y7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_geoadd, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_asking, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_resp3, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_searching, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_replies_of_redis, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_option_errors, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_storing, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_keys_on_several_shards, harness_setup_shards,
                                        harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
