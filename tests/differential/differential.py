# SPDX-License-Identifier: BSD-3-Clause
"""Sends the same random commands to stock Redis and to torc; their answers must agree.

    differential.py --commands 1000000 --seed 7 --resp 3 --shards 4 --io-backend epoll

The oracle is a redis-server (Debian's by default). Where Redis 7.0 and 7.2 differ, 7.2 is right:
compare.py lists each such difference by name. On a difference the seed and the fewest commands
that show it are printed, and the exit code is 1.
"""
import argparse
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import driver  # noqa: E402
import events  # noqa: E402
from compare import KNOWN_DIFFERENCES  # noqa: E402,F401  (where users look for the list)
from generator import Generator  # noqa: E402
from lib.server import Server, default_binary, redis_version  # noqa: E402


SHOWN = 40  # commands of a difference that could not be made shorter

# Where compact encodings end, so that short streams get there.
SMALL = {
    "list-max-listpack-size": "8", "list-compress-depth": "1", "set-max-intset-entries": "12",
    "set-max-listpack-entries": "12", "set-max-listpack-value": "32",
    "hash-max-listpack-entries": "12", "hash-max-listpack-value": "32",
    "zset-max-listpack-entries": "12", "zset-max-listpack-value": "32",
    "stream-node-max-entries": "5", "stream-node-max-bytes": "500", "hll-sparse-max-bytes": "200",
}


def arguments(argv):
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resp", type=int, choices=(2, 3), default=2)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--io-backend", default="auto")
    parser.add_argument("--oracle", default=os.environ.get("TORC_ORACLE") or "redis-server")
    parser.add_argument("--torc", default=default_binary())
    parser.add_argument("--batch", type=int, default=100, help="average commands in a pipeline")
    parser.add_argument("--epoch", type=int, default=50000,
                        help="commands between two comparisons of the whole keyspace")
    parser.add_argument("--families", type=lambda text: text.split(","), default=None,
                        help="only these, separated by commas: files of families/")
    parser.add_argument("--limits", choices=("default", "small"), default="default",
                        help="small: compact encodings end early")
    parser.add_argument("--events", action="store_true",
                        help="keyspace events must agree, too")
    parser.add_argument("--keep-going", action="store_true",
                        help="go on after a difference and list all kinds at the end")
    parser.add_argument("--no-shrink", action="store_true")
    return parser.parse_args(argv)


def run_step(pair, step, in_multi):
    """Run one step; the number of commands it took. Raises driver.Difference."""
    kind, connection = step[:2]
    if kind == "batch":
        pair.run(connection, step[2], in_multi[connection])
        return len(step[2])
    if kind in driver.ALONE:
        driver.run_alone(pair, connection, step[2], kind)
        return 1
    pair.run(connection, step[2], False)
    time.sleep(0.03)
    pair.run(connection, step[3], False)
    return len(step[2]) + len(step[3])


def run(options, pair, out=sys.stdout):
    """Run the whole stream; the list of (difference, minimal commands) found."""
    generator = Generator(options.seed, options.batch, options.families,
                          redis_version(options.oracle) or (7, 2))
    found, done, epoch_start, kinds = [], 0, 0, {}
    started = time.monotonic()
    for step in generator.steps():
        try:
            done += run_step(pair, step, generator.in_multi)
            if done - epoch_start < options.epoch and done < options.commands:
                continue
            if any(generator.in_multi):
                continue
            told_alike(options, pair, found, out)
            pair.compare_keyspaces()
        except driver.Difference as difference:
            kind = (difference.args_sent[0].lower(), str(difference.oracle)[:80],
                    str(difference.torc)[:80])
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] == 1:
                found.append(report(options, pair, difference, out))
            generator.in_multi = [False] * len(generator.in_multi)
            done = max(done, epoch_start + difference.index)
            if not options.keep_going:
                break
        epoch_start = done
        pair.begin_epoch()
        if pair.listeners:
            pair.listeners.clear()
        if done >= options.commands:
            break
    seconds = time.monotonic() - started
    print("%d commands in %.1f s (%d per s), seed %d, RESP%d, %d shard(s): %d difference(s)" % (
        done, seconds, done / seconds, options.seed, options.resp, options.shards, len(found)),
        file=out)
    for name, count in sorted(pair.explained.items()):
        print("  known difference, %d times: %s" % (count, name), file=out)
    if options.keep_going:
        for kind, count in sorted(kinds.items(), key=lambda item: -item[1]):
            print("  %d times: %s: oracle %s torc %s" % (count, *kind), file=out)
    return found


def told_alike(options, pair, found, out):
    """Compare the events of the epoch, and note a difference."""
    text = pair.listeners.check() if pair.listeners else None
    if text is None:
        return
    print("DIFFERENCE, seed %d: %s\n  the epoch's commands that name the key:" % (
        options.seed, text), file=out)
    key = text.split("__:", 1)[1].split("'", 1)[0].encode()
    for connection, args, _ in [c for c in pair.log if key in c[1]][-SHOWN:]:
        print("    %d %s" % (connection, driver.show(args)), file=out)
    found.append((text, None))


def report(options, pair, difference, out):
    """Print a difference with the fewest commands that show it."""
    print("DIFFERENCE, seed %d: %s\n  oracle: %.2000r\n  torc:   %.2000r" % (
        options.seed, difference, difference.oracle, difference.torc), file=out)
    if options.no_shrink:
        return difference, None
    log = pair.log[:difference.index + 1]
    minimal, again = driver.shrink(pair, log)
    if again is None:
        print("  a replay of the %d commands of its epoch does not show it again; the last:"
              % len(log), file=out)
        minimal = driver.related(log, log[-1])[-20:]
    else:
        print("  shown by these %d commands (connection, arguments):" % len(minimal), file=out)
    if len(minimal) > SHOWN:
        print("    ... %d more before" % (len(minimal) - SHOWN), file=out)
    for connection, args, _ in minimal[-SHOWN:]:
        print("    %d %s" % (connection, driver.show(args)), file=out)
    if again is not None:
        print("  the last one's replies:\n    oracle: %.2000r\n    torc:   %.2000r" % (
            again.oracle, again.torc), file=out)
    out.flush()
    return difference, minimal


def start_pair(options):
    """Both servers and the connections to them: (pair, oracle, torc)."""
    limits = SMALL if options.limits == "small" else {}
    version = redis_version(options.oracle)
    known = {name: value for name, value in limits.items()
             if version >= (7, 2) or not name.startswith("set-max-listpack")}
    oracle = Server(known, binary=options.oracle)
    try:
        torc = Server({"shards": options.shards, "io-backend": options.io_backend,
                       "rdb-version": "10" if version and version < (7, 2) else "auto", **limits},
                      binary=options.torc)
    except BaseException:
        oracle.stop()
        raise
    addresses = [("127.0.0.1", oracle.port), ("127.0.0.1", torc.port)]
    pair = driver.Pair(addresses, options.resp, known=version and version < (7, 2))
    if options.events:
        pair.listeners = events.Listeners(addresses)
    return pair, oracle, torc


def main(argv=None, out=sys.stdout):
    """Run as the command line says; the exit code."""
    options = arguments(argv)
    pair, oracle, torc = start_pair(options)
    try:
        found = run(options, pair, out)
    except BaseException:
        print("seed %d; the last commands sent (connection, arguments):" % options.seed, file=out)
        for connection, args, _ in pair.log[-2 * options.batch:]:
            print("    %d %s" % (connection, driver.show(args)), file=out)
        print("torc's log:\n%s" % torc.log(4000), file=out)
        raise
    finally:
        if pair.listeners:
            pair.listeners.close()
        pair.close()
        oracle.stop()
        torc.stop()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
