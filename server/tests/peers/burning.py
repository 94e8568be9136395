"""That `--burn` burns, in each of the servers of other runtimes: `burning.py LOADGEN SERVER...`, a server being its command.

What scripts/foreign finds out about small differences is worth nothing if there is none.
"""

import json
import subprocess
import sys

from tap import Checks

# ns for each message: several times what any of these servers uses for one, and so no matter of a busy machine.
MUCH = 200_000
# As a share of what was asked for: a round of the loop takes what it takes on this machine, between these.
LEAST, MOST = 0.2, 5
# The warm-up is there for the compilers, which make the loop several times as fast.
LOAD = ["-c", "20", "--warmup", "1s", "-d", "1s", "--format", "json", "--quiet"]
# Seconds for those 2 s of load, starting and ending.
LIMIT = 60


def main(loadgen, *servers):
    checks = Checks()
    for server in servers:
        name = f"{server} burns what it is asked to"
        try:
            burnt = cost_ns(loadgen, f"{server} {{port}} --burn {MUCH}") - cost_ns(loadgen, f"{server} {{port}}")
        except (KeyError, ValueError, TypeError, subprocess.TimeoutExpired) as error:
            checks.report(name, f"{type(error).__name__}: {error}")
            continue
        right = LEAST * MUCH <= burnt <= MOST * MUCH
        checks.report(name, None if right else f"{burnt:,.0f} ns for each message, of {MUCH:,} asked for")
    checks.finish()


def cost_ns(loadgen, server):
    """CPU time that a server uses for one message, ns."""
    finished = subprocess.run(
        [loadgen, "run", "--server", server, *LOAD], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=LIMIT
    )
    return json.loads(finished.stdout)["resources"]["server"]["cpu_us_per_message"] * 1000


if __name__ == "__main__":
    main(*sys.argv[1:])
