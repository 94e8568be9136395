"""Short fan-outs by loadgen through all relays in alternation. All get the same messages at the same rate, far below what any
of them carries, so that what is compared is the CPU time that a delivery costs; and how late deliveries come."""

import dataclasses
import json
import random
import subprocess

import trials

SENDERS = 10
# Seconds of a trial's load that are not measured: the peers' just-in-time compilers have been at work since the first trial.
WARMUP = 0.5
# Seconds for one trial beyond its load: the slowest server takes one or two to accept 1,000 connections.
TRIAL_LIMIT = 60
# loadgen's exit codes for "measured", "something went wrong" (which is told in the table) and "measured, but not to be trusted"
# (where the generator was late, say: the spread over the rounds is the judge here).
MEASURED = (0, 1, 98)


@dataclasses.dataclass(frozen=True)
class Cell:
    """A load: receivers, payload as loadgen's --size takes it, and how many messages are due at once."""

    receivers: int
    size: str
    burst: int = 1

    def __str__(self):
        deep = "one at a time" if self.burst == 1 else f"{self.burst} at once"
        return f"{self.receivers:,} receivers, {self.size}, {deep}"


@dataclasses.dataclass
class Outcome:
    """What one relay did in one cell: deliveries per second of its CPU time and p99 in ns, by round; and what went wrong."""

    rates: list[float] = dataclasses.field(default_factory=list)
    p99: list[float] = dataclasses.field(default_factory=list)
    expected: int = 0
    wrong: int = 0


def run_cell(cell, servers, loadgen, core, *, rounds, seconds, offered, seed, progress):
    """Runs `rounds` rounds of one trial for each server, in an order drawn anew for each; returns outcomes by name."""
    order = random.Random(seed)
    outcomes = {server.name: Outcome() for server in servers}
    for number in range(1, rounds + 1):
        for server in order.sample(servers, len(servers)):
            progress(f"{cell}: round {number} of {rounds}: {server.name}")
            report = trial(cell, server, loadgen, core, seconds, offered)
            deliveries, outcome = report["deliveries"], outcomes[server.name]
            outcome.rates.append(report["server"]["deliveries_per_cpu_second"])
            outcome.p99.append(report["latency"]["p99"])
            outcome.expected += deliveries["expected"]
            outcome.wrong += sum(deliveries[fault] for fault in ("lost", "duplicated", "out_of_order", "altered"))
    return outcomes


def trial(cell, server, loadgen, core, seconds, offered):
    """One trial at so many deliveries per second; returns loadgen's report. Every delivery was compared with what was sent."""
    command = [
        "taskset", "--cpu-list", str(core), loadgen, "fanout", server.url, "--threads", "1", "--quiet", "--format", "json",
        "--senders", str(SENDERS), "--receivers", str(cell.receivers), "--size", cell.size, "--burst", str(cell.burst),
        "--rate", f"{offered / cell.receivers:g}", "--duration", f"{seconds * 1000:.0f}ms", "--warmup", f"{WARMUP * 1000:.0f}ms",
    ]  # fmt: skip
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_LIMIT + seconds)
    except subprocess.TimeoutExpired as error:
        raise trials.TrialFailed(f"{server.name}, {cell}: no report after {error.timeout:.0f} s") from error
    if run.returncode not in MEASURED or not run.stdout:
        raise trials.TrialFailed(f"{server.name}, {cell}: loadgen ended with {run.returncode}: {run.stderr.strip()}")
    report = json.loads(run.stdout)
    if (why := unusable(report)) is not None:
        raise trials.TrialFailed(f"{server.name}, {cell}: {why}: {'; '.join(report['trust']['reasons'])}")
    return report


def unusable(report):
    """Why a report cannot be compared with others, if it cannot."""
    for kind in ("senders", "receivers"):
        if report[kind]["established"] < report[kind]["requested"] or report[kind]["dropped"]:
            return f"not all {kind} were connected all the time"
    if report["messages"]["unsent"]:
        return f"{report['messages']['unsent']} messages could not be sent"
    if report["server"] is None or not report["server"]["deliveries_per_cpu_second"]:
        return "the server's CPU time cannot be told"
    if report["latency"]["p99"] is None:
        return f"{report['deliveries']['received']} deliveries are too few for a p99"
    return None
