"""The servers that are compared: what starts each, and the processes while they run, all pinned to one core."""

import dataclasses
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
FATHOM = "Fathom"
# Seconds until a server listens: Python and Node take one on a busy machine.
START_LIMIT = 20


class ServerFailed(Exception):
    """A server did not start, or ended."""


def commands(target):
    """The command of every server by its name, Fathom first; `{port}` stands for the port. All use one thread."""
    rust = target / "compared/release/peers"
    python = target / "compared/python/bin/python"
    node = target / "compared/node"
    return {
        FATHOM: [target / "release/echo-server", "--threads", "1", "--listen", "127.0.0.1:{port}"],
        "Bun": [bun(node), HERE / "bun_server.mjs", "{port}"],
        "fastwebsockets": [rust, "fastwebsockets", "{port}"],
        "tokio-websockets": [rust, "tokio-websockets", "{port}"],
        "yawc": [rust, "yawc", "{port}"],
        "tokio-tungstenite": [rust, "tokio-tungstenite", "{port}"],
        "picows": [python, "-B", HERE / "picows_server.py", "{port}"],
        "ws": ["node", node / "ws_server.mjs", "{port}"],
        "websockets": [python, "-B", HERE / "websockets_server.py", "{port}"],
    }


def tls_commands(target):
    """Likewise of those that are compared over TLS; `{key}` and `{certificate}` stand for the files."""
    node = target / "compared/node"
    files = ["{key}", "{certificate}"]
    return {
        FATHOM: [target / "release/echo-server", "--threads", "1", "--listen", "wss://127.0.0.1:{port}",
                 "--tls-key", "{key}", "--tls-cert", "{certificate}"],
        "Bun": [bun(node), HERE / "bun_server.mjs", "{port}", *files],
        "ws": ["node", node / "ws_server.mjs", "{port}", *files],
    }  # fmt: skip


def bun(node):
    """Bun's program in the package for this machine; the `bun` package is but a script that would put it in place."""
    found = sorted(node.glob("node_modules/@oven/bun-*/bin/bun"))
    return found[0] if found else node / "node_modules/@oven/bun/bin/bun"


def named_command(text):
    """`NAME=COMMAND` of the command line; the command holds `{port}`."""
    name, separator, command = text.partition("=")
    if not (name and separator and "{port}" in command):
        raise ValueError(f"'{text}': expected NAME=COMMAND, the command with {{port}} in it")
    return name, shlex.split(command)


@dataclasses.dataclass
class Server:
    """A running server."""

    name: str
    port: int
    process: subprocess.Popen
    scheme: str

    @classmethod
    def start(cls, name, command, core, authority=None):
        """Starts a server on `core` and waits until it listens; over TLS with the certificate of an authority."""
        port = free_port()
        holes = {"{port}": port}
        if authority is not None:
            holes |= {"{key}": authority.key, "{certificate}": authority.certificate}
        words = [filled(str(word), holes) for word in command]
        try:
            # A session of its own, so that whatever the server starts can be ended with it.
            process = subprocess.Popen(
                ["taskset", "--cpu-list", str(core), *words],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )
        except OSError as error:
            raise ServerFailed(f"{name}: cannot start {words[0]}: {error}") from error
        server = cls(name, port, process, "ws" if authority is None else "wss")
        deadline = time.monotonic() + START_LIMIT
        while not server.listens():
            if process.poll() is not None:
                raise ServerFailed(f"{name}: '{shlex.join(words)}' ended with {process.returncode}")
            if time.monotonic() > deadline:
                server.stop()
                raise ServerFailed(f"{name}: no listener on port {port} after {START_LIMIT} s")
            time.sleep(0.02)
        return server

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def resident_bytes(self):
        """User memory, VmRSS; what the kernel holds for its sockets is not in it."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise ServerFailed(f"{self.name}: ended while its memory was measured")

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def filled(word, holes):
    for hole, value in holes.items():
        word = word.replace(hole, str(value))
    return word


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
