// Bun's own WebSocket as a client that compresses: `bun bun_deflate_client.mjs URL`. All it can be told is whether it
// offers permessage-deflate; context takeover is as the server grants it.

import { Checks, runDeflateChecks, runEchoChecks } from './echo_checks.mjs'

const url = process.argv[2]
const checks = new Checks(console.log)

class Plain extends WebSocket {
  constructor(address) {
    super(address, { perMessageDeflate: false })
  }
}

class Deflating extends WebSocket {
  constructor(address) {
    super(address, { perMessageDeflate: true })
  }
}

await runEchoChecks(checks, Plain, url)
await runDeflateChecks(checks, Deflating, url)
checks.finish()
// A check that failed may have left a socket open, which would keep Bun alive.
process.exit()
