// The page for browsers: what its controls do.

import { Chart, TURN } from './chart.js'
import { Connection } from './connection.js'
import { Load } from './load.js'
import { Messages, tell } from './messages.js'
import { Answers } from './reply.js'
import { milliseconds, say, text, translate } from './words.js'

// Messages per second, by the slider's position; 0 is off.
const RATES = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]
// Messages of the load that may wait for their replies.
const MOST_UNANSWERED = 1000

const at = (id) => document.getElementById(id)
const counts = { sent: 0, right: 0, wrong: 0 }
const messages = new Messages(at('messages'), at('earlier'))
const chart = new Chart(at('chart'))
const connection = new Connection({ life, state, reply })
const load = new Load(
  (message) => send(message, true),
  () => connection.open && connection.unanswered < MOST_UNANSWERED,
)

let answers = new Answers()

function send(message, isLoad = false) {
  counts.sent += 1
  connection.send(message, isLoad)
}

function reply({ data, message, milliseconds: time, load: isLoad }) {
  const verdict = message === undefined ? 'unasked' : answers.has(message, data) ? 'right' : 'wrong'
  counts[verdict === 'right' ? 'right' : 'wrong'] += 1
  // A reply that was not asked for, or is another than expected, is no round trip.
  if (verdict === 'right') chart.add(time)
  const number = messages.add(data, time, verdict)
  if (isLoad) return
  if (time === undefined) say(at('announced'), 'announced.unasked', number)
  else say(at('announced'), 'announced', String(number), milliseconds(time))
}

function state(name) {
  say(at('state'), `state.${name}`)
  for (const id of ['send', 'send-file']) at(id).querySelector('button').disabled = name !== 'open'
  at('close').querySelector('button').disabled = name !== 'open' && name !== 'connecting'
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
  connection.connect(at('url').value.trim(), subprotocols.filter((name) => name !== ''))
})
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

at('expected').addEventListener('input', () => (answers.template = at('expected').value))

function setRate() {
  const rate = RATES[Number(at('rate').value)]
  load.rate = rate
  if (rate === 0) say(at('rate-shown'), 'rate.off')
  else say(at('rate-shown'), 'rate.shown', rate)
  at('rate').setAttribute('aria-valuetext', at('rate-shown').textContent)
}

at('rate').addEventListener('input', setRate)
at('size').addEventListener('change', () => {
  if (at('size').reportValidity()) load.size = Number(at('size').value)
})

setInterval(() => {
  const { rate, median, longest } = chart.turn()
  at('figure-rate').textContent = rate.toLocaleString('en')
  at('figure-median').textContent = median === undefined ? '-' : milliseconds(median)
  at('figure-longest').textContent = longest === undefined ? '-' : milliseconds(longest)
  for (const key of ['sent', 'right', 'wrong']) at(`figure-${key}`).textContent = counts[key].toLocaleString('en')
  at('figure-unanswered').textContent = connection.unanswered.toLocaleString('en')
}, TURN)

function setLanguage(tag) {
  const untouched = at('text').value === '' || at('text').value === text('message.first')
  translate(tag)
  if (untouched) at('text').value = text('message.first')
  setRate()
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
at('url').value = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/`
const ofServer = await Answers.ofServer()
if (at('expected').value === '{}') {
  answers = ofServer
  at('expected').value = answers.template
}
