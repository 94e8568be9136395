"""Python's `websockets` as an echo server: `python_websockets.py PORT [--burn N] [--tls-cert FILE --tls-key FILE]`.

--burn N burns about N ns of CPU for each message: a loop of a fixed number of rounds, so that the work is the same whatever
the clock or the machine does. How long a round takes is the machine's and the interpreter's affair: scripts/foreign measures it.
"""

import argparse
import asyncio
import itertools
import ssl

from websockets.asyncio.server import serve

# What a turn of an empty loop takes in Python 3.11 at 3 GHz.
ROUND_NS = 10


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", type=int, help="to listen on, at 127.0.0.1; 0 takes a free one")
    parser.add_argument("--burn", type=int, default=0, metavar="N", help="CPU to burn for each message, about, ns [0]")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate in PEM, to listen on wss:// [none: ws://]")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key in PEM")
    args = parser.parse_args()
    if (args.tls_cert is None) != (args.tls_key is None):
        parser.error("expected --tls-cert FILE and --tls-key FILE together")
    tls = None
    if args.tls_cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(args.tls_cert, args.tls_key)
    rounds = round(args.burn / ROUND_NS)

    async def echo(connection):
        async for message in connection:
            for _ in itertools.repeat(None, rounds):
                pass
            await connection.send(message)

    async with serve(echo, "127.0.0.1", args.port, max_size=16 << 20, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on {'wss' if tls else 'ws'}://127.0.0.1:{port}/", flush=True)
        await server.serve_forever()


asyncio.run(main())
