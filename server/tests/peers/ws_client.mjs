// Node's `ws` as a client of an echo server: `node ws_client.mjs URL`. Beyond what a browser could do it sends
// fragments and pings.

import { once } from 'node:events'

import { WebSocket } from 'ws'

import { Checks, Connection, SIZES, binary, expectEqual, runEchoChecks, text } from './echo_checks.mjs'

const url = process.argv[2]
const checks = new Checks(console.log)

await runEchoChecks(checks, WebSocket, url)
for (const size of SIZES) {
  for (const message of [text(size), binary(size)]) {
    const kind = typeof message === 'string' ? 'text' : 'binary'
    await checks.run(`${kind} of ${size} bytes in fragments around pings`, async () => {
      const connection = await Connection.open(WebSocket, url)
      const { socket } = connection
      let pongs = 0
      socket.on('pong', () => (pongs += 1))
      const fragments = inFragments(Buffer.from(message))
      fragments.forEach((fragment, i) => {
        if (i > 0) socket.ping(`before fragment ${i}`)
        socket.send(fragment, { binary: kind === 'binary', fin: i === fragments.length - 1 })
      })
      await connection.expectEcho(message)
      // The pings were sent before the last fragment, so that their pongs precede the echo.
      expectEqual(pongs, fragments.length - 1, 'the number of pongs')
      await connection.end()
    })
  }
}
for (const payload of ['', 'depth', 'p'.repeat(125)]) {
  await checks.run(`pong for a ping of ${payload.length} bytes`, async () => {
    const connection = await Connection.open(WebSocket, url)
    connection.socket.ping(payload)
    const [pong] = await once(connection.socket, 'pong')
    expectEqual(pong.toString(), payload, "the pong's payload")
    await connection.end()
  })
}
checks.finish()
// A check that failed may have left a socket open, which would keep Node alive.
process.exit()

// Four fragments, the second of them empty, cut without regard for characters.
function inFragments(bytes) {
  const [first, second] = [Math.ceil(bytes.length / 4), Math.ceil(bytes.length / 2) + 1]
  return [bytes.subarray(0, first), Buffer.alloc(0), bytes.subarray(first, second), bytes.subarray(second)]
}
