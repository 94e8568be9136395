// A relay on Bun's own server: what a member publishes goes to all others of the same path. `bun bun_relay.mjs PORT [--burn N]`.

import { burn, readArguments } from './burn.mjs'

const { port, rounds } = readArguments()
const server = Bun.serve({
  hostname: '127.0.0.1',
  port,
  fetch(request, server) {
    const data = { room: new URL(request.url).pathname }
    if (!server.upgrade(request, { data })) return new Response('expected a WebSocket\n', { status: 426 })
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe(socket.data.room)
    },
    message(socket, message) {
      burn(rounds)
      socket.publish(socket.data.room, message)
    },
  },
})
console.log(`listening on ws://127.0.0.1:${server.port}/`)
