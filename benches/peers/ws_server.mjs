// Node's `ws`, with the native masking of `bufferutil` that its README recommends: `node ws_server.mjs PORT [KEY CERTIFICATE]`,
// over TLS with the two PEM files. It sets TCP_NODELAY itself.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { WebSocketServer } from 'ws'

const [port, key, cert] = process.argv.slice(2)
const server = key ? createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }) : createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false })
sockets.on('connection', (socket) => {
  socket.on('error', () => {})
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 })
