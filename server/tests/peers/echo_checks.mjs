// What any client with the browser's WebSocket interface can check of an echo server. Node's `ws`, Bun and a page in a
// browser all run this file. Results are lines of the Test Anything Protocol, the plan (`1..N`) last.

// Milliseconds one check may take: the longest sends 16 MiB, which takes a second on a busy machine.
const CHECK_LIMIT = 30_000
// Where the length field changes its form (125 | 126, 65535 | 65536), and a message larger than any read buffer.
export const SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
// One byte more than echo-server's default --max-message-size.
const TOO_LARGE = (16 << 20) + 1

export class Checks {
  #count = 0
  #print

  constructor(print) {
    this.#print = print
  }

  async run(name, check) {
    this.#count += 1
    let timer
    const limit = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_LIMIT} ms`)), CHECK_LIMIT)
    })
    try {
      await Promise.race([check(), limit])
      this.#print(`ok ${this.#count} - ${name}`)
    } catch (error) {
      this.#print(`not ok ${this.#count} - ${name}: ${String(error).replace(/\s+/g, ' ')}`)
    } finally {
      clearTimeout(timer)
    }
  }

  // Prints what is no check but worth a line.
  note(text) {
    this.#print(`# ${text}`)
  }

  finish() {
    this.#print(`1..${this.#count}`)
  }
}

// A WebSocket whose messages and close event can be awaited.
export class Connection {
  #messages = []
  #waiting = []

  static async open(WebSocket, url) {
    const connection = new Connection()
    const socket = new WebSocket(url)
    socket.binaryType = 'arraybuffer'
    connection.socket = socket
    connection.closed = new Promise((resolve) => socket.addEventListener('close', resolve))
    socket.addEventListener('message', ({ data }) => connection.#deliver(data))
    connection.closed.then(({ code }) => connection.#fail(new Error(`closed with ${code}`)))
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', ({ message }) => reject(new Error(`cannot connect: ${message ?? 'error'}`)))
    })
    return connection
  }

  #deliver(message) {
    const waiting = this.#waiting.shift()
    if (waiting) waiting.resolve(message)
    else this.#messages.push(message)
  }

  #fail(error) {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
  }

  next() {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift())
    if (this.socket.readyState > 1) return Promise.reject(new Error('closed before the message came'))
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async expectEcho(message) {
    expectEqual(await this.next(), message, 'the echo')
  }

  // Closes, after one more echo before which nothing may come: a browser drops what comes once it is closing.
  async end() {
    this.socket.send('the last')
    expectEqual(await this.next(), 'the last', 'the echo of the last message')
    this.socket.close(1000)
    expectEqual((await this.closed).code, 1000, 'the close code')
  }
}

// Runs every check that needs no more than the browser's interface, on connections that have negotiated no extension.
export async function runEchoChecks(checks, WebSocket, url) {
  await checks.run('no subprotocol and no extension unless asked', async () => {
    const connection = await Connection.open(WebSocket, url)
    expectEqual(connection.socket.protocol, '', 'the subprotocol')
    expectEqual(connection.socket.extensions, '', 'the list of extensions')
    await connection.end()
  })
  await runMessageChecks(checks, WebSocket, url)
}

// The same on connections that compress, and many messages on one of them.
export async function runDeflateChecks(checks, WebSocket, url) {
  await checks.run('permessage-deflate is negotiated', async () => {
    const connection = await Connection.open(WebSocket, url)
    checks.note(`extensions: ${connection.socket.extensions}`)
    expectDeflate(connection)
    await connection.end()
  })
  await checks.run('both kinds and every size on one connection', () => echoEverySize(WebSocket, url))
  await runMessageChecks(checks, WebSocket, url)
}

// Echoes both kinds in every size on one connection that compresses, each message once with each of `sendOptions`, which
// `ws` alone knows.
export async function echoEverySize(WebSocket, url, sendOptions = [undefined]) {
  const connection = await Connection.open(WebSocket, url)
  expectDeflate(connection)
  // Twice, so that the second message can refer to the first.
  for (const size of [...SIZES, ...SIZES]) {
    for (const message of [text(size), binary(size)]) {
      for (const options of sendOptions) {
        connection.socket.send(message, options)
        await connection.expectEcho(message)
      }
    }
  }
  await connection.end()
}

async function runMessageChecks(checks, WebSocket, url) {
  const connect = () => Connection.open(WebSocket, url)

  for (const size of SIZES) {
    for (const [kind, message] of [['text', text(size)], ['binary', binary(size)]]) {
      await checks.run(`${kind} of ${size} bytes`, async () => {
        const connection = await connect()
        connection.socket.send(message)
        await connection.expectEcho(message)
        await connection.end()
      })
    }
  }
  await checks.run('200 messages in flight keep their order', async () => {
    const connection = await connect()
    const messages = Array.from({ length: 200 }, (_, i) => (i % 2 ? text(i * 7) : binary(i * 97)))
    for (const message of messages) connection.socket.send(message)
    for (const message of messages) await connection.expectEcho(message)
    await connection.end()
  })
  await checks.run('20 connections at once', () =>
    Promise.all(Array.from({ length: 20 }, async (_, i) => {
      const connection = await connect()
      connection.socket.send(text(1000 + i))
      await connection.expectEcho(text(1000 + i))
      await connection.end()
    })))
  for (const [code, reason] of [[1000, ''], [1000, 'done'], [3000, 'registered'], [4999, 'é'.repeat(61)]]) {
    await checks.run(`close ${code} '${reason.slice(0, 12)}' is echoed`, async () => {
      const connection = await connect()
      connection.socket.send('before')
      await connection.expectEcho('before')
      connection.socket.close(code, reason)
      const event = await connection.closed
      expectEqual(`${event.code} ${event.reason}`, `${code} ${reason}`, 'the close frame received')
      expectEqual(event.wasClean, true, 'wasClean')
    })
  }
  await checks.run('close without a code is answered without one', async () => {
    const connection = await connect()
    connection.socket.close()
    const event = await connection.closed
    expectEqual(event.code, 1005, 'the close code')
    expectEqual(event.wasClean, true, 'wasClean')
  })
  await checks.run('a message too large is closed with 1009', async () => {
    const connection = await connect()
    connection.socket.send(new Uint8Array(TOO_LARGE))
    expectEqual((await connection.closed).code, 1009, 'the close code')
  })
}

// Bytes of UTF-8, in which characters of every length occur.
export function text(size) {
  const sample = 'aé漢😀'
  const bytes = new TextEncoder().encode(sample).length
  return sample.repeat(Math.floor(size / bytes)) + 'x'.repeat(size % bytes)
}

// Bytes without a period that a lost or repeated piece could hide in (a linear congruential generator's high bits).
export function binary(size) {
  let state = size + 1
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

export function expectEqual(found, expected, what) {
  const same = expected instanceof Uint8Array ? sameBytes(found, expected) : found === expected
  if (!same) throw new Error(`${what} is ${abridged(found)}, expected ${abridged(expected)}`)
}

// A browser and Bun give the parameters after the name, `ws` the name alone.
function expectDeflate({ socket }) {
  expectEqual(socket.extensions.split(';')[0], 'permessage-deflate', 'the extension')
}

function sameBytes(found, expected) {
  if (!(found instanceof ArrayBuffer) || found.byteLength !== expected.length) return false
  const bytes = new Uint8Array(found)
  return expected.every((byte, i) => byte === bytes[i])
}

function abridged(value) {
  if (typeof value === 'string') return `'${value.slice(0, 60)}' (${value.length} long)`
  return value?.byteLength === undefined ? String(value) : `binary of ${value.byteLength} bytes`
}

// What a client must not do that does not know who has signed the server's certificate.
export async function runRefusalCheck(checks, WebSocket, url) {
  await checks.run('a certificate of an authority that is not trusted is refused', async () => {
    const opened = await Connection.open(WebSocket, url).then(() => true, () => false)
    if (opened) throw new Error('the connection is open')
  })
}
