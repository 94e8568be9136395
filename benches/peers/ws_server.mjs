// Node's `ws`, with the native masking of `bufferutil` that its README recommends: `node ws_server.mjs PORT`.
// It sets TCP_NODELAY itself.

import { WebSocketServer } from 'ws'

const port = Number(process.argv[2])
const server = new WebSocketServer({ host: '127.0.0.1', port, backlog: 4096, perMessageDeflate: false })
server.on('connection', (socket) => {
  socket.on('error', () => {})
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
