"""loadgen over TLS against an echo server that is not ours: `loadgen_tls_client.py LOADGEN CA SERVER...`, a server
being a command whose certificate the authority in the file CA has signed, and which sends tickets.

Each version of TLS, sessions resumed and not, and that a certificate of nobody who is trusted is refused.
"""

import subprocess
import sys

from listening import Server
from loadgen_client import LIMIT, NOT_TO_BE_TRUSTED, attempt, drive
from tap import Checks, expect_equal

CONNECTIONS = 10
LOAD = ["-c", str(CONNECTIONS), "--warmup", "0s", "--format", "json", "--quiet"]
# More than a record holds, and more than one message to a record.
MESSAGES = ["--size", "0..70000", "--in-flight", "4", "--messages", "1000"]
# One connection after the other, so that all but the first have a session to resume.
RESUMED = ["--messages", "100", "--connect-rate", "20"]


def main(loadgen, ca, *server_command):
    checks = Checks()
    with Server(server_command) as server:
        run = [loadgen, "run", server.url]
        for version in ("1.2", "1.3"):
            trusting = [*run, *LOAD, "--cacert", ca, "--tls-versions", version]
            attempt(checks, f"TLS {version}, binary of 0 to 70,000 bytes, 4 in flight", spoken, [*trusting, *MESSAGES], version, 0)
            resuming = [*trusting, *RESUMED, "--tls-resume", "on"]
            attempt(checks, f"TLS {version}, sessions resumed", spoken, resuming, version, CONNECTIONS // 2)
        attempt(checks, "a certificate of no authority that is trusted", refused, [*run, "-c", "1", "--messages", "1", "--quiet"])
    checks.finish()


def spoken(command, version, resumed):
    """Raises unless every message came back over this version, and so many connections resumed a session at least, or none."""
    # So few messages tell nothing of the machine's speed, and nothing is concluded from it.
    tls = drive(command, [0, NOT_TO_BE_TRUSTED])["tls"]
    expect_equal(tls["certificates_checked"], True, "tls.certificates_checked")
    expect_equal([settled["version"] for settled in tls["settled"]], [version], "the versions in tls.settled")
    expect_equal(sum(settled["connections"] for settled in tls["settled"]), CONNECTIONS, "tls.settled[].connections")
    if tls["resumed"] < resumed or (resumed == 0 and tls["resumed"] > 0):
        raise AssertionError(f"tls.resumed is {tls['resumed']}, expected {resumed or 'none'}{' or more' if resumed else ''}")


def refused(command):
    """Raises unless no connection is opened to a server whose certificate nobody has vouched for."""
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    said = " ".join((finished.stdout + finished.stderr).split())
    if finished.returncode != 1 or "is of no authority that is trusted" not in said:
        raise AssertionError(f"it exits with {finished.returncode}: {said}")


if __name__ == "__main__":
    main(*sys.argv[1:])
