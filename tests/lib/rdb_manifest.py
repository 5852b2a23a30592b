# SPDX-License-Identifier: BSD-3-Clause
"""What an RDB file of a corpus holds, by its manifest, and the same from torc-rdb or a server.

All come to one form: {(db, key): (type, expiry in ms or None, value)}, with byte strings as the
manifests have them: base64, or length and SHA-256 when they are longer than 256 bytes; a key is the
JSON text of that. README.md in tests/data/rdb says what a corpus is.
"""
import base64
import hashlib
import json
import os
import pathlib
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPUS = pathlib.Path(os.environ.get("TORC_RDB_CORPUS") or ROOT / "tests/data/rdb")
# What torc reads and Redis 7.2 does not, or not without modules.
OURS = {"slot-info.rdb", "module-aux-unknown.rdb"}


def packed(data):
    """A byte string as manifests have it."""
    if len(data) > 256:
        return {"len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return base64.b64encode(data).decode()


def name_of(told):
    """A key, as manifests have it, as something that a dictionary takes."""
    return json.dumps(told, sort_keys=True)


def files():
    """The files that servers have written whole, with their manifests' paths."""
    found = []
    for path in sorted(CORPUS.glob("*.rdb")) + sorted(CORPUS.glob("assets/*.rdb")):
        if path.with_suffix(".json").exists():
            found.append(path)
    return found


def corrupt():
    """The rows of corrupt/manifest.json: (path, row)."""
    path = CORPUS / "corrupt/manifest.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [(CORPUS / "corrupt" / row["file"], row) for row in rows]


def manifest(path):
    """The manifest of a file."""
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def is_big(told):
    """Whether the manifest has digests in place of values."""
    return "digest_of_all" in told


def refused(told):
    """Whether torc, which has no modules and no functions, refuses the file."""
    if told.get("functions") or "module_keys" in told:
        return True
    outcomes = told.get("loads_in") or {}
    if any("result" in outcome for outcome in outcomes.values()):
        return all(outcome["result"] != "loads" for outcome in outcomes.values())
    return False


def is_to_be_refused(row):
    """True, False, or None where either will do: damage that nothing in the file shows."""
    outcomes = [row["redis_7_2_6"], row.get("redis_7_2_6_sanitize_yes")]
    outcomes = [outcome for outcome in outcomes if outcome]
    bad = any(outcome["result"] != "loads" or outcome.get("read_back") == "server crashed"
              for outcome in outcomes)
    if row["file"] in OURS:
        return False
    return None if not bad and row["file"].startswith("flip") else bad


def value_of(kind, value, now_ms):
    """A value in the one form; None: nothing is left of it."""
    if kind == "zset":
        return [[member, float(score)] for member, score in value]
    if kind == "set":
        return sorted(value, key=json.dumps)
    if kind == "hash":
        kept = [field for field in value if len(field) < 3 or field[2] > now_ms]
        return sorted(kept, key=json.dumps) or None
    if kind == "stream":
        return stream_of(value)
    return value


def stream_of(value):
    """A stream in the one form, without what follows from the rest."""
    groups = []
    for group in value["groups"]:
        groups.append({
            "name": group["name"], "last": group["last_delivered_id"],
            "read": group.get("entries_read"), "pel": sorted(group["pel"], key=json.dumps),
            "consumers": sorted((consumer["name"], consumer["seen_time"], consumer["active_time"])
                                for consumer in group["consumers"])})
    return {"length": value["length"], "last": value["last_id"],
            "deleted": value["max_deleted_id"], "added": value["entries_added"],
            "entries": value["entries"], "groups": sorted(groups, key=lambda g: g["name"])}


def expected(told):
    """What the manifest says is there after a load now."""
    now_ms = time.time() * 1000
    keys = {}
    for db, content in told["dbs"].items():
        for key in content["keys"]:
            differs = key.get("reference") or {}
            value = key["value"]
            if "value" in differs:
                value = {**value, **differs["value"]} if key["type"] == "stream" \
                    else differs["value"]
            expire = differs.get("expire_at_ms", key["expire_at_ms"])
            value = value_of(key["type"], value, now_ms)
            if value is not None and (expire is None or expire > now_ms):
                keys[int(db), name_of(key["key"])] = (key["type"], expire, value)
    return keys


def whole(data):
    """A byte string as the digests of a big manifest take it."""
    return base64.b64encode(data).decode()


def digests(keys):
    """What exported() told, with digests in place of values, as a big manifest has them."""
    return {place: (kind, expire, digest(kind, value) if kind != "stream" else None)
            for place, (kind, expire, value) in keys.items()}


def digest(kind, value):
    """The digest of a value whose strings are whole()."""
    if kind == "zset":
        value = [[member, score_text(score)] for member, score in value]
    if kind == "hash":
        value = sorted(value, key=lambda pair: base64.b64decode(pair[0]))
    if kind == "set":
        value = sorted(value, key=base64.b64decode)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def score_text(score):
    """A score as Redis 7.2 replies it."""
    return "%d" % score if score == int(score) else repr(score)


def big_digests(told):
    """The same of a manifest with digests: {(db, key): (type, expiry, digest)}."""
    keys = {}
    for db, content in told["dbs"].items():
        for kind, digests in content["keys"].items():
            for key, digest in digests.items():
                expire = content["expire_at_ms"].get(key)
                keys[int(db), name_of(packed(key.encode()))] = (
                    kind, expire, digest if kind != "stream" else None)
    return keys


def plain(value):
    """A string of torc-rdb's JSON as bytes."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value.encode()


def pairs(items, form):
    """Pairs of strings, what else stands behind them kept."""
    return [[form(plain(item[0])), form(plain(item[1])), *item[2:]] for item in items]


def exported_value(line, form):
    """The value of a line of torc-rdb export, strings put through `form`."""
    kind, value = line["type"], line["value"]
    if kind == "string":
        return form(plain(value))
    if kind in ("list", "set"):
        return [form(plain(item)) for item in value]
    if kind == "zset":
        return [[form(plain(member)), score] for member, score in value]
    if kind == "hash":
        return pairs(value, form)
    groups = []
    for group in value["groups"]:
        pel = [[i, form(plain(name)), at, count] for i, name, at, count in group["pending"]]
        consumers = [{"name": form(plain(consumer["name"])), "seen_time": consumer["seen_ms"],
                      "active_time": consumer["active_ms"]} for consumer in group["consumers"]]
        groups.append({**group, "name": form(plain(group["name"])), "pel": pel,
                       "consumers": consumers})
    return {**value, "entries": [[i, pairs(fields, form)] for i, fields in value["entries"]],
            "groups": groups}


def exported(lines, form=packed):
    """Lines of torc-rdb export, in the one form."""
    now_ms = time.time() * 1000
    keys = {}
    for text in lines:
        line = json.loads(text)
        place = line["db"], name_of(packed(plain(line["key"])))
        assert place not in keys, "twice: %r" % (place,)
        value = value_of(line["type"], exported_value(line, form), now_ms)
        keys[place] = (line["type"], line["expire_at_ms"], value)
    return keys


def read_stream(client, key):
    """A stream, from a server."""
    info = client("XINFO", "STREAM", key, "FULL", "COUNT", "0")
    info = dict(zip(info[::2], info[1::2]))
    text = {name.decode(): value for name, value in info.items()}
    groups = []
    for group in text["groups"]:
        told = {name.decode(): value for name, value in zip(group[::2], group[1::2])}
        consumers, pel = [], []
        for consumer in told["consumers"]:
            his = {name.decode(): value for name, value in zip(consumer[::2], consumer[1::2])}
            consumers.append({"name": packed(his["name"]), "seen_time": his["seen-time"],
                              "active_time": his.get("active-time", -1)})
        for entry, consumer, at, count in told["pending"]:
            pel.append([entry.decode(), packed(consumer), at, count])
        groups.append({"name": packed(told["name"]), "entries_read": told["entries-read"],
                       "last_delivered_id": told["last-delivered-id"].decode(), "pel": pel,
                       "consumers": consumers})
    entries = [[i.decode(), [[packed(f), packed(v)] for f, v in zip(fields[::2], fields[1::2])]]
               for i, fields in text["entries"]]
    return {"length": text["length"], "last_id": text["last-generated-id"].decode(),
            "max_deleted_id": text["max-deleted-entry-id"].decode(),
            "entries_added": text["entries-added"], "entries": entries, "groups": groups}


def read_value(client, kind, key):
    """The value of a key, from a server."""
    if kind == "string":
        return packed(client("GET", key))
    if kind == "list":
        return [packed(item) for item in client("LRANGE", key, 0, -1)]
    if kind == "set":
        return [packed(item) for item in client("SMEMBERS", key)]
    if kind == "zset":
        told = client("ZRANGE", key, 0, -1, "WITHSCORES")
        return [[packed(m), float(s)] for m, s in zip(told[::2], told[1::2])]
    if kind == "stream":
        return read_stream(client, key)
    told = client("HGETALL", key)
    return [[packed(f), packed(v)] for f, v in zip(told[::2], told[1::2])]


def add_field_expiry(client, key, fields):
    """Hashes may have fields that expire, where the server knows such."""
    names = [base64.b64decode(f[0]) if isinstance(f[0], str) else None for f in fields]
    known = [i for i, name in enumerate(names) if name is not None]
    if not known:
        return fields
    told = client("HPEXPIRETIME", key, "FIELDS", len(known), *[names[i] for i in known])
    for i, expire in zip(known, told):
        if expire > 0:
            fields[i].append(expire)
    return fields


def read_server(client, databases, field_expiry=True):
    """Everything that a server holds, in the one form."""
    keys = {}
    for db in databases:
        client("SELECT", db)
        for key in client("KEYS", "*"):
            kind = client("TYPE", key)
            kind = kind.decode() if isinstance(kind, bytes) else str(kind)
            value = read_value(client, kind, key)
            if kind == "hash" and field_expiry:
                value = add_field_expiry(client, key, value)
            expire = client("PEXPIRETIME", key)
            keys[db, name_of(packed(key))] = (kind, expire if expire >= 0 else None,
                                              value_of(kind, value, 0))
    return keys


def read_encodings(client, databases):
    """OBJECT ENCODING of every key that a server holds."""
    names = {}
    for db in databases:
        client("SELECT", db)
        for key in client("KEYS", "*"):
            names[db, name_of(packed(key))] = client("OBJECT", "ENCODING", key).decode()
    return names


def differences(one, other, limit=5):
    """Texts of what differs; empty: nothing."""
    found = []
    for place in sorted(set(one) | set(other)):
        if one.get(place) != other.get(place):
            found.append("%r: %.300r and %.300r" % (place, one.get(place), other.get(place)))
    return found[:limit]
