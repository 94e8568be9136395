// Bun's own server as an echo server: `bun bun.mjs PORT [--burn N]`.

import { burn, readArguments } from './burn.mjs'

const { port, rounds } = readArguments()
const server = Bun.serve({
  hostname: '127.0.0.1',
  port,
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response('expected a WebSocket\n', { status: 426 })
  },
  websocket: {
    message(socket, message) {
      burn(rounds)
      socket.send(message)
    },
  },
})
console.log(`listening on ws://127.0.0.1:${server.port}/`)
