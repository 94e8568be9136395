// Node's `ws` as the members of a room: `node ws_relay_client.mjs URL`, against `echo-server --relay others`. Some compress,
// some do not, and each gets what the others say.

import { once } from 'node:events'

import { WebSocket } from 'ws'

import { Checks, SIZES, binary, expectEqual, text } from './echo_checks.mjs'

const url = new URL('/room', process.argv[2])
const checks = new Checks(console.log)

// A member, and what it has been sent.
async function join(path, perMessageDeflate) {
  const socket = new WebSocket(new URL(path, url), { perMessageDeflate })
  const waiting = []
  const received = []
  socket.on('message', (data, isBinary) => {
    const message = isBinary ? data : data.toString()
    const reader = waiting.shift()
    if (reader) reader(message)
    else received.push(message)
  })
  await once(socket, 'open')
  const next = () => (received.length > 0 ? Promise.resolve(received.shift()) : new Promise((take) => waiting.push(take)))
  return { socket, next, received }
}

function expectSame(found, sent) {
  expectEqual(typeof found, typeof sent, 'the kind of message')
  expectEqual(Buffer.compare(Buffer.from(found), Buffer.from(sent)), 0, 'the difference to what was sent')
}

const members = [await join('/room', false), await join('/room', true), await join('/room', true)]
const elsewhere = await join('/elsewhere', true)

for (const size of SIZES) {
  for (const message of [text(size), binary(size)]) {
    const kind = typeof message === 'string' ? 'text' : 'binary'
    await checks.run(`${kind} of ${size} bytes from each member to the others`, async () => {
      for (const sender of members) {
        sender.socket.send(message)
        for (const member of members) {
          if (member !== sender) expectSame(await member.next(), message)
        }
      }
    })
  }
}
await checks.run('1,000 messages of each member in order', async () => {
  for (let number = 0; number < 1000; number += 1) {
    members.forEach(({ socket }, sender) => socket.send(`${sender} ${number}`))
  }
  for (const [at, member] of members.entries()) {
    const last = [-1, -1, -1]
    for (let count = 0; count < 2000; count += 1) {
      const [sender, number] = (await member.next()).split(' ').map(Number)
      expectEqual(number, last[sender] + 1, `the number of the next message of ${sender}`)
      last[sender] = number
    }
    expectEqual(last[at], -1, 'the last of the own messages that came')
  }
})
await checks.run('nothing comes from another room', async () => {
  expectEqual(elsewhere.received.length, 0, 'the number of messages there')
})
await checks.run('a member that leaves is answered, and the others go on', async () => {
  const [leaving, ...rest] = members
  leaving.socket.close(4000, 'bye')
  const [code] = await once(leaving.socket, 'close')
  expectEqual(code, 4000, 'the code that comes back')
  rest[0].socket.send('still here')
  expectSame(await rest[1].next(), 'still here')
})
checks.finish()
process.exit()
