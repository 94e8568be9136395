// The page for browsers: what its controls do.

import { Chart, TURN } from './chart.js'
import { Connection } from './connection.js'
import { Load } from './load.js'
import { Messages, tell } from './messages.js'
import { Answers, isTemplate } from './reply.js'
import { milliseconds, say, text, translate } from './words.js'

// Messages per second, by the slider's position; 0 is off.
const RATES = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]
// Messages of the load that may wait for their replies.
const MOST_UNANSWERED = 1000
// Bytes that may wait in the browser before the load adds to them: where nothing is answered, nothing else stops it.
const MOST_BUFFERED = 1 << 20
// Milliseconds between two looks at the figures.
const REFRESH = 250
// What the page came by says what is spoken where a URL does not.
const SCHEME = location.protocol === 'https:' ? 'wss' : 'ws'

const at = (id) => document.getElementById(id)
const counts = { sent: 0, received: 0, right: 0, wrong: 0, lost: 0 }
const messages = new Messages(at('messages'), at('earlier'), showCounts)
const chart = new Chart(at('chart'))
const connection = new Connection({ life, state, reply, lost: (count) => (counts.lost += count) })
const load = new Load(
  (message) => send(message, true),
  () => connection.open && connection.unanswered < MOST_UNANSWERED && connection.buffered < MOST_BUFFERED,
)

// How the server of this page answers, and how the one that the page is connected to is taken to.
let ofServer = new Answers()
let answers = ofServer
// Whether the reader has said what to expect.
let isSaid = false

function send(message, isLoad = false) {
  counts.sent += 1
  connection.send(message, isLoad)
}

function reply({ data, message, milliseconds: time, load: isLoad }) {
  const verdict = judged(message, data)
  counts.received += 1
  if (verdict !== 'relayed') counts[verdict === 'right' ? 'right' : 'wrong'] += 1
  // A reply that was not asked for, or is another than expected, is no round trip.
  chart.add(verdict === 'right' ? time : undefined)
  const number = messages.add(data, time, verdict)
  if (isLoad) return
  if (time === undefined) say(at('announced'), 'announced.unasked', number)
  else say(at('announced'), 'announced', String(number), milliseconds(time))
}

function judged(message, data) {
  if (!connection.answers) return 'relayed'
  if (message === undefined) return 'unasked'
  return answers.has(message, data) ? 'right' : 'wrong'
}

function state(name) {
  say(at('state'), `state.${name}`)
  enable('send', name === 'open', at('text'))
  enable('send-file', name === 'open', at('file'))
  enable('close', name === 'open' || name === 'connecting', at('connect').querySelector('button'))
  showRate()
}

// Has a form's button work or not; where it does not any more and has the focus, `next` gets that.
function enable(form, works, next) {
  const button = at(form).querySelector('button')
  if (!works && document.activeElement === button) next.focus()
  button.disabled = !works
}

function life(event, { url, code, reason, wasClean, subprotocol, extensions, unanswered } = {}) {
  // Codes as texts: they are written without separators.
  const details = {
    connecting: [url],
    opened: [subprotocol, extensions],
    error: [],
    closing: [String(code), reason],
    closed: [String(code), reason, unanswered],
    abandoned: [unanswered],
  }[event]
  tell(at('life'), event === 'closed' && !wasClean ? 'lost' : event, ...details)
}

// Does what a form asks for, and shows what the browser has against it.
function onSubmit(id, act) {
  at(id).addEventListener('submit', async (event) => {
    event.preventDefault()
    at('problem').textContent = ''
    try {
      await act()
    } catch (error) {
      at('problem').textContent = error.message
    }
  })
}

onSubmit('connect', () => {
  const subprotocols = at('subprotocols').value.split(',').map((name) => name.trim())
  const url = whole(at('url').value.trim())
  at('url').value = url
  expect(url)
  connection.connect(url, subprotocols.filter((name) => name !== ''), !answers.relays)
})

// The URL, of which the scheme may have been left out, and the host too where it is that of this page.
function whole(url) {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return url
  return `${SCHEME}://${url.startsWith('/') ? location.host : ''}${url}`
}

// Takes the server at `url` to answer as this page's does if it is that one, and to send messages back if not.
function expect(url) {
  const isOwn = URL.canParse(url) && new URL(url).host === location.host
  answers = Object.assign(new Answers(), isOwn ? ofServer : {})
  if (isSaid) answers.template = at('expected').value
  else at('expected').value = answers.template
  at('relayed').hidden = !answers.relays
}
onSubmit('close', () => connection.close(Number(at('code').value), at('reason').value))
onSubmit('send', () => send(at('text').value))
onSubmit('send-file', async () => {
  const content = await at('file').files[0].arrayBuffer()
  if (connection.open) send(content)
})
// Enter sends, as in other programs for messages; Shift and Enter begin a line. An input method takes its own Enter.
at('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  if (connection.open) at('send').requestSubmit()
})
at('clear').addEventListener('click', () => messages.clear())

at('expected').addEventListener('input', () => {
  const template = at('expected').value
  at('expected').setCustomValidity(isTemplate(template) ? '' : text('expected.invalid'))
  if (!at('expected').reportValidity()) return
  isSaid = true
  answers.template = template
})

function showRate() {
  const rate = RATES[Number(at('rate').value)]
  if (rate === 0) say(at('rate-shown'), 'rate.off')
  else say(at('rate-shown'), connection.open ? 'rate.shown' : 'rate.later', rate)
  at('rate').setAttribute('aria-valuetext', at('rate-shown').textContent)
}

at('rate').addEventListener('input', () => {
  load.rate = RATES[Number(at('rate').value)]
  showRate()
})
at('size').addEventListener('change', () => {
  if (at('size').reportValidity()) load.size = Number(at('size').value)
})

// Together with the list, so that both say the same.
function showCounts() {
  for (const [key, count] of Object.entries({ ...counts, unanswered: connection.unanswered })) {
    at(`figure-${key}`).textContent = count.toLocaleString('en')
  }
}

setInterval(showCounts, REFRESH)
setInterval(() => {
  chart.turn()
  const { rate, median, longest } = chart.recent()
  at('figure-rate').textContent = rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en')
  at('figure-median').textContent = median === undefined ? '-' : milliseconds(median)
  at('figure-longest').textContent = longest === undefined ? '-' : milliseconds(longest)
}, TURN)

function setLanguage(tag) {
  const untouched = at('text').value === '' || at('text').value === text('message.first')
  translate(tag)
  if (untouched) at('text').value = text('message.first')
  showRate()
}

function setTheme(scheme) {
  document.documentElement.style.colorScheme = scheme
  chart.draw()
}

// A choice that is remembered, where the browser remembers anything.
function choice(id, first, apply) {
  const select = at(id)
  let value = first
  try {
    value = localStorage.getItem(id) ?? first
  } catch {
    // Then the choice holds for this visit.
  }
  select.value = value
  if (select.value !== value) select.value = first
  apply(select.value)
  select.addEventListener('change', () => {
    apply(select.value)
    try {
      localStorage.setItem(id, select.value)
    } catch {
      // Likewise.
    }
  })
}

choice('language', navigator.language.startsWith('zh') ? 'zh' : 'en', setLanguage)
choice('theme', 'light dark', setTheme)
at('url').value = whole('/')
ofServer = await Answers.ofServer()
expect(at('url').value)
