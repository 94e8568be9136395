"""What scripts/foreign counts: of the comparisons of one server, how many had the right sign, verdict and interval."""

import dataclasses
import json
import math
import statistics

# As reports name them, and which sign a slower server has.
METRICS = {"throughput": -1, "server-cpu": 1}
DIFFERENT = ("regressed", "improved")


@dataclasses.dataclass
class Effect:
    """A change as a share, with its 95% interval."""

    change: float
    low: float
    high: float


@dataclasses.dataclass
class Server:
    """All comparisons of one server that were made."""

    slower: list
    aa: list
    long: list
    burn: dict | None


def burnt(directory):
    """Reads them."""

    def reports(kind):
        return [json.loads(path.read_text()) for path in sorted(directory.glob(f"{kind}-*.json"))]

    calibration = directory / "burn.json"
    burn = json.loads(calibration.read_text()) if calibration.exists() else None
    return Server(reports("slower"), reports("aa"), reports("long"), burn)


def line(report):
    """A comparison in a line."""
    said = []
    for name in METRICS:
        if metric := of(report, name):
            effect, verdict = estimate(metric), verdict_of(metric)
            said.append(f"{name} {effect.change:+.2%} ({effect.low:+.2%}..{effect.high:+.2%}) {verdict}")
    return f"{'; '.join(said)}; {report['change']} after {report['elapsed_seconds']:.0f} s, starts: {len(report['starts'])}"


def table(servers):
    """Markdown: two rows for each server, one for each metric."""
    header = ["server", "CPU per message", "metric", "long run", "right sign", "regressed", "inconclusive", "anything else",
              "interval holds the long run's", "A/A called different", "time, median"]  # fmt: skip
    rows = [header, ["---"] * len(header)]
    for name, server in servers.items():
        for metric in METRICS:
            rows.append(row(name, server, metric))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def row(name, server, metric):
    compared = [found for report in server.slower if (found := of(report, metric))]
    verdicts = [verdict_of(found) for found in compared]
    regressed, inconclusive = verdicts.count("regressed"), verdicts.count("inconclusive")
    signs = sum(estimate(found).change * METRICS[metric] > 0 for found in compared)
    same = [found for report in server.aa if (found := of(report, metric))]
    alarms = sum(verdict_of(found) in DIFFERENT for found in same)
    true = pooled([ratio for report in server.long if (found := of(report, metric)) for ratio in found["log_ratios"]])
    times = [report["elapsed_seconds"] for report in server.slower]
    count = f"of {len(compared)}"
    return [
        name,
        f"{server.burn['cost_ns'] / 1000:.2f} us" if server.burn else "-",
        metric,
        f"{true.change:+.2%} ({true.low:+.2%}..{true.high:+.2%})" if true else "-",
        f"{signs} {count}",
        f"{regressed} {count}",
        f"{inconclusive} {count}",
        f"{len(compared) - regressed - inconclusive} {count}",
        coverage(compared, true),
        f"{alarms} of {len(same)}",
        f"{statistics.median(times):.0f} s" if times else "-",
    ]


def coverage(compared, true):
    if true is None:
        return "-"
    bounded = [effect for effect in map(estimate, compared) if math.isfinite(effect.low) and math.isfinite(effect.high)]
    held = sum(effect.low <= true.change <= effect.high for effect in bounded)
    without = len(compared) - len(bounded)
    return f"{held} of {len(bounded)}" + (f"; {without} had none" if without else "")


def of(report, name):
    return next((metric for metric in report["metrics"] if metric["metric"] == name and metric["estimate"]["change"] is not None), None)


def verdict_of(metric):
    return (metric["ruling"] or {"change": "not judged"})["change"]


def estimate(metric):
    found = metric["estimate"]
    low = -math.inf if found["low"] is None else found["low"]
    return Effect(found["change"], low, math.inf if found["high"] is None else found["high"])


def pooled(ratios):
    """Hodges and Lehmann's estimate of log ratios, one for each start, and the normal approximation of its 95% interval."""
    n = len(ratios)
    if n < 10:
        return None
    averages = sorted((ratios[i] + ratios[j]) / 2 for i in range(n) for j in range(i, n))
    below = round(len(averages) / 2 - 1.96 * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    return Effect(*(math.expm1(value) for value in (statistics.median(averages), averages[below], averages[-1 - below])))
