// A relay on Node's `ws`: each message goes to all others of the same path. `node node_relay.mjs PORT [--burn N]`.

import { WebSocket, WebSocketServer } from 'ws'
import { burn, readArguments } from './burn.mjs'

const { port, rounds } = readArguments()
const server = new WebSocketServer({ host: '127.0.0.1', port, backlog: 4096 })
const rooms = new Map()
server.on('connection', (socket, request) => {
  const members = rooms.get(request.url) ?? new Set()
  rooms.set(request.url, members.add(socket))
  // However a connection ends, it closes.
  socket.on('error', () => {})
  socket.on('close', () => {
    members.delete(socket)
    if (members.size === 0) rooms.delete(request.url)
  })
  socket.on('message', (data, isBinary) => {
    burn(rounds)
    for (const other of members) {
      if (other !== socket && other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary })
    }
  })
})
server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}/`))
