"""Python's `websockets` on uvloop, without its keepalive: `python websockets_server.py PORT`."""

import logging
import sys

import uvloop
from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    options = {"compression": None, "ping_interval": None, "backlog": 4096}
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), **options) as server:
        await server.serve_forever()


# Whatever is no WebSocket handshake, such as a look whether the port is open, would be logged with a traceback.
logging.getLogger("websockets").setLevel(logging.CRITICAL)
uvloop.run(main())
