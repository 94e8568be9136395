// The echo server of many a tutorial, on Node's `ws`: `node ws_server.mjs [PORT]`. loadgen is tested against it.

import { WebSocketServer } from 'ws'

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2] ?? 8181) })
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
server.on('listening', () => console.log(`listening on ws://127.0.0.1:${server.address().port}/`))
