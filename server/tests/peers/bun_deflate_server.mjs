// Bun's server, uWebSockets within, as an echo server that compresses: `bun bun_deflate_server.mjs shared|dedicated
// [PORT]`. With its shared compressor no context is taken over; a dedicated one takes it over if the client lets it.

const [compressor = 'shared', port = '8181'] = process.argv.slice(2)

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  fetch(request, server) {
    if (!server.upgrade(request)) return new Response('expected a WebSocket\n', { status: 426 })
  },
  websocket: {
    perMessageDeflate: { compress: compressor, decompress: compressor },
    maxPayloadLength: 16 << 20,
    backpressureLimit: 64 << 20,
    message(socket, message) {
      socket.send(message, true)
    },
  },
})
console.log(`listening on ws://127.0.0.1:${server.port}/`)
