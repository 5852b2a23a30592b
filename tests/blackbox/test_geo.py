# SPDX-License-Identifier: BSD-3-Clause
"""Geo commands over real sockets: against a plain search in Python, keys on any shard."""
import math
import random

import pytest

from lib.check import SYNTAX, arity, check
from lib.resp import Error

NEAR = 0.5  # metres that a place may be off


def distance(a, b):
    """Metres between two places in degrees."""
    lon1, lat1, lon2, lat2 = map(math.radians, (*a, *b))
    u, v = math.sin((lat2 - lat1) / 2), math.sin((lon2 - lon1) / 2)
    return 2 * 6372797.560856 * math.asin(
        math.sqrt(u * u + math.cos(lat1) * math.cos(lat2) * v * v))


def test_known_places(both):
    check(both, ("GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", 2),
          ("GEODIST s Palermo Catania km", b"166.2742"), ("GEODIST s Palermo none", None),
          ("GEOHASH s Palermo Catania", [b"sqc8b49rny0", b"sqdtr74hyu0"]),
          ("GEOSEARCH s FROMLONLAT 15 37 BYRADIUS 200 km ASC", [b"Catania", b"Palermo"]),
          ("GEORADIUS s 15 37 100 km WITHDIST", [[b"Catania", b"56.4413"]]),
          ("GEOADD s 1 1", arity("geoadd")), ("GEOSEARCH s BYRADIUS 1 m STORE a b", SYNTAX),
          ("GEOADD s 181 0 x", Error("ERR invalid longitude,latitude pair 181.000000,0.000000")))


@pytest.mark.parametrize("count", [60, 1500])  # both forms of a sorted set
def test_searches_find_what_is_there(c, count):
    rnd = random.Random(count)
    places = {b"m%d" % i: (rnd.gauss(10, 3), rnd.gauss(50, 2)) for i in range(count)}
    for name, (lon, lat) in places.items():
        assert c("GEOADD", "places", repr(lon), repr(lat), name) == 1
    for _ in range(30):
        centre, radius = (rnd.gauss(10, 3), rnd.gauss(50, 2)), 10 ** rnd.uniform(3, 6)
        found = c("GEOSEARCH", "places", "FROMLONLAT", *map(repr, centre), "BYRADIUS",
                  repr(radius), "m", "WITHDIST", "ASC")
        names = {name for name, _ in found}
        metres = [float(text) for _, text in found]
        assert metres == sorted(metres)
        for name, place in places.items():
            true = distance(centre, place)
            if abs(true - radius) > NEAR:
                assert (name in names) == (true < radius)
        nearest = c("GEOSEARCH", "places", "FROMLONLAT", *map(repr, centre), "BYRADIUS",
                    repr(radius), "m", "COUNT", "5")
        assert nearest == [name for name, _ in found[:5]]


def test_destinations_on_any_shard(c):
    for i in range(8):
        check(c, ("GEOADD from%d 1 1 a 1.001 1 b" % i, 2),
              ("GEOSEARCHSTORE to%d from%d FROMMEMBER a BYRADIUS 1 km" % (i, i), 2),
              ("GEORADIUSBYMEMBER from%d a 1 km STORE no%d STOREDIST dist%d" % (i, i, i), 2),
              ("ZSCORE dist%d a" % i, b"0"), ("ZCARD to%d" % i, 2), ("EXISTS no%d" % i, 0),
              ("GEORADIUS from%d 50 50 1 m STORE to%d" % (i, i), 0), ("EXISTS to%d" % i, 0))
