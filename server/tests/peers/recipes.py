"""The commands of docs/recipes.md, run as they stand there but for shorter times: `recipes.py LOADGEN TARGET`.

A block of code below a paragraph that begins with a file's name becomes that file; of a block of `console`, each line that
begins with `$` is run. Ports 9001 and 9002 are replaced by free ones. What a section needs and this machine has not is said as
`# SKIPPED`, which the gate lists.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import foreign
from tap import Checks

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/recipes.md"
# A paragraph that begins with a file's name, and the block of code below it.
FILE = r"^`([\w.]+)`[^\n]*(?:\n[^\n]+)*\n\n```\w+\n(.*?)^```$"
# Enough for a start or two of each server: what is tested is that the commands work.
SHORT = {"-d": "1s", "--warmup": "200ms", "--max-time": "4s"}
TIMES = {"run": ("-d", "--warmup"), "compare": ("--max-time",), "sweep": ("--max-time",)}
# loadgen's exit codes for a measurement, believed or not, and decided or not: so short a one can be anything.
MEASURED = (0, 98, 99)
# Seconds for one command; a JVM takes one to start on a busy machine.
LIMIT = 120
# Where Debian's packages of Go's libraries lie.
GO_LIBRARIES = pathlib.Path("/usr/share/gocode")
# Sections that need something which is optional in the gate.
NEEDS = {"Go": "go", "Java": "java"}


def main(loadgen, target):
    checks, target, page = Checks(), pathlib.Path(target), PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        room = Room(pathlib.Path(folder), target, loadgen)
        for name, code in re.findall(FILE, page, re.MULTILINE | re.DOTALL):
            (room.folder / name).write_text(code)
        for section in page.split("\n## ")[1:]:
            run_section(checks, room, section, target)
    checks.finish()


def run_section(checks, room, section, target):
    title = section.partition("\n")[0]
    commands = re.findall(r"^\$ (.+)$", "\n".join(blocks(section, "console")), re.MULTILINE)
    if commands and (why := missing(title, target)):
        print(f"# SKIPPED: the recipes of {title}: {why}")
        return
    try:
        for command in commands:
            try:
                attempt(room, command)
            except (AssertionError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
                checks.report(f"{title}: {command}", f"{type(error).__name__}: {error}")
            else:
                checks.report(f"{title}: {command}")
    finally:
        room.end()


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def missing(title, target):
    """Why a section cannot be run here, if it cannot."""
    if NEEDS.get(title) == "java":
        return foreign.missing_by_name(target).get("netty")
    if NEEDS.get(title) == "go" and not (shutil.which("go") and (GO_LIBRARIES / "src/github.com/gorilla/websocket").exists()):
        return "no Go, or no gorilla/websocket, which Debian calls golang-go and golang-github-gorilla-websocket-dev"
    return None


class Room:
    """The folder of the files, what its commands find, and what runs in the background."""

    def __init__(self, folder, target, loadgen):
        self.folder, self.loadgen = folder, loadgen
        self.ports = {"9001": free_port(), "9002": free_port()}
        self.running = []
        node = target / "peers/node"
        (folder / "node_modules").symlink_to(node / "node_modules")
        programs = [target / "peers/python/bin", foreign.bun(node).parent]
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
            # Go without modules, as Debian's packages of its libraries want it.
            "GO111MODULE": "off", "GOPATH": str(GO_LIBRARIES), "GOCACHE": str(folder / "go-cache"), "GOFLAGS": "",
        }  # fmt: skip
        if foreign.netty(target).exists():
            for name in ("v1.jar", "v2.jar"):
                # A link would do, but for the jars that it names beside itself.
                shutil.copy(foreign.netty(target), folder / name)
            (folder / "lib").symlink_to(foreign.netty(target).parent / "lib")

    def start(self, words):
        self.running.append(subprocess.Popen(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=sys.stderr))
        port = int(words[-1])
        deadline = time.monotonic() + LIMIT
        while not listens(port):
            if self.running[-1].poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no listener on port {port}")
            time.sleep(0.05)

    def run(self, words):
        return subprocess.run(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, timeout=LIMIT)  # fmt: skip

    def end(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()
        self.running.clear()


def attempt(room, command):
    for port, free in room.ports.items():
        command = command.replace(port, str(free))
    words = shlex.split(command.removesuffix("&"))
    if command.endswith("&"):
        room.start(words)
    elif words[0] != "loadgen":
        code = room.run(words).returncode
        if code != 0:
            raise AssertionError(f"it exits with {code}")
    else:
        finished = room.run([room.loadgen, *shortened(words[1:]), "--quiet", "--format", "json"])
        if finished.returncode not in MEASURED:
            raise AssertionError(f"it exits with {finished.returncode}")
        expect_echoes(json.loads(finished.stdout))


def shortened(words):
    """The same with less time, whatever it has."""
    for flag in TIMES[words[0]]:
        at = words.index(flag) if flag in words else len(words)
        words = [*words[:at], *words[at + 2 :], flag, SHORT[flag]]
    return words


def expect_echoes(report):
    """Raises unless every server sent messages back, and all of them right."""
    sides = [report[name] for name in ("a", "b") if name in report] or report.get("arms") or [report]
    for side in sides:
        messages = side["messages"]
        if messages["verified"] == 0:
            raise AssertionError(f"no message came back: {messages}")
        for fault in ("corrupted", "lost", "unexpected"):
            if messages[fault]:
                raise AssertionError(f"{messages[fault]} messages {fault}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
