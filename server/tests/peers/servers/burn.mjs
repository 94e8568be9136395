// What the servers for Node and Bun share: their arguments, `PORT [--burn N]`, and the work that --burn asks for.
//
// Some take --tls-cert FILE and --tls-key FILE too, both PEM, and listen on wss:// with them.
//
// --burn N burns about N ns of CPU for each message: a loop of a fixed number of rounds, so that the work is the same whatever
// the clock or the machine does. How long a round takes is the machine's and the compiler's affair: scripts/foreign measures it.

import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

// One round is six shifts and XORs, each of which waits for the one before: 2 ns at 3 GHz, once compiled.
const ROUND_NS = 2

// Kept from one message to the next, so that no compiler can leave the loop out.
let state = 1

// `tls` is what Node and Bun take as a server's certificate; undefined where it is to listen without TLS.
export function readArguments({ speaksTls = false } = {}) {
  const files = { 'tls-cert': { type: 'string' }, 'tls-key': { type: 'string' } }
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2),
    options: { burn: { type: 'string', default: '0' }, ...(speaksTls ? files : {}) },
    allowPositionals: true,
  })
  const [cert, key] = [values['tls-cert'], values['tls-key']]
  if ((cert === undefined) !== (key === undefined)) {
    console.error('expected --tls-cert FILE and --tls-key FILE together')
    process.exit(2)
  }
  const [port] = positionals
  if (positionals.length !== 1 || !/^\d+$/.test(port) || !/^\d+$/.test(values.burn)) {
    console.error(`expected PORT [--burn N], both whole numbers, N in ns, not: ${process.argv.slice(2).join(' ')}`)
    process.exit(2)
  }
  const tls = cert === undefined ? undefined : { cert: readFileSync(cert), key: readFileSync(key) }
  return { port: Number(port), rounds: Math.round(Number(values.burn) / ROUND_NS), tls, scheme: tls ? 'wss' : 'ws' }
}

export function burn(rounds) {
  let x = state
  for (let round = 0; round < rounds; round++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
  }
  state = x
}
