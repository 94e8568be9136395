// Bun's own server, which is uWebSockets within: `bun bun_server.mjs PORT [KEY CERTIFICATE]`, over TLS with the two PEM files.

const [port, key, cert] = process.argv.slice(2)
Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  tls: key ? { key: Bun.file(key), cert: Bun.file(cert) } : undefined,
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response('expected a WebSocket\n', { status: 426 })
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0,
    message(socket, message) {
      socket.send(message)
    },
  },
})
