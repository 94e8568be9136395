// Node's `ws` as an echo server that compresses whatever the client offers: `node ws_deflate_server.mjs [PORT]`.

import { WebSocketServer } from 'ws'

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2] ?? 8181),
  maxPayload: 16 << 20,
  perMessageDeflate: { threshold: 0 },
})
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}/`))
