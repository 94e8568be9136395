// The echo server of many a tutorial, on Node's `ws`: `node node_ws.mjs PORT [--burn N] [--tls-cert FILE --tls-key FILE]`.

import { createServer } from 'node:https'

import { WebSocketServer } from 'ws'
import { burn, readArguments } from './burn.mjs'

const { port, rounds, tls, scheme } = readArguments({ speaksTls: true })
const server = tls
  ? new WebSocketServer({ server: createServer(tls).listen(port, '127.0.0.1') })
  : new WebSocketServer({ host: '127.0.0.1', port })
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    burn(rounds)
    socket.send(data, { binary: isBinary })
  })
})
server.on('listening', () => console.log(`listening on ${scheme}://127.0.0.1:${server.address().port}/`))
