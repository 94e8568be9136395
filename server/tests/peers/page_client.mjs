// The page that echo-server serves, in Chromium: `node page_client.mjs BROWSER ECHO_SERVER...`, the last a command. Each
// check that ends a server starts one of its own.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

import { chromium } from 'playwright-core'

import { Checks, expectEqual } from './echo_checks.mjs'
import { checkLoad } from './page_load.mjs'

const [browserPath, ...command] = process.argv.slice(2)
// How the server answers.
const REPLY = { flags: ['--reply', '服务端收到了-{}-'], template: '服务端收到了-{}-' }
const MESSAGE = '客户端发来的信息'
// The browser's sandbox needs privileges that containers lack, and /dev/shm is tiny in them.
const BROWSER_FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server']
const SIZES = { phone: [360, 740], tablet: [800, 1100], desktop: [1366, 900] }
const checks = new Checks(console.log)
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const browser = await chromium.launch({ executablePath: browserPath, args: BROWSER_FLAGS })
const server = await start(...REPLY.flags)

try {
  await checkConversation()
  await checkEnds()
  await checkLoad(checks, server, { onPage, connect, figures, start, stop })
  await checkForm()
} finally {
  await browser.close()
  server.process.kill('SIGKILL')
}
checks.finish()

async function checkConversation() {
  await checks.run('the button of the tutorial', () =>
    onPage(server, { locale: 'zh-CN' }, async (page) => {
      await connect(page)
      expectEqual(await page.inputValue('#text'), MESSAGE, 'the message to begin with')
      await page.click('#send button')
      const reply = `0: ${REPLY.template.replace('{}', MESSAGE)}`
      await page.locator('#messages .text', { hasText: reply }).waitFor()
      expectEqual(await page.textContent('#messages .text'), reply, 'the first of the list')
      expectEqual(/^\d+(\.\d+)? ms$/.test(await page.textContent('#messages .round-trip')), true, 'a round-trip time')
      await figures(page, { sent: '1', right: '1', wrong: '0', unanswered: '0' })
    }))
  await checks.run('messages are numbered in order, empty and markup among them', () =>
    onPage(server, {}, async (page) => {
      await connect(page)
      const texts = ['', '<b>bold</b>', 'two', '深度']
      for (const text of texts) {
        await page.fill('#text', text)
        await page.click('#send button')
      }
      const expected = texts.map((text, at) => `${at}: ${REPLY.template.replace('{}', text)}`)
      await page.locator('#messages li').nth(texts.length - 1).waitFor()
      expectEqual((await page.locator('#messages .text').allTextContents()).join('|'), expected.join('|'), 'the list')
      await page.click('#clear')
      expectEqual(await page.locator('#messages li').count(), 0, 'entries after the list was cleared')
    }))
  await checks.run('a file goes as one binary message and comes back', () =>
    onPage(server, {}, async (page) => {
      await connect(page)
      const buffer = Buffer.from(Array.from({ length: 300 }, (_, at) => at % 256))
      await page.setInputFiles('#file', { name: 'depth.bin', mimeType: 'application/octet-stream', buffer })
      await page.click('#send-file button')
      await page.locator('#messages .text', { hasText: '0: [300 B] 00 01 02' }).waitFor()
      await figures(page, { sent: '1', right: '1', wrong: '0' })
    }))
  await checks.run('texts and bytes by a template with braces', async () => {
    const both = await start('--reply', '{{深度}}: {}!', '--reply-binary')
    await onPage(both, {}, async (page) => {
      await connect(page)
      await page.fill('#text', 'a')
      await page.click('#send button')
      await page.setInputFiles('#file', { name: 'depth.bin', mimeType: 'application/octet-stream', buffer: Buffer.from([0, 255]) })
      await page.click('#send-file button')
      await page.locator('#messages .text', { hasText: '1: [13 B]' }).waitFor()
      expectEqual(await page.locator('#messages .text').first().textContent(), '0: {深度}: a!', 'the reply to the text')
      await figures(page, { sent: '2', right: '2', wrong: '0' })
    })
    await stop(both, 'SIGKILL')
  })
  await checks.run('a reply that is not as expected is counted and marked', () =>
    onPage(server, {}, async (page) => {
      await connect(page)
      await page.fill('#expected', '{{{}}} elsewhere')
      for (const invalid of ['{} {}', '{{{']) {
        await page.fill('#expected', invalid)
        expectEqual(await page.evaluate(() => document.getElementById('expected').validity.valid), false, `that ${invalid} is a template`)
      }
      await page.click('#send button')
      await page.locator('#messages .wrong', { hasText: 'not as expected' }).waitFor()
      await figures(page, { sent: '1', received: '1', right: '0', wrong: '1' })
    }))
  await checks.run('what a relay hands on is neither checked nor timed', async () => {
    const relay = await start('--relay', 'others')
    await onPage(relay, {}, async (listener) => {
      await connect(listener)
      await onPage(relay, {}, async (speaker) => {
        await connect(speaker)
        await speaker.fill('#text', 'to everybody')
        await speaker.click('#send button')
        await listener.locator('#messages .text', { hasText: '0: to everybody' }).waitFor()
        expectEqual(await listener.isVisible('#relayed'), true, 'that the page says so')
        expectEqual(await listener.locator('#messages .wrong, #messages .round-trip').count(), 0, 'marks and times')
        await figures(listener, { received: '1', right: '0', wrong: '0' })
        await figures(speaker, { sent: '1', received: '0', unanswered: '0' })
      })
    })
    await stop(relay, 'SIGKILL')
  })
}

async function checkEnds() {
  await checks.run('every event from connecting to closed', () =>
    onPage(server, {}, async (page) => {
      await page.fill('#subprotocols', 'fathom.v1, fathom.v2')
      await connect(page)
      await page.fill('#code', '4000')
      await page.fill('#reason', '再见')
      await page.click('#close button')
      await life(page, [
        `connecting to ws://127.0.0.1:${server.port}/`,
        'open; subprotocol: fathom.v1; extensions: none',
        'closing with code 4000, reason: 再见',
        'closed with code 4000, reason: 再见; messages unanswered: 0',
      ])
      expectEqual(await page.isDisabled('#send button'), true, 'that nothing can be sent')
      await connect(page)
    }))
  await checks.run('a connection that another takes the place of', () =>
    onPage(server, {}, async (page) => {
      await connect(page)
      // The message is unanswered when the page turns to the next click.
      await page.evaluate(() => {
        document.querySelector('#send button').click()
        document.querySelector('#connect button').click()
      })
      const connecting = `connecting to ws://127.0.0.1:${server.port}/`
      const open = 'open; subprotocol: none; extensions: none'
      await life(page, [connecting, open, 'replaced by a new connection; messages unanswered: 1', connecting, open])
      await figures(page, { sent: '1', received: '0', unanswered: '0', lost: '1' })
      await page.click('#send button')
      await figures(page, { sent: '2', right: '1', wrong: '0', unanswered: '0', lost: '1' })
    }))
  await checks.run('a URL, a subprotocol and a close code that the browser refuses', () =>
    onPage(server, {}, async (page) => {
      await connect(page)
      const refused = async (selector, value, form) => {
        const before = await page.inputValue(selector)
        await page.fill(selector, value)
        await page.click(`${form} button`)
        await page.locator('#problem', { hasText: /./ }).waitFor()
        await page.fill(selector, before)
      }
      await refused('#url', 'ftp://127.0.0.1/', '#connect')
      await refused('#subprotocols', 'a b', '#connect')
      await refused('#code', '1001', '#close')
      await refused('#reason', 'r'.repeat(124), '#close')
      // None of this has ended the connection.
      await page.click('#send button')
      await page.locator('#messages .text', { hasText: '0: ' }).waitFor()
    }))
  await checks.run('a URL without a scheme, of a server that answers in another way', async () => {
    const plain = await start()
    await onPage(server, {}, async (page) => {
      await page.fill('#url', `127.0.0.1:${plain.port}`)
      await connect(page)
      await life(page, [`connecting to ws://127.0.0.1:${plain.port}/`, 'open; subprotocol: none; extensions: none'])
      await page.click('#send button')
      await figures(page, { right: '1', wrong: '0' })
      await page.fill('#url', '/room')
      await connect(page)
      await page.click('#send button')
      await figures(page, { right: '2', wrong: '0' })
    })
    await stop(plain, 'SIGKILL')
  })
  await checks.run('nobody listens', () =>
    onPage(server, {}, async (page) => {
      const gone = await start()
      await stop(gone, 'SIGKILL')
      await page.fill('#url', `ws://127.0.0.1:${gone.port}/`)
      await page.click('#connect button')
      await life(page, [
        `connecting to ws://127.0.0.1:${gone.port}/`,
        'error: the browser does not say which',
        'lost without a Close frame (code 1006); messages unanswered: 0',
      ])
    }, 1))
  await checks.run('the server closes the connection of a message that is too large', async () => {
    const strict = await start('--max-message-size', '1KiB')
    await onPage(strict, {}, async (page) => {
      await connect(page)
      await page.fill('#text', 'x'.repeat(1025))
      await page.click('#send button')
      await page.locator('#life', { hasText: 'closed with code 1009' }).waitFor()
      expectEqual((await page.textContent('#life')).includes('messages unanswered: 1'), true, 'the message unanswered')
      await figures(page, { sent: '1', received: '0', unanswered: '0', lost: '1' })
    })
    await stop(strict, 'SIGKILL')
  })
  for (const [signal, expected] of [['SIGTERM', 'closed with code 1001'], ['SIGKILL', 'lost without a Close frame (code 1006)']]) {
    await checks.run(`the server goes away by ${signal}`, async () => {
      const going = await start()
      await onPage(going, {}, async (page) => {
        await connect(page)
        await stop(going, signal)
        await page.locator('#life', { hasText: expected }).waitFor()
        expectEqual(await page.textContent('#state'), 'not connected', 'the state')
      })
    })
  }
}

async function checkForm() {
  for (const [size, [width, height]] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark']) {
      for (const locale of ['en-GB', 'zh-CN']) {
        await checks.run(`${size}, ${colorScheme}, ${locale}: no violation found by axe, nothing beyond the edge`, () =>
          onPage(server, { viewport: { width, height }, colorScheme, locale }, async (page) => {
            await connect(page)
            await page.click('#send button')
            await page.locator('#messages li').waitFor()
            await page.evaluate(axe)
            const { violations } = await page.evaluate(() => globalThis.axe.run())
            const found = violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id} at ${target}`))
            expectEqual(found.join('; '), '', 'what axe found')
            const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
            expectEqual(beyond <= 0, true, `that nothing is wider than the screen (by ${beyond} px)`)
          }))
      }
    }
  }
  await checks.run('the keyboard alone', () =>
    onPage(server, {}, async (page) => {
      const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.dataset.word)
      const tabTo = async (wanted) => {
        for (let presses = 0; presses < 30; presses += 1) {
          await page.keyboard.press('Tab')
          if ((await focused()) === wanted) return
        }
        throw new Error(`Tab does not reach ${wanted}`)
      }
      await tabTo('connect')
      await page.keyboard.press('Enter')
      await page.locator('#state', { hasText: /^connected$/ }).waitFor()
      await tabTo('text')
      await page.keyboard.press('ControlOrMeta+a')
      await page.keyboard.type('typed')
      await page.keyboard.press('Enter')
      await page.locator('#messages .text', { hasText: 'typed' }).waitFor()
      await tabTo('rate')
      await tabTo('messages')
      await tabTo('life')
      await page.focus('#close button')
      await page.keyboard.press('Enter')
      await page.locator('#life', { hasText: 'closed with code 1000' }).waitFor()
      expectEqual(await focused(), 'connect', 'what has the focus once nothing can be closed')
      expectEqual(await page.textContent('#rate-shown'), 'off', 'the load')
      await page.focus('#rate')
      await page.keyboard.press('End')
      expectEqual(await page.textContent('#rate-shown'), '2,000 messages per second once connected', 'the load without a connection')
    }))
  await checks.run('language and colours are chosen, complete and remembered', () =>
    onPage(server, { locale: 'en-GB' }, async (page) => {
      await page.selectOption('#language', 'zh')
      await page.selectOption('#theme', 'dark')
      await page.reload()
      await page.locator('#state', { hasText: '未连接' }).waitFor()
      expectEqual(await page.getAttribute('html', 'lang'), 'zh-CN', 'the language')
      const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      expectEqual(dark, 'rgb(17, 23, 29)', 'the background')
      const english = await page.evaluate(() => [...document.querySelectorAll('main [data-word]')].map((element) => element.textContent).filter((text) => !/[\u4e00-\u9fff]/.test(text)))
      expectEqual(english.join('; '), '', 'texts without a Chinese character')
    }))
  await checks.run('--page off', async () => {
    const off = await start('--page', 'off')
    const answer = await (await fetch(`http://127.0.0.1:${off.port}/`)).text()
    expectEqual(answer.includes('This is a WebSocket server'), true, 'the short page')
    await stop(off, 'SIGKILL')
  })
}

// Runs `check` on the page of `server`, and fails where it asked anybody else for something or logged more than `errors` errors.
async function onPage(server, options, check, errors = 0) {
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  const page = await context.newPage()
  const origin = `http://127.0.0.1:${server.port}`
  const strangers = []
  const logged = []
  page.on('request', (request) => request.url().startsWith(`${origin}/`) || request.url() === 'data:,' || strangers.push(request.url()))
  page.on('console', (message) => message.type() === 'error' && logged.push(message.text()))
  page.on('pageerror', (error) => logged.push(String(error)))
  try {
    await page.goto(`${origin}/`)
    await page.locator('#rate-shown', { hasText: /./ }).waitFor()
    await check(page)
    expectEqual(strangers.join(' '), '', 'requests to others')
    expectEqual(logged.length <= errors, true, `that no error is logged (${logged.join('; ')})`)
  } finally {
    await context.close()
  }
}

async function connect(page) {
  await page.click('#connect button')
  await page.locator('#send button:not(:disabled)').waitFor()
}

// Waits until the life of the connection is these lines.
async function life(page, lines) {
  await page.locator('#life p').nth(lines.length - 1).waitFor()
  expectEqual((await page.locator('#life p span').allTextContents()).join('\n'), lines.join('\n'), 'the life of the connection')
}

// Waits until the figures are these.
async function figures(page, expected) {
  for (const [name, value] of Object.entries(expected)) {
    await page.locator(`#figure-${name}`, { hasText: new RegExp(`^${value}$`) }).waitFor()
  }
}

// An echo-server of its own with these flags.
async function start(...flags) {
  const [program, ...given] = command
  const child = spawn(program, [...given, ...flags, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const [line] = await once(createInterface(child.stdout), 'line')
  return { process: child, port: Number(/:(\d+)\/$/.exec(line)[1]) }
}

async function stop({ process: child }, signal) {
  child.kill(signal)
  await once(child, 'exit')
}
