"""loadgen fanout against a relay that is not ours: `loadgen_fanout.py LOADGEN SERVER...`, a server being a command."""

import json
import subprocess
import sys

from listening import Server
from tap import Checks, expect_equal

# Few members and a low rate: this is a test of understanding each other, not a measurement.
LOAD = ["--senders", "4", "--receivers", "40", "--rate", "100", "--warmup", "500ms", "-d", "2s", "--format", "json", "--quiet"]
# 0, and 98: measured, but on a machine too busy for the figures to be believed. That all came in order is not in doubt then.
MEASURED = (0, 98)
# Seconds for those 2.5 s of load, which disturbances double, connecting and closing.
LIMIT = 60


def main(loadgen, *server_command):
    checks = Checks()
    with Server(server_command) as server:
        for name, flags in [
            ("binary messages to one room", []),
            ("text messages of 20,000 bytes to one room", ["--text", "--size", "20000"]),
            ("four rooms, which keep their messages to themselves", ["--rooms", "4"]),
            ("20 messages at once", ["--burst", "20"]),
            ("members that come and go", ["--churn", "20"]),
        ]:
            try:
                drive([loadgen, "fanout", server.url, *LOAD, *flags], flags)
            except (AssertionError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
                checks.report(name, f"{type(error).__name__}: {error}")
            else:
                checks.report(name)
    checks.finish()


def drive(command, flags):
    """Runs loadgen and raises unless every message reached every receiver, once, whole and in order."""
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=LIMIT)
    report = json.loads(finished.stdout)
    parts = ["deliveries"] if "--churn" not in flags else ["deliveries", "undisturbed", "churn"]
    for part in parts:
        deliveries = report[part] if part == "deliveries" else report[part]["deliveries"]
        for fault in ("lost", "duplicated", "out_of_order", "altered", "unexpected"):
            expect_equal(deliveries[fault], 0, f"{part}: {fault}")
        expect_equal(deliveries["received"], deliveries["expected"], f"{part}: received")
        if deliveries["received"] == 0:
            raise AssertionError(f"{part}: nothing was received")
    expect_equal(report["messages"]["sent"], report["messages"]["due"], "messages.sent")
    for kind in ("senders", "receivers"):
        expect_equal(report[kind]["established"], report[kind]["requested"], f"{kind}.established")
        expect_equal(report[kind]["dropped"], 0, f"{kind}.dropped")
    if finished.returncode not in MEASURED:
        raise AssertionError(f"it exits with {finished.returncode}: {report['trust']['reasons']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
