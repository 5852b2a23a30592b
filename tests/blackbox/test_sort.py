# SPDX-License-Identifier: BSD-3-Clause
"""SORT over real sockets: patterns lead to keys on any shard, alone and in transactions."""
import random

from lib.check import SYNTAX, check
from lib.resp import Error


def test_known_orders(both):
    check(both, ("RPUSH l 10 9.5 -3 7", 4), ("SORT l", [b"-3", b"7", b"9.5", b"10"]),
          ("SORT l ALPHA DESC LIMIT 0 2", [b"9.5", b"7"]), ("SORT l BY x LIMIT 1 1", [b"9.5"]),
          ("SORT_RO l STORE d", SYNTAX), ("SORT none", []), ("RPUSH l a", 5),
          ("SORT l", Error("ERR One or more scores can't be converted into double")))


def test_patterns_lead_to_any_shard(c):
    rnd = random.Random(1)
    ids = list(range(300))
    rnd.shuffle(ids)
    weights = {i: rnd.randrange(10**6) for i in ids}
    c("SADD", "ids", *ids)
    for i in ids:
        c("SET", "w_%d" % i, weights[i])
        c("HSET", "user:%d" % i, "name", "n%d" % i)
    order = sorted(ids, key=weights.get)
    names = [b"n%d" % i for i in order]
    assert c("SORT", "ids", "BY", "w_*", "GET", "user:*->name") == names
    assert c("SORT_RO", "ids", "BY", "w_*", "GET", "user:*->name", "LIMIT", 5, 10) == names[5:15]
    assert c("SORT", "ids", "BY", "w_*", "GET", "user:*->name", "STORE", "sorted") == 300
    assert c("LRANGE", "sorted", 0, -1) == names
    assert c("MULTI") == "OK"
    c("SET", "w_%d" % order[-1], -1)
    c("SORT", "ids", "BY", "w_*", "LIMIT", 0, 2)
    c("SORT", "ids", "BY", "w_*", "LIMIT", 0, 2, "STORE", "few")
    c("LRANGE", "few", 0, -1)
    first = [b"%d" % order[-1], b"%d" % order[0]]
    assert c("EXEC") == ["OK", first, 2, first]


def test_destinations_on_any_shard(c):
    for i in range(8):
        check(c, ("RPUSH from%d 3 1 2" % i, 3), ("SORT from%d STORE to%d" % (i, i), 3),
              ("LRANGE to%d 0 -1" % i, [b"1", b"2", b"3"]),
              ("SORT none STORE to%d" % i, 0), ("EXISTS to%d" % i, 0))
