// Bun's own server, which is uWebSockets within: `bun bun_server.mjs PORT`.

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
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
