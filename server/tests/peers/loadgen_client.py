"""loadgen against an echo server that is not ours: `loadgen_client.py LOADGEN SERVER...`, a server being a command."""

import json
import pathlib
import subprocess
import sys
import tempfile

from listening import Server
from tap import Checks, expect_equal

# Few connections and half a second of warm-up: this is a test of understanding each other, not a measurement.
LOAD = ["-c", "20", "--warmup", "500ms", "-d", "2s", "--format", "json", "--quiet"]
# Reads an interval log with PyPI's hdrhistogram, HdrHistogram's Python implementation.
READBACK = pathlib.Path(__file__).resolve().parents[3] / "loadgen/tests/hlog_readback.py"
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
            attempt(checks, name, drive, [loadgen, "run", server.url, *LOAD, *flags], exit_codes)
        name = "the interval log is read by HdrHistogram for Python"
        attempt(checks, name, read_interval_log, [loadgen, "run", server.url, *LOAD])
    checks.finish()


def attempt(checks, name, check, *arguments):
    """Runs one check and reports it."""
    try:
        check(*arguments)
    except (AssertionError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
        checks.report(name, f"{type(error).__name__}: {error}")
    else:
        checks.report(name)


def drive(command, exit_codes):
    """Runs loadgen, raises unless it says that every message came back as it was, and returns its report."""
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
    return report


def read_interval_log(command):
    """Raises unless the interval log holds as many values as the report counts."""
    with tempfile.TemporaryDirectory() as directory:
        log = pathlib.Path(directory) / "latency.hlog"
        report = drive([*command, "--hlog", log], [0, NOT_TO_BE_TRUSTED])
        count = report["latency"]["count"]
        expect_equal(sum(interval["messages"] for interval in report["intervals"]), count, "the intervals' messages")
        reading = subprocess.run(
            [sys.executable, "-B", READBACK, log, str(count)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        if reading.returncode != 0:
            raise AssertionError(reading.stderr or reading.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
