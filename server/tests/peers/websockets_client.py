"""Python's `websockets` as a client of an echo server: `websockets_client.py URL`."""

import asyncio
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tap import Checks, expect_equal

# Where the length field changes its form (125 | 126, 65535 | 65536), and a message larger than any read buffer.
SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
# One byte more than echo-server's default --max-message-size.
TOO_LARGE = (16 << 20) + 1


async def main(url):
    checks = Checks()
    await checks.run("no subprotocol and no extension unless asked", plain_handshake(url))
    for size in SIZES:
        await checks.run(f"text of {size} bytes", echo(url, text(size)))
        await checks.run(f"binary of {size} bytes", echo(url, binary(size)))
        await checks.run(f"text of {size} bytes in fragments", echo_fragments(url, text(size)))
        await checks.run(f"binary of {size} bytes in fragments", echo_fragments(url, binary(size)))
    await checks.run("200 messages in flight keep their order", echo_in_flight(url))
    await checks.run("50 connections at once", echo_on_many(url))
    for payload in [b"", b"depth", bytes(125)]:
        await checks.run(f"pong for a ping of {len(payload)} bytes", pong(url, payload))
    for code, reason in [(1000, ""), (1000, "done"), (1001, "going"), (3000, "registered"), (4999, "é" * 61)]:
        await checks.run(f"close {code} {reason[:12]!r} is echoed", close(url, code, reason))
    await checks.run("a message too large is closed with 1009", too_large(url))
    checks.finish()


def open_connection(url):
    # No proxy: the environment may name one, and it would not know this host. No size limit: 1 MiB is the default.
    return connect(url, proxy=None, max_size=None)


async def plain_handshake(url):
    async with open_connection(url) as connection:
        expect_equal(connection.subprotocol, None, "the subprotocol")
        expect_equal(connection.response.headers.get("Sec-WebSocket-Extensions"), None, "the extensions' header")


async def echo(url, message):
    async with open_connection(url) as connection:
        await connection.send(message)
        expect_equal(await connection.recv(), message, "the echo")
        await expect_no_more(connection)


async def echo_fragments(url, message):
    # Sending an iterable sends a frame for each item and an empty last one.
    third = len(message) // 3
    async with open_connection(url) as connection:
        await connection.send([message[:third], message[third : 2 * third], message[2 * third :]])
        expect_equal(await connection.recv(), message, "the echo")
        await expect_no_more(connection)


async def echo_in_flight(url):
    messages = [text(i * 7) if i % 2 else binary(i * 97) for i in range(200)]
    async with open_connection(url) as connection:
        for message in messages:
            await connection.send(message)
        for i, message in enumerate(messages):
            expect_equal(await connection.recv(), message, f"echo {i}")
        await expect_no_more(connection)


async def echo_on_many(url):
    await asyncio.gather(*(echo(url, f"connection {i} " + text(i * 100)) for i in range(50)))


async def pong(url, payload):
    # websockets matches pongs by their payload, so a wrong one is never taken for the answer.
    async with open_connection(url) as connection:
        await (await connection.ping(payload))
        await expect_no_more(connection)


async def close(url, code, reason):
    async with open_connection(url) as connection:
        await connection.send("before")
        expect_equal(await connection.recv(), "before", "the echo")
        await connection.close(code, reason)
        received = connection.protocol.close_rcvd
        expect_equal(received and (received.code, received.reason), (code, reason), "the close frame received")


async def too_large(url):
    # Without `async with`, whose own close raises AttributeError on a connection that was lost amid a send.
    connection = await open_connection(url)
    try:
        await connection.send(bytes(TOO_LARGE))
        await connection.recv()
    except ConnectionClosed as closed:
        expect_equal(closed.rcvd and closed.rcvd.code, 1009, "the close code received")
    else:
        raise AssertionError("it was echoed")


async def expect_no_more(connection):
    """Echoes one more message, before which nothing may come."""
    await connection.send("the last")
    expect_equal(await connection.recv(), "the last", "the echo of the last message")


def text(size):
    """`size` bytes of UTF-8 in which characters of every length occur."""
    sample = "aé漢😀"
    whole, rest = divmod(size, len(sample.encode()))
    return sample * whole + "x" * rest


def binary(size):
    """`size` bytes without a period that a lost or repeated piece could hide in, the same in every run."""
    return random.Random(size).randbytes(size)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
