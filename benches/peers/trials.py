"""Short trials by loadgen against all servers in alternation. Absolute rates drift on a shared machine; what is judged is
each server's rate over Fathom's of the same round."""

import dataclasses
import json
import random
import statistics
import subprocess

from servers import FATHOM

# Seconds of a trial's load that are not measured: caches and the peers' just-in-time compilers settle.
WARMUP = 0.05
# Seconds for one trial beyond its load; the slowest server takes one to accept 500 connections.
TRIAL_LIMIT = 30
# loadgen's exit codes for "measured" and "measured, but short or unsteady": the spread over the rounds is the judge here.
MEASURED = (0, 98)


class TrialFailed(Exception):
    """loadgen could not measure, or found replies that were wrong or missing."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """A load: connections, payload as loadgen's --size takes it, messages in flight per connection."""

    connections: int
    size: str
    in_flight: int = 1

    def __str__(self):
        deep = f", {self.in_flight} in flight" if self.in_flight > 1 else ""
        return f"{self.connections} x {self.size}{deep}"


@dataclasses.dataclass
class Outcome:
    """What one server did in one cell: messages per second, CPU us per message, the rate over Fathom's; by round."""

    rates: list[float]
    cpu: list[float]
    ratios: list[float]


def run_cell(cell, servers, loadgen, core, *, rounds, seconds, seed, progress):
    """Runs `rounds` rounds of one trial for each server, in an order drawn anew for each; returns outcomes by name."""
    order = random.Random(seed)
    outcomes = {server.name: Outcome([], [], []) for server in servers}
    for number in range(1, rounds + 1):
        for server in order.sample(servers, len(servers)):
            progress(f"{cell}: round {number} of {rounds}: {server.name}")
            rate, cpu = trial(cell, server, loadgen, core, seconds)
            outcomes[server.name].rates.append(rate)
            outcomes[server.name].cpu.append(cpu)
    for outcome in outcomes.values():
        outcome.ratios = [rate / fathom for rate, fathom in zip(outcome.rates, outcomes[FATHOM].rates, strict=True)]
    return outcomes


def trial(cell, server, loadgen, core, seconds):
    """One trial; returns messages per second and the server's CPU us per message. Every reply was verified."""
    command = [
        "taskset", "--cpu-list", str(core), loadgen, "run", server.url, "--threads", "1", "--quiet", "--format", "json",
        "--connections", str(cell.connections), "--size", cell.size, "--in-flight", str(cell.in_flight),
        "--duration", f"{seconds * 1000:.0f}ms", "--warmup", f"{WARMUP * 1000:.0f}ms",
        *(["--insecure"] if server.scheme == "wss" else []),
    ]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_LIMIT + seconds)
    except subprocess.TimeoutExpired as error:
        raise TrialFailed(f"{server.name}, {cell}: no report after {error.timeout:.0f} s") from error
    if run.returncode not in MEASURED:
        raise TrialFailed(f"{server.name}, {cell}: loadgen ended with {run.returncode}: {run.stderr.strip()}")
    report = json.loads(run.stdout)
    if report["messages"]["verified"] == 0 or report["connections"]["established"] < cell.connections:
        raise TrialFailed(f"{server.name}, {cell}: {'; '.join(report['trust']['reasons'])}")
    return report["throughput"]["messages_per_second"], report["resources"]["server"]["cpu_us_per_message"]


def spread(values):
    """The median and the quartiles."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high
