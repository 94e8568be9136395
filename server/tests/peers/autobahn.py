"""Autobahn|Testsuite against a server: `autobahn.py URL [--compression [--every-case|--few-cases]]`, the URL for ws:// or wss://.

The cases are the original ones, driven by kosoku on Python 3. Every case is a check; every category gets a line.
"""

import argparse
import asyncio
import os
import ssl
import sys
import urllib.parse
from collections import Counter

import kosoku

from tap import Checks

CATEGORIES = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "close",
    "9": "limits",
    "10": "automatic fragmentation",
    "12": "permessage-deflate, content",
    "13": "permessage-deflate, parameters",
}
# kosoku 0.1.0 ends some of these in ERROR ("Strings must be encoded before hashing") where a text is answered without
# compression on a connection that negotiated it. So whatever is sent must be compressed, however small.
COMPRESSION = ("12", "13")
# Of those a selection for every day: small messages and large ones, without parameters and with all of them.
SELECTION = ("12.1.*", "12.3.*", "13.3.*", "13.6.*")
# How many cases there are: a selection that silently shrinks would pass. 517 in all.
CASES_WITHOUT_COMPRESSION = 301
CASES_WITH_COMPRESSION = 216
CASES_SELECTED = 72
# And a few, for what is shown once more another way: of either category from 16 B to 128 KiB, whole and in fragments.
FEW = tuple(f"{group}.{case}" for group in ("12.1", "13.1") for case in (1, 4, 7, 10, 13, 16))
CASES_FEW = 12
# A case mostly waits (for a time-out, or for the peer to close), so eight at once are five times as fast on two cores.
PARALLEL = 8
# Bytes that the bridge to TLS passes on at a time.
BRIDGED = 64 << 10


def main():
    parser = argparse.ArgumentParser(description="Runs the Autobahn test suite's cases against a WebSocket server.")
    parser.add_argument("url")
    parser.add_argument("--compression", action="store_true", help="run permessage-deflate's cases instead of all others")
    parser.add_argument("--every-case", action="store_true", help="all 216 of those instead of 72")
    parser.add_argument("--few-cases", action="store_true", help="12 of them")
    args = parser.parse_args()

    chosen = [name for name in CATEGORIES if (name in COMPRESSION) == args.compression]
    patterns, expected = [f"{name}.*" for name in chosen], CASES_WITHOUT_COMPRESSION
    if args.compression and args.few_cases:
        patterns, expected = FEW, CASES_FEW
    elif args.compression and args.every_case:
        expected = CASES_WITH_COMPRESSION
    elif args.compression:
        patterns, expected = SELECTION, CASES_SELECTED
    results = asyncio.run(run_cases(args.url, patterns))

    checks = Checks()
    for case in results:
        checks.report(f"case {case.case_id}", None if conforms(case) else complaint(case))
    checks.report(f"{expected} cases ran", None if len(results) == expected else f"{len(results)} did")
    for name in chosen:
        verdicts = Counter(case.behavior.value for case in results if case.case_id.split(".")[0] == name)
        counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        print(f"# {name:>2} {CATEGORIES[name]}: {counted}")
    checks.finish()


async def run_cases(url, patterns):
    """The results of all cases, good and bad."""
    if url.startswith("wss://"):
        async with await bridge(url) as plain:
            host, port = plain.sockets[0].getsockname()
            return await run_cases(f"ws://{host}:{port}/", patterns)
    try:
        return await kosoku.run_fuzzingclient(url, patterns, concurrency=PARALLEL)
    except kosoku.FailureError as failure:
        return failure.results


async def bridge(url):
    """A server on a free port that passes on what it gets over TLS, which the suite does not speak, and what comes back."""
    target = urllib.parse.urlsplit(url)
    trusting = ssl.create_default_context()

    async def passed(reader, writer):
        try:
            while data := await reader.read(BRIDGED):
                writer.write(data)
                await writer.drain()
        except (OSError, ssl.SSLError):
            pass  # the other end sees it as the end
        finally:
            writer.close()

    async def serve(reader, writer):
        try:
            there = await asyncio.open_connection(target.hostname, target.port, ssl=trusting)
        except OSError:
            return writer.close()
        await asyncio.gather(passed(reader, there[1]), passed(there[0], writer))

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def conforms(case):
    """Whether both the messages and the closing are acceptable; UNIMPLEMENTED is not."""
    acceptable = ("OK", "NON-STRICT", "INFORMATIONAL")
    return case.behavior.value in acceptable and case.behavior_close.value in acceptable


def complaint(case):
    """What the suite expected and what it saw."""
    return (
        f"{case.behavior.value}, closing {case.behavior_close.value}. Expected: {case.expectation} "
        f"Found: {case.result} {case.result_close}"
    )


if __name__ == "__main__":
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    # All is said. The interpreter's own end has aborted once in a while (SIGABRT), in threads of the suite.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
