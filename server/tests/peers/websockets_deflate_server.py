"""Python's `websockets` as an echo server that compresses whatever the client offers: `websockets_deflate_server.py`."""

import asyncio
import logging

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    # "deflate" is the library's default: permessage-deflate, context taken over as far as the client lets it.
    async with serve(echo, "127.0.0.1", 0, compression="deflate", max_size=16 << 20) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}/", flush=True)
        await server.serve_forever()


# loadgen asks for /config, which is no WebSocket handshake and would be logged with a traceback.
logging.getLogger("websockets").setLevel(logging.CRITICAL)
asyncio.run(main())
