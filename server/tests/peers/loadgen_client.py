"""loadgen against an echo server that is not ours: `loadgen_client.py LOADGEN SERVER...`, a server being a command."""

import json
import subprocess
import sys

from listening import Server
from tap import Checks, expect_equal

# Few connections and half a second of warm-up: this is a test of understanding each other, not a measurement.
LOAD = ["-c", "20", "--warmup", "500ms", "-d", "2s", "--format", "json", "--quiet"]
# Seconds for those 2.5 s of load, connecting and closing.
LIMIT = 60


# loadgen's exit code for a run that measured, but on a machine too busy for the figures to be believed.
NOT_TO_BE_TRUSTED = 98


def main(loadgen, *server_command):
    checks = Checks()
    with Server(server_command) as server:
        for name, flags, exit_codes in [
            ("text, closed loop", ["--text"], [0]),
            ("binary of 64 to 70,000 bytes, 4 in flight", ["--binary", "--size", "64..70000", "--in-flight", "4"], [0]),
            # An open loop's send lag is the machine's affair; that every message came back is not.
            ("binary, open loop", ["--binary", "--rate", "2000"], [0, NOT_TO_BE_TRUSTED]),
        ]:
            try:
                drive([loadgen, "run", server.url, *LOAD, *flags], exit_codes)
            except (AssertionError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
                checks.report(name, f"{type(error).__name__}: {error}")
            else:
                checks.report(name)
    checks.finish()


def drive(command, exit_codes):
    """Runs loadgen and raises unless it says that every message came back as it was."""
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=LIMIT)
    report = json.loads(finished.stdout)
    messages, connections = report["messages"], report["connections"]
    for fault in ("corrupted", "lost", "unexpected"):
        expect_equal(messages[fault], 0, f"messages.{fault}")
    expect_equal(messages["verified"], messages["sent"], "messages.verified")
    if messages["verified"] == 0:
        raise AssertionError("no message was sent")
    expect_equal(connections["established"], connections["requested"], "connections.established")
    expect_equal(connections["dropped"], 0, "connections.dropped")
    if finished.returncode not in exit_codes:
        raise AssertionError(f"it exits with {finished.returncode}: {report['trust']['reasons']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
