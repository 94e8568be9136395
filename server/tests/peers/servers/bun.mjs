// Bun's own server as an echo server: `bun bun.mjs PORT [--burn N] [--tls-cert FILE --tls-key FILE]`.

import { burn, readArguments } from './burn.mjs'

const { port, rounds, tls, scheme } = readArguments({ speaksTls: true })
const server = Bun.serve({
  hostname: '127.0.0.1',
  port,
  tls,
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
console.log(`listening on ${scheme}://127.0.0.1:${server.port}/`)
