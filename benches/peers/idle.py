"""What an idle connection costs a server in user memory: many are opened, echo one message each, and stay."""

import os
import socket
import ssl
import struct
import time

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# Certificates are the tests' own.
UNCHECKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNCHECKED.check_hostname, UNCHECKED.verify_mode = False, ssl.CERT_NONE
PAYLOAD = bytes(range(64))
# Connections before the first look, so that what is allocated once is not charged to the others.
WARMUP = 500
# Seconds for one answer, and seconds of peace before each look, in which garbage collectors may do their work.
ANSWER_LIMIT, SETTLING = 10, 1.0


def bytes_per_connection(server, connections):
    """The growth of the server's VmRSS from `WARMUP` connections to `connections` more, for each of them."""
    opened = []
    try:
        opened += [idle_connection(server) for _ in range(WARMUP)]
        time.sleep(SETTLING)
        before = server.resident_bytes()
        opened += [idle_connection(server) for _ in range(connections)]
        time.sleep(SETTLING)
        return (server.resident_bytes() - before) / connections
    finally:
        for connection in opened:
            connection.close()


def idle_connection(server):
    """A connection that has echoed one message of 64 B."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=ANSWER_LIMIT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if server.scheme == "wss":
        connection = UNCHECKED.wrap_socket(connection)
    connection.sendall(REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += received(connection, server)
    if not head.startswith(b"HTTP/1.1 101 "):
        raise OSError(f"{server.name} does not upgrade: {head[:60]!r}")
    key = os.urandom(4)
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(PAYLOAD))
    connection.sendall(struct.pack("!BB", 0x82, 0x80 | len(PAYLOAD)) + key + masked)
    expected = struct.pack("!BB", 0x82, len(PAYLOAD)) + PAYLOAD
    reply = b""
    while len(reply) < len(expected):
        reply += received(connection, server)
    if reply != expected:
        raise OSError(f"{server.name} answers {reply!r}, not the echo")
    return connection


def received(connection, server):
    some = connection.recv(4096)
    if not some:
        raise OSError(f"{server.name} closed a connection")
    return some
