// Node's `ws` as a client that compresses, with context takeover in each direction and without:
// `node ws_deflate_client.mjs URL`.

import { WebSocket } from 'ws'

import { Checks, echoEverySize } from './echo_checks.mjs'

const url = process.argv[2]
const checks = new Checks(console.log)

for (const serverNoContextTakeover of [false, true]) {
  for (const clientNoContextTakeover of [false, true]) {
    for (const windowBits of [undefined, 10]) {
      const options = { threshold: 0 }
      // A `false` would not be silence: `ws` then fails a handshake in which the server asks for it all the same.
      if (serverNoContextTakeover) options.serverNoContextTakeover = true
      if (clientNoContextTakeover) options.clientNoContextTakeover = true
      if (windowBits) Object.assign(options, { serverMaxWindowBits: windowBits, clientMaxWindowBits: windowBits })
      await checks.run(`both kinds and every size with ${JSON.stringify(options)}`, async () => {
        class Deflating extends WebSocket {
          constructor(address) {
            super(address, { perMessageDeflate: options })
          }
        }
        await echoEverySize(Deflating, url, [{}, { compress: false }])
      })
    }
  }
}
checks.finish()
process.exit()
