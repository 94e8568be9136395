"""Python's `websockets` as a client that compresses, with context takeover in each direction and without:
`websockets_deflate_client.py URL`.
"""

import asyncio
import itertools
import sys

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tap import Checks, expect_equal
from websockets_client import SIZES, binary, text


async def main(url):
    checks = Checks()
    for server_no_takeover, client_no_takeover, bits in itertools.product([False, True], [False, True], [None, 10]):
        name = f"every size, server_no_context_takeover {server_no_takeover}, client's {client_no_takeover}, window {bits}"
        factory = ClientPerMessageDeflateFactory(
            server_no_context_takeover=server_no_takeover,
            client_no_context_takeover=client_no_takeover,
            server_max_window_bits=bits,
            client_max_window_bits=bits or True,
        )
        await checks.run(name, echo(url, factory))
    checks.finish()


async def echo(url, factory):
    async with connect(url, proxy=None, max_size=None, compression=None, extensions=[factory]) as connection:
        granted = connection.response.headers.get("Sec-WebSocket-Extensions", "")
        expect_equal(granted.split(";")[0], "permessage-deflate", "the extensions")
        # Twice, so that the second message can refer to the first.
        for size in (*SIZES, *SIZES):
            for message in (text(size), binary(size)):
                await connection.send(message)
                expect_equal(await connection.recv(), message, f"the echo of {size} bytes")
            if size:
                # In fragments.
                half = size // 2
                whole = text(size)
                await connection.send([whole[:half], whole[half:]])
                expect_equal(await connection.recv(), whole, f"the echo of {size} bytes in fragments")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
