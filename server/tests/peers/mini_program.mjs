// docs/mini-program.md, run against an echo-server: `node mini_program.mjs PAGE LOADGEN ECHO_SERVER...`, the last a command. Its
// code runs in a `wx` for Node (wx_shim.mjs), and so does what the page says of each option and event. A relay before the server
// shows what goes over the wire.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Socket, connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

import { Checks, expectEqual } from './echo_checks.mjs'
import { createWx } from './wx_shim.mjs'

const [pagePath, loadgen, ...command] = process.argv.slice(2)
const checks = new Checks(console.log)
const doc = await readFile(pagePath, 'utf8')
const flags = /^\$ echo-server --listen 127\.0\.0\.1:8181 ?(.*)$/m.exec(doc)[1]
// As a shell takes a command apart.
const words = (text) => [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word)
const server = await start(words(flags))
const relay = await startRelay(server.port)
// The page's port may be in use.
const block = (file, language = 'js') => new RegExp(`\`${file}\`[^]*?\`\`\`${language}\n([^]*?)\`\`\``).exec(doc)[1]
const onOurPort = (code, port = server.port) => code.replaceAll('127.0.0.1:8181', `127.0.0.1:${port}`)
const pages = JSON.parse(block('app.json', 'json')).pages
// The files of a page have its name.
const name = pages[0].split('/').at(-1)
const pageCode = block(`${name}.js`)
const wxml = block(`${name}.wxml`, 'xml')
const tasksCode = block('tasks.js')
const listed = /```text\n([^]*?)```/.exec(doc)[1].trim()
const reply = (text) => listed.replace(/^0: /, '').replace('客户端发来的信息', () => text)

await checkTypes()
await checkPage()
await checkOptions()
await checkTable()
await checkTasks()
await checkFailures()
relay.server.close()
server.process.kill('SIGKILL')
checks.finish()
// A check that failed may have left a socket open, which would keep Node alive.
process.exit()

async function checkTypes() {
  await checks.run("the shim and the page's code have WeChat's types", async () => {
    const folder = new URL('.', import.meta.url)
    await writeFile(new URL('mini_program_page.js', folder), pageCode)
    await writeFile(new URL('mini_program_tasks.js', folder), tasksCode)
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
    const options = '--noEmit --allowJs --checkJs --skipLibCheck --target es2022 --module nodenext --moduleResolution nodenext --moduleDetection force --types miniprogram-api-typings'
    const files = ['wx_shim.mjs', 'mini_program_page.js', 'mini_program_tasks.js']
    const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, ...options.split(' '), ...files], { cwd: folder, encoding: 'utf8' })
    expectEqual(`${status} ${stdout}${stderr}`, '0 ', "the type checker's exit code and words")
  })
}

async function checkPage() {
  await checks.run("the tutorial's page: the button, and the list", async () => {
    const page = openPage(onOurPort(pageCode))
    await page.until(({ state }) => state === 'open')
    const [, tapped, label] = /<button bindtap="(\w+)">(.*)<\/button>/.exec(wxml)
    expectEqual(label, '客户端发来的信息', "the button's text")
    page[tapped]()
    await page.until(({ received }) => received.length === 1)
    expectEqual(linesOf(page.data), listed, 'the list')
    page.onUnload()
    await page.until(({ state }) => state === 'closed with 1000')
  })
  await checks.run('the page when the server ends', async () => {
    const going = await start([])
    const page = openPage(onOurPort(pageCode, going.port))
    await page.until(({ state }) => state === 'open')
    going.process.kill('SIGTERM')
    await page.until(({ state }) => state === 'closed with 1001')
    await going.ended
  })
  await checks.run('the page where nobody listens', async () => {
    const gone = await start([])
    gone.process.kill('SIGKILL')
    await gone.ended
    const page = openPage(onOurPort(pageCode, gone.port))
    await page.until(({ state }) => /^connectSocket:fail .*ECONNREFUSED/.test(state))
    await page.until(({ state }) => state === 'closed with 1006')
  })
}

async function checkOptions() {
  const seen = async (option) => {
    const { task, events } = open(createWx(), { url: relay.url, ...option })
    const { header } = await events.open
    task.close({})
    await events.close
    return { request: relay.requests.at(-1), header }
  }
  await checks.run('url and header: path, Host, headers, and a Referer of its own', async () => {
    const { request, header } = await seen({ url: `${relay.url}room?x=1`, header: { 'X-Device': 'phone', Referer: 'https://example.com/' } })
    expectEqual(request.startsWith('GET /room?x=1 HTTP/1.1\r\n'), true, 'the path')
    expectEqual(/^Host: 127\.0\.0\.1:\d+\r$/m.test(request) && request.includes('\r\nX-Device: phone\r\n'), true, 'the headers')
    expectEqual(/^Referer: (.*)\r$/m.exec(request)[1].startsWith('https://servicewechat.com/'), true, 'the Referer')
    expectEqual(header.server.startsWith('Fathom/'), true, "the response's Server")
  })
  await checks.run('protocols', async () => {
    const { request, header } = await seen({ protocols: ['v1', 'v2'] })
    expectEqual(/^Sec-WebSocket-Protocol: (.*)\r$/m.exec(request)[1], 'v1,v2', 'what is offered')
    expectEqual(header['sec-websocket-protocol'], 'v1', 'what is taken')
    expectEqual((await seen({})).request.includes('Sec-WebSocket-Protocol'), false, 'an offer unless asked')
  })
  await checks.run('perMessageDeflate', async () => {
    const compressing = await start(['--permessage-deflate', 'on'])
    const before = await startRelay(compressing.port)
    for (const perMessageDeflate of [true, false, undefined]) {
      const { task, events } = open(createWx(), { url: before.url, perMessageDeflate })
      const { header } = await events.open
      const on = perMessageDeflate === true
      expectEqual(before.requests.at(-1).includes('permessage-deflate'), on, `the offer where it is ${perMessageDeflate}`)
      expectEqual(/permessage-deflate/.test(header['sec-websocket-extensions'] ?? ''), on, 'the agreement')
      // Large enough for both sides to compress it.
      const text = 'depth '.repeat(1000)
      task.send({ data: text })
      expectEqual((await events.message).data, text, 'the message')
      task.close({})
      await events.close
    }
    before.server.close()
    compressing.process.kill('SIGKILL')
  })
  // When a small message leaves depends on acknowledgements and on time, so that nothing on the wire tells of it for certain:
  // what the socket is told is looked at instead.
  await checks.run('tcpNoDelay', async () => {
    const { setNoDelay } = Socket.prototype
    const set = []
    Socket.prototype.setNoDelay = function (on) {
      set.push(on)
      return setNoDelay.call(this, on)
    }
    try {
      for (const [tcpNoDelay, expected] of [[true, true], [false, false], [undefined, false]]) {
        const { task, events } = open(createWx(), { url: server.url, tcpNoDelay })
        await events.open
        expectEqual(set.at(-1), expected, `what the socket is set to where it is ${tcpNoDelay}`)
        task.close({})
        await events.close
      }
    } finally {
      Socket.prototype.setNoDelay = setNoDelay
    }
  })
  await checks.run('timeout', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { events, calls } = open(createWx(), { url: `ws://127.0.0.1:${silent.address().port}/`, timeout: 200 })
    expectEqual((await events.error).errMsg, 'connectSocket:fail timeout', 'the error')
    expectEqual((await events.close).code, 1006, 'the close code')
    expectEqual(calls.join(' '), 'success complete', 'the callbacks of the call')
    silent.close()
  })
}

async function checkTable() {
  await checks.run("the table has every option of WeChat's types, and no other", async () => {
    const types = createRequire(import.meta.url).resolve('miniprogram-api-typings/types/wx/lib.wx.api.d.ts')
    const option = /interface ConnectSocketOption \{([^]*?)\n    \}/.exec(await readFile(types, 'utf8'))[1]
    const fields = [...option.matchAll(/^ {8}(\w+)\??:/gm)].map(([, field]) => field)
    const table = /^\| `wx\.connectSocket` .*\n((?:\|.*\n)+)/m.exec(doc)[1]
    const listed = table.split('\n').flatMap((row) => [...row.split('|')[1]?.matchAll(/`(\w+)`/g) ?? []].map(([, option]) => option))
    expectEqual(listed.sort().join(), fields.sort().join(), 'the options')
  })
  await checks.run("loadgen's command, for half a second", async () => {
    const [, ...given] = words(/^ {4}loadgen run .*$/m.exec(doc)[0])
    given[given.indexOf('-d') + 1] = '500ms'
    const before = relay.requests.length
    const child = spawn(loadgen, given.map((word) => (word === 'ws://127.0.0.1:8181/' ? relay.url : word)), { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data))
    const [code] = await once(child, 'close')
    // 98: it measured, and the machine was too busy for its figures to be believed.
    expectEqual([0, 98].includes(code) && /[1-9][\d,]* verified/.test(said), true, `that it measures (${code}: ${said})`)
    const upgrades = relay.requests.slice(before).filter((request) => /^upgrade: websocket\r$/im.test(request))
    expectEqual(upgrades.length, 5, 'connections')
    const header = (name, value) => upgrades.every((request) => new RegExp(`^${name}: ${value}\r$`, 'im').test(request))
    expectEqual(header('X-Device', 'phone') && header('Sec-WebSocket-Protocol', 'v1'), true, `the headers of ${upgrades[0]}`)
  })
}

async function checkTasks() {
  await checks.run('two tasks at once, each with its own events', async () => {
    const talk = new Function('wx', `${onOurPort(tasksCode)}\nreturn talk`)(createWx())
    const talks = ['one', 'two'].map((text) => new Promise((resolve) => talk(`/${text}`, text, (data, code) => resolve(`${data} ${code}`))))
    expectEqual((await Promise.all(talks)).join('; '), `${reply('one')} 1000; ${reply('two')} 1000`, 'what came of both')
  })
  await checks.run('binary, and the callbacks of send and close', async () => {
    const { task, events } = open(createWx(), { url: server.url })
    await events.open
    const bytes = new Uint8Array([0, 255, 1]).buffer
    expectEqual(await callbacks((option) => task.send({ data: bytes, ...option })), 'success sendSocketMessage:ok, complete', 'of send')
    const { data } = await events.message
    expectEqual(data instanceof ArrayBuffer && [...new Uint8Array(data)].join(), '0,255,1', 'the bytes')
    expectEqual(await callbacks((option) => task.close({ code: 1005, ...option })), 'fail, complete', 'of a close with a code that is not allowed')
    expectEqual(await callbacks((option) => task.close({ code: 4321, reason: '再见', ...option })), 'success closeSocket:ok, complete', 'of close')
    expectEqual(Object.values(await events.close).join(' '), '4321 再见', 'the close event')
    expectEqual(await callbacks((option) => task.send({ data: 'late', ...option })), 'fail, complete', 'of a send after that')
  })
  await checks.run('five connections, and not a sixth until one has ended', async () => {
    const wx = createWx()
    const five = Array.from({ length: 5 }, () => open(wx, { url: server.url }))
    await Promise.all(five.map(({ events }) => events.open))
    const connectTo = (option) => wx.connectSocket({ url: server.url, ...option })
    expectEqual(await callbacks(connectTo), 'fail, complete', 'of the sixth')
    five[0].task.close({})
    await five[0].events.close
    const again = open(wx, { url: server.url })
    await again.events.open
    for (const { task } of [...five, again]) task.close({})
  })
}

async function checkFailures() {
  await checks.run('what the call refuses: no URL, another scheme, a subprotocol that is none', async () => {
    const wx = createWx()
    for (const option of [{ url: '' }, { url: 'http://127.0.0.1/' }, { url: server.url, protocols: ['a b'] }]) {
      expectEqual(await callbacks((more) => wx.connectSocket({ ...option, ...more })), 'fail, complete', `of ${JSON.stringify(option)}`)
    }
  })
  await checks.run('nobody listens: an error, and a close with 1006', async () => {
    const gone = await start([])
    gone.process.kill('SIGKILL')
    await gone.ended
    const { events, calls } = open(createWx(), { url: gone.url })
    expectEqual((await events.error).errMsg.includes('ECONNREFUSED'), true, 'that the error says so')
    expectEqual((await events.close).code, 1006, 'the close code')
    expectEqual(calls.join(' '), 'success complete', 'the callbacks of the call')
  })
  await checks.run('functions of wx before the connection is open', async () => {
    const wx = createWx()
    expectEqual(await callbacks((option) => wx.sendSocketMessage({ data: 'early', ...option })), 'fail, complete', 'of a message')
    const { task, events } = open(wx, { url: server.url })
    // As WeChat documents: this does not close it.
    expectEqual(await callbacks((option) => wx.closeSocket(option)), 'fail, complete', 'of a close')
    await events.open
    expectEqual((await wx.sendSocketMessage({ data: 'now' })).errMsg, 'sendSocketMessage:ok', 'what the promise gives')
    expectEqual((await events.message).data, reply('now'), 'the reply')
    task.close({})
    await events.close
  })
}

// Connects, and gives the first event of each kind as a promise, and the names of the callbacks as they come.
function open(wx, option) {
  const calls = []
  const note = (name) => () => calls.push(name)
  const task = wx.connectSocket({ ...option, success: note('success'), fail: note('fail'), complete: note('complete') })
  const event = (register) => new Promise((resolve) => task[register](resolve))
  const events = { open: event('onOpen'), message: event('onMessage'), error: event('onError'), close: event('onClose') }
  return { task, events, calls }
}

// The callbacks of a call in order; of success its message.
function callbacks(call) {
  const called = []
  return new Promise((resolve) => {
    call({
      success: ({ errMsg }) => called.push(`success ${errMsg}`),
      fail: () => called.push('fail'),
      complete: () => resolve([...called, 'complete'].join(', ')),
    })
  })
}

// The page that `code` defines, loaded; `until` waits for its data.
function openPage(code) {
  let page
  let changed = () => {}
  const Page = (options) => {
    page = { ...options, data: { ...options.data }, setData: (data) => (Object.assign(page.data, data), changed()) }
  }
  new Function('wx', 'Page', code)(createWx(), Page)
  page.until = (condition) => new Promise((resolve) => {
    changed = () => condition(page.data) && resolve()
    changed()
  })
  page.onLoad()
  return page
}

// The lines that the page shows of its list, as its wxml says.
function linesOf(data) {
  const [, list, line] = /<view wx:for="{{(\w+)}}" wx:key="index">(.*)<\/view>/.exec(wxml)
  const lines = data[list].map((item, index) => line.replace(/{{(\w+)}}/g, (_, name) => ({ index, item })[name]))
  return lines.join('\n')
}

// A relay to `port` that notes the head of every request.
async function startRelay(port) {
  const requests = []
  const relay = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    let head = ''
    client.on('data', (data) => {
      if (head.includes('\r\n\r\n')) return
      head += data.toString('latin1')
      if (head.includes('\r\n\r\n')) requests.push(head.slice(0, head.indexOf('\r\n\r\n') + 4))
    })
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => [client, upstream].forEach((each) => each.destroy()))
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return { server: relay, requests, url: `ws://127.0.0.1:${relay.address().port}/` }
}

// An echo-server with these flags.
async function start(flags) {
  const [program, ...given] = command
  const child = spawn(program, [...given, ...flags, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(child, 'exit')
  const [line] = await once(createInterface(child.stdout), 'line')
  const port = Number(/:(\d+)\/$/.exec(line)[1])
  return { process: child, port, ended, url: `ws://127.0.0.1:${port}/` }
}
