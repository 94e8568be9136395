"""What loadgen writes, read by its consumers: `formats.py LOADGEN JUNIT_XSD PROMTOOL`.

JUnit against the schema of Jenkins' plug-in, OpenMetrics by Prometheus's Python parser and by promtool, the page by a strict HTML parser,
CSV by Python, action.yml and the workflows against SchemaStore's schemas; and the action's step as GitHub would run it.
"""

import csv
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import html5lib
from lxml import etree
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tap import Checks, expect_equal

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Few connections and short: a test of formats, not a measurement.
RUN = ["-c", "10", "--warmup", "0s", "-d", "3s", "--rate", "2000", "--quiet"]
LIMITS = ["--threshold", "latency.p99<10s", "--threshold", "latency.max<1ns"]
COMPARE = ["--aa", "-c", "10", "--max-time", "5s", "--quiet"]
SWEEP = ["--vary", "tcp-nodelay=on,off", "-c", "10", "--max-time", "5s", "--quiet"]
# Exit codes of runs whose figures may mean nothing on a busy machine, and of one whose limit is crossed.
MEASURED = (0, 98, 99)
# Seconds for one command.
LIMIT = 90


def main(loadgen, xsd, promtool):
    checks = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        run, comparison, sweep = (scratch / f"{name}.json" for name in ("run", "comparison", "sweep"))
        call([loadgen, "run", *RUN, *LIMITS, "-o", run], MEASURED)
        call([loadgen, "compare", *COMPARE, "-o", comparison], MEASURED)
        call([loadgen, "sweep", *SWEEP, "-o", sweep], MEASURED)
        to = Converter(loadgen)
        for name, check, *arguments in [
            ("JUnit of a run", junit, to, run, xsd, {"failures": "1"}),
            ("JUnit of a comparison", junit, to, comparison, xsd, {"failures": "0"}),
            ("JUnit of a sweep", junit, to, sweep, xsd, {"failures": "0"}),
            ("OpenMetrics of a run", openmetrics, to, run),
            ("OpenMetrics of a comparison", verdicts, to, comparison),
            ("OpenMetrics of a sweep", effects, to, sweep),
            ("OpenMetrics of a run by promtool", promtool_check, to, run, promtool),
            ("OpenMetrics of a comparison by promtool", promtool_check, to, comparison, promtool),
            ("OpenMetrics of a sweep by promtool", promtool_check, to, sweep, promtool),
            ("CSV of a run", table, to, run, 1),
            ("CSV of two runs", table, to, [run, run], 2),
            ("the page of a run", page, to, run, "Latency by percentile"),
            ("the page of a comparison", page, to, comparison, "throughput: B against A"),
            ("the page of a sweep", page, to, sweep, "effects on throughput"),
            ("action.yml", schema, "vendor.github-actions", ROOT / "action.yml"),
            *[
                (f"the workflow {file.name}", schema, "vendor.github-workflows", file)
                for file in sorted((ROOT / ".github/workflows").glob("*.yml"))
            ],
            ("the action's step that fetches loadgen", fetched, scratch / "fetched"),
            ("the action's steps that build loadgen once", built, scratch / "built"),
            ("the action's step, nothing slower", step, loadgen, scratch / "same", NONE, (0,), ""),
            ("the action's step, a regression", step, loadgen, scratch / "slower", SLOWER, (99,), "::error"),
            ("the action's step, too short to tell", step, loadgen, scratch / "short", NONE, (98,), "::error", "300ms", 2),
            ("the action's step, too short for any verdict", step, loadgen, scratch / "too-short", NONE, (98,), "max-time is too short", "300ms"),
            ("the action's step, a server that is none", step, loadgen, scratch / "none", "sh -c 'exit 3' {port}", (1,), "::error"),
        ]:
            attempt(checks, name, check, *arguments)
    checks.finish()


# The embedded server without flags.
NONE = ""
# Off the lane and with a write for each frame, a server takes several times as long for messages in flight together.
SLOWER = "--lane off --write per-frame"


class Converter:
    def __init__(self, loadgen):
        self.loadgen = loadgen

    def __call__(self, files, name, *flags):
        files = files if isinstance(files, list) else [files]
        return call([self.loadgen, "report", *files, "--to", name, *flags], (0,)).stdout


def attempt(checks, name, check, *arguments):
    """Runs one check and reports it."""
    try:
        check(*arguments)
    except Exception as error:  # parsers raise what they like
        checks.report(name, f"{type(error).__name__}: {error}")
    else:
        checks.report(name)


def call(command, codes, **more):
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, **more)
    if finished.returncode not in codes:
        raise AssertionError(f"{command[1]} exits with {finished.returncode}: {finished.stdout} {finished.stderr}")
    return finished


def junit(to, file, xsd, attributes):
    document = etree.fromstring(to(file, "junit").encode())
    etree.XMLSchema(etree.parse(xsd)).assertValid(document)
    for name, value in attributes.items():
        expect_equal(document.get(name), value, name)
    if len(document.findall(".//testcase")) < 3:
        raise AssertionError("it has fewer than three cases")


def openmetrics(to, file):
    families = {family.name: family for family in text_string_to_metric_families(to(file, "openmetrics"))}
    latency = json.loads(file.read_text())["latency"]
    samples = families["fathom_latency_seconds"].samples
    counted = [sample.value for sample in samples if sample.name.endswith("_count")]
    expect_equal(counted, [latency["count"]], "latencies counted")
    outcomes = {s.labels["outcome"]: s.value for s in families["fathom_messages"].samples}
    expect_equal(outcomes["lost"], 0, "messages lost")


def verdicts(to, file):
    families = {family.name: family for family in text_string_to_metric_families(to(file, "openmetrics"))}
    gated = {metric["metric"] for metric in json.loads(file.read_text())["metrics"] if metric["gated"]}
    expect_equal({s.labels["metric"] for s in families["fathom_compare_verdict"].samples}, gated, "gated metrics")
    expect_equal(families["fathom_compare_change_ratios"].unit, "ratios", "the change's unit")


def effects(to, file):
    families = {family.name: family for family in text_string_to_metric_families(to(file, "openmetrics"))}
    found = json.loads(file.read_text())["effects"]
    named = {s.labels["effect"] for s in families["fathom_sweep_effect_ratios"].samples}
    expect_equal(named, {"tcp-nodelay on -> off"}, "effects")
    expect_equal(len(found), 2, "metrics with an effect")


def promtool_check(to, file, promtool):
    """promtool reads Prometheus's older text format, in which a counter's help stands under its sample's name."""
    command = [promtool, "check", "metrics"]
    finished = subprocess.run(command, input=to(file, "openmetrics"), capture_output=True, text=True, timeout=LIMIT)
    said = (finished.stdout + finished.stderr).splitlines()
    expect_equal([line for line in said if not line.endswith("_total no help text")], [], "what promtool finds")
    if finished.returncode not in (0, 3):  # 3: it found something
        raise AssertionError(f"promtool exits with {finished.returncode}")


def table(to, files, runs):
    lines = list(csv.DictReader(io.StringIO(to(files, "csv"), newline=""), strict=True))
    expect_equal(len(lines), runs, "lines")
    expect_equal({float(line["latency_p99_ns"]) > 0 for line in lines}, {True}, "latencies above nothing")
    seconds = list(csv.DictReader(io.StringIO(to(files, "csv", "--over-time"), newline=""), strict=True))
    replies = sum(int(line["verified"]) for line in lines)
    expect_equal(sum(int(line["messages"]) for line in seconds), replies, "replies over time")


def page(to, file, title):
    text = to(file, "html")
    document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    if title not in [heading.text for heading in document.iter("h3")]:
        raise AssertionError(f"no chart is called '{title}'")
    loaded = [e.tag for e in document.iter() if {"src", "href", "srcset"} & set(e.attrib)]
    expect_equal(loaded, [], "what is loaded from elsewhere")


def schema(builtin, file):
    call([sys.executable, "-m", "check_jsonschema", "--builtin-schema", builtin, file], (0,))


def step(loadgen, directory, server, codes, annotation, max_time="20s", made=1):
    """The action's step: B is `server`, A the embedded one without flags; it is to be conclusive if it is short, and to be made
    however short it is if more than one attempt is to be `made`."""
    directory.mkdir()
    output, summary = directory / "output", directory / "summary.md"
    environment = {
        **os.environ, "LOADGEN": str(loadgen), "SERVER_A": "", "SERVER_B": server, "FAIL_ON_REGRESSION": "30%",
        "MAX_TIME": max_time, "ATTEMPTS": "2", "REQUIRE_CONCLUSIVE": "true" if 98 in codes else "false", "REPORT": str(directory / "report"),
        "ARGUMENTS": "-c 10 --in-flight '16' --gate throughput" + (" --force" if made > 1 else ""),
        "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary),
    }  # fmt: skip
    finished = call([ROOT / "scripts/github-compare", "step"], codes, env=environment)
    outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
    expect_equal(sorted(outputs), ["exit-code", "report", "verdict"], "outputs")
    expect_equal(outputs["exit-code"], str(codes[0]), "exit-code")
    passed = ["equivalent", "improved", "not-worse", "inconclusive"]
    expected = {98: ["inconclusive"], 99: ["regressed"], 1: [""]}.get(codes[0], passed)
    if outputs["verdict"] not in expected:
        raise AssertionError(f"the verdict is '{outputs['verdict']}', not one of {expected}")
    if annotation not in finished.stdout:
        raise AssertionError(f"no {annotation} in {finished.stdout}")
    if 1 not in codes:
        if not summary.read_text().startswith("### Comparison: "):
            raise AssertionError("the summary does not begin with the verdict")
        for name in ("report.json", "report.html", "report.xml"):
            if not (directory / "report" / name).stat().st_size:
                raise AssertionError(f"{name} is empty")
    if 98 in codes:
        saved = json.loads((directory / "report/report.json").read_text())
        expect_equal(saved["attempts"]["made"], made, "attempts, the second going on")
        expect_equal(saved["ended"], "max-time" if made > 1 else "too-short", "what ended it")


def fetched(directory):
    """The step that fetches loadgen runs what has the checksum that was expected, and nothing else."""
    package = f"fathom-v9.9.9-{os.uname().machine}-linux"
    release = directory / "releases/v9.9.9"
    release.mkdir(parents=True)
    archive = release / f"{package}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(f"{package}/loadgen"))
    right = hashlib.sha256(archive.read_bytes()).hexdigest()
    (release / "SHA256SUMS").write_text(f"{right}  {archive.name}\n")
    output = directory / "output"
    for tag, sha256, code in [
        ("v9.9.9", "", 0), ("v9.9.9", right, 0), ("v9.9.9", "0" * 64, 2), ("v9.9.8", "", 2), ("../v9.9.9", "", 2),
    ]:  # fmt: skip
        output.write_text("")
        environment = {
            **os.environ, "RELEASE": tag, "SHA256": sha256, "RELEASES": (directory / "releases").as_uri(),
            "DIRECTORY": str(directory / "out"), "GITHUB_OUTPUT": str(output),
        }  # fmt: skip
        call([ROOT / "scripts/github-loadgen", "fetch"], (code,), env=environment)
        expected = "" if code else f"loadgen={directory}/out/{package}/loadgen\n"
        expect_equal(output.read_text(), expected, f"what is fetched of {tag}")


def built(directory):
    """The steps that build loadgen: another key for other sources and flags, the same for the same; and a program that runs."""
    sources, output = directory / "sources", directory / "output"
    files = {
        "Cargo.toml": '[workspace]\nmembers = ["loadgen"]\nresolver = "2"\n',
        "Cargo.lock": 'version = 4\n\n[[package]]\nname = "loadgen"\nversion = "0.1.0"\n',
        "loadgen/Cargo.toml": '[package]\nname = "loadgen"\nversion = "0.1.0"\nedition = "2021"\n',
        "loadgen/src/main.rs": 'fn main() { println!("built") }\n', "loadgen/tests/some.rs": "", "docs/some.md": "",
        "server/src/page.html": "<p>", "wire/src/lib.rs": "",
    }  # fmt: skip
    for name, text in files.items():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_text(text)

    def run(what, flags=""):
        output.write_text("")
        environment = {
            **os.environ, "ACTION_PATH": str(sources), "DIRECTORY": str(directory / "built"), "GITHUB_OUTPUT": str(output),
            "CARGO_TARGET_DIR": str(directory / "target"), "RUSTFLAGS": flags,
        }  # fmt: skip
        call([ROOT / "scripts/github-build", what], (0,), env=environment)
        return dict(line.split("=", 1) for line in output.read_text().splitlines())

    first = run("key")
    (sources / "docs/some.md").write_text("changed")
    (sources / "loadgen/tests/some.rs").write_text("// changed")
    expect_equal(run("key"), first, "the outputs where nothing changed that it is built of")
    keys = {first["key"], run("key", "--cfg other")["key"]}
    for name in ("Cargo.lock", "loadgen/src/main.rs", "server/src/page.html"):
        (sources / name).write_text(files[name] + "\n")
        keys.add(run("key")["key"])
    expect_equal(len(keys), 5, "different keys")
    run("build")
    expect_equal(call([first["loadgen"], "--version"], (0,)).stdout, "built\n", "what the program says")


if __name__ == "__main__":
    main(*sys.argv[1:])
