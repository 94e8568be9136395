"""The servers of other runtimes in servers/, as scripts/setup puts them in place: the command of each, without its port."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent


def commands(target):
    """The commands of the echo servers by name, of those that are there; each takes `PORT [--burn N]`."""
    python = target / "peers/python/bin/python"
    node = target / "peers/node"
    every = {
        "ws": ["node", node / "node_ws.mjs"],
        "bun": [bun(node), node / "bun.mjs"],
        "websockets": [python, "-B", HERE / "servers/python_websockets.py"],
        "netty": ["java", "-jar", netty(target)],
    }
    missing = missing_by_name(target)
    return {name: [str(word) for word in command] for name, command in every.items() if name not in missing}


def relays(target):
    """The commands of those that hand messages on, by name; each takes `PORT [--burn N]`."""
    node = target / "peers/node"
    every = {"ws": ["node", node / "node_relay.mjs"], "bun": [bun(node), node / "bun_relay.mjs"]}
    return {name: [str(word) for word in command] for name, command in every.items()}


def missing_by_name(target):
    """Why a server is not there, by its name: the JVM's is optional."""
    if netty(target).exists():
        return {}
    reason = target / "peers/java/skipped"
    return {"netty": reason.read_text().strip() if reason.exists() else f"{netty(target)} is not there; run scripts/setup"}


def bun(node):
    """Bun's program in the package for this machine; the `bun` package is but a script that would put it in place."""
    found = sorted(node.glob("node_modules/@oven/bun-*/bin/bun"))
    return found[0] if found else node / "node_modules/@oven/bun/bin/bun"


def netty(target):
    return target / "peers/java/netty-server.jar"
