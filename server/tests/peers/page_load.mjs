// The load of the page that echo-server serves: 10,000 messages, the chart under them, and a server that holds the load up.

import { expectEqual } from './echo_checks.mjs'

// Checks it on pages of `server`, with the functions of page_client.mjs.
export async function checkLoad(checks, server, { onPage, connect, figures, start, stop }) {
  await checks.run('10,000 messages, and the page as quick as before', () =>
    onPage(server, {}, async (page) => {
      const session = await page.context().newCDPSession(page)
      // CPU time, whatever else the machine does.
      await session.send('Performance.enable', { timeDomain: 'threadTicks' })
      const cost = async () => {
        const { metrics } = await session.send('Performance.getMetrics')
        return metrics.find(({ name }) => name === 'TaskDuration').value
      }
      await connect(page)
      await page.focus('#rate')
      await page.keyboard.press('End')
      await page.locator('#rate-shown', { hasText: /^2,000 messages per second$/ }).waitFor()
      expectEqual(await page.getAttribute('#rate', 'aria-valuetext'), '2,000 messages per second', "the slider's value")
      const rounds = []
      for (let messages = 2000; messages <= 10_000; messages += 2000) {
        const before = await cost()
        await page.waitForFunction((least) => Number(document.getElementById('figure-right').textContent.replaceAll(',', '')) >= least, messages)
        const after = await cost()
        rounds.push(after - before)
      }
      await checkChart(page)
      await page.keyboard.press('Home')
      await page.waitForFunction(() => document.getElementById('figure-unanswered').textContent === '0')
      expectEqual(await page.textContent('#figure-wrong'), '0', 'replies that are not as expected')
      const numbers = (await page.locator('#messages .text').allTextContents()).map((text) => Number(text.split(':')[0]))
      expectEqual(numbers.length, 500, 'entries in the page')
      expectEqual(numbers.every((number, at) => at === 0 || number === numbers[at - 1] + 1), true, 'that numbers follow each other')
      checks.note(`CPU time of the page for each 2,000 messages: ${rounds.map((seconds) => `${seconds.toFixed(2)} s`).join(', ')}`)
      // A list that grew would cost in the last rounds, of 7,000 messages on average and more, over twice what it did in the first.
      const [early, late] = [Math.max(...rounds.slice(0, 2)), Math.min(...rounds.slice(-2))]
      expectEqual(late < 2 * early, true, `that ${late} s is less than twice ${early} s`)
    }))
  await checks.run('the load waits for a server that answers nothing and takes nothing', async () => {
    const relay = await start('--relay', 'others')
    await onPage(relay, {}, async (page) => {
      await page.evaluate(() => {
        globalThis.WebSocket = class extends WebSocket {
          constructor(...given) {
            super(...given)
            globalThis.latest = this
          }
        }
      })
      await connect(page)
      await page.fill('#size', '65536')
      await page.locator('#size').blur()
      relay.process.kill('SIGSTOP')
      await page.focus('#rate')
      await page.keyboard.press('End')
      const buffered = () => page.evaluate(() => globalThis.latest.bufferedAmount)
      await page.waitForFunction(() => globalThis.latest.bufferedAmount >= 1 << 20)
      // At this rate 128 MiB would be due in every second.
      let most = 0
      for (let looks = 0; looks < 20; looks += 1) {
        most = Math.max(most, await buffered())
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      // The last message, and its header, may pass the limit.
      expectEqual(most <= (1 << 20) + (1 << 16) + 14, true, `that ${most} bytes are no more than 1 MiB and a message`)
      const sent = async () => Number((await page.textContent('#figure-sent')).replaceAll(',', ''))
      const before = await sent()
      relay.process.kill('SIGCONT')
      await page.waitForFunction((least) => Number(document.getElementById('figure-sent').textContent.replaceAll(',', '')) > least, before + 50)
      await page.keyboard.press('Home')
      await figures(page, { unanswered: '0' })
    })
    await stop(relay, 'SIGKILL')
  })
  await checks.run('the clock is fine enough for round trips', () =>
    onPage(server, {}, async (page) => expectEqual(await page.evaluate(() => crossOriginIsolated), true, 'crossOriginIsolated')))
}

// Holds the chart and the figures beside it against a load that goes on.
async function checkChart(page) {
  for (const [name, form] of [['rate', /^\d[\d,]*(\.\d)?$/], ['median', /^\d+(\.\d+)? ms$/], ['longest', /^\d+(\.\d+)? ms$/]]) {
    await page.locator(`#figure-${name}`, { hasText: form }).waitFor()
    const value = await page.textContent(`#figure-${name}`)
    expectEqual(Number.parseFloat(value.replaceAll(',', '')) > 0, true, `that ${name} is more than 0 (${value})`)
  }
  // Each of the three is drawn in a colour of its own.
  const drawn = await page.evaluate(() => {
    const canvas = document.getElementById('chart')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    const colours = new Set()
    for (let at = 0; at < data.length; at += 4) {
      colours.add(`#${[...data.subarray(at, at + 3)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`)
    }
    const light = (name) => getComputedStyle(canvas).getPropertyValue(name).match(/#[0-9a-f]+/)[0]
    return ['--median', '--longest', '--replies'].filter((name) => colours.has(light(name)))
  })
  expectEqual(drawn.join(' '), '--median --longest --replies', 'the colours on the chart')
}
