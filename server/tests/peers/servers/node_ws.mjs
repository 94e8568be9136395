// The echo server of many a tutorial, on Node's `ws`: `node node_ws.mjs PORT [--burn N]`.

import { WebSocketServer } from 'ws'
import { burn, readArguments } from './burn.mjs'

const { port, rounds } = readArguments()
const server = new WebSocketServer({ host: '127.0.0.1', port })
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    burn(rounds)
    socket.send(data, { binary: isBinary })
  })
})
server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}/`))
