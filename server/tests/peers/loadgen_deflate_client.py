"""loadgen with permessage-deflate against an echo server that is not ours.

`loadgen_deflate_client.py LOADGEN takes-over|takes-nothing-over SERVER...`, a server being a command. Text and binary,
0 B to 1 MiB, each with and without context takeover in either direction.
"""

import sys

from listening import Server
from loadgen_client import NOT_TO_BE_TRUSTED, attempt, drive
from tap import Checks, expect_equal

LOAD = ["-c", "4", "--warmup", "0s", "--in-flight", "3", "--format", "json", "--quiet", "--permessage-deflate"]
# What is sent, how many messages of it, and what the ratio of payload to message may be, both ways.
MESSAGES = [
    ("text of JSON, 0 to 4,096 bytes", ["--text", "--payload", "json", "--size", "0..4096", "--messages", "2000"], 0.6),
    ("binary of JSON, 1 MiB", ["--binary", "--payload", "json", "--size", "1MiB", "--messages", "16"], 0.4),
    ("random binary, 0 to 70,000 bytes", ["--binary", "--size", "0..70000", "--messages", "200"], 1.1),
    ("random text, 1 MiB", ["--text", "--size", "1MiB", "--messages", "16"], 1.0),
    ("empty messages", ["--text", "--size", "0", "--messages", "200"], None),
]


def main(loadgen, ability, *server_command):
    checks = Checks()
    takes_over = {"takes-over": True, "takes-nothing-over": False}[ability]
    with Server(server_command) as server:
        for takeover in ("off", "server", "client", "both"):
            for what, flags, most in MESSAGES:
                command = [loadgen, "run", server.url, *LOAD, "--deflate-context-takeover", takeover, *flags]
                attempt(checks, f"{what}, takeover {takeover}", compressed, command, takeover if takes_over else "off", most)
        narrow = [loadgen, "run", server.url, *LOAD, "--deflate-window-bits", "10", *MESSAGES[0][1]]
        attempt(checks, "a window of 10 bits, or a server that says it has none", narrowed, narrow)
    checks.finish()


def compressed(command, takeover, most):
    """Raises unless every message came back, and both sides compressed in the way that was offered."""
    # So few messages tell nothing of the machine's speed, and nothing is concluded from it.
    report = drive(command, [0, NOT_TO_BE_TRUSTED])
    expect_equal(report["permessage_deflate"]["declined"], 0, "permessage_deflate.declined")
    for agreed in report["permessage_deflate"]["agreed"]:
        for side in ("server", "client"):
            expect_equal(agreed[side]["context_takeover"], takeover in (side, "both"), f"{side}.context_takeover")
    for way in ("sent", "received"):
        ratio = report["wire"][way]["ratio"]
        if most is not None and ratio > most:
            raise AssertionError(f"wire.{way}.ratio is {ratio:.3f}, expected {most} at most")
    verification = report["verification"]
    # Some do not compress what is empty.
    compressed_replies = verification["inflated"] + verification["identical"]
    if (most is not None and compressed_replies == 0) or verification["length"] + verification["frame"] != 0:
        raise AssertionError(f"verification is {verification}")


def narrowed(command):
    """As `compressed`; a server that cannot bound its window has to decline."""
    report = drive([argument.replace("deflate", "deflate=prefer") if argument == "--permessage-deflate" else argument
                    for argument in command], [0, NOT_TO_BE_TRUSTED])  # fmt: skip
    for agreed in report["permessage_deflate"]["agreed"]:
        for side in ("server", "client"):
            if agreed[side]["window_bits"] > 10:
                raise AssertionError(f"the {side}'s window has {agreed[side]['window_bits']} bits")


if __name__ == "__main__":
    main(*sys.argv[1:])
