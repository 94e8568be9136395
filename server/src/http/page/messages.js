// The numbered list of what was received, and the life of the connection. Both keep the newest entries in the page, a
// fixed number of them, so that the page is as quick after many messages as after one.

import { milliseconds, say } from './words.js'

export class Messages {
  #region
  #list
  #earlier
  #next = 0
  // What came since the page was last drawn.
  #pending = []
  #scheduled = false
  #drawn

  // Calls `drawn` whenever the list shows what came.
  constructor(region, earlier, drawn) {
    this.#drawn = drawn
    this.#region = region
    this.#list = region.querySelector('ol')
    this.#earlier = earlier
  }

  // `state`: right, wrong, unasked or relayed. Returns the message's number.
  add(data, roundTrip, state) {
    const number = this.#next++
    this.#pending.push({ number, data, roundTrip, state })
    // A page in the background is not drawn.
    if (this.#pending.length > 2 * SHOWN) this.#pending.splice(0, SHOWN)
    if (!this.#scheduled) {
      this.#scheduled = true
      requestAnimationFrame(() => this.#draw())
    }
    return number
  }

  clear() {
    this.#pending = []
    this.#list.replaceChildren()
    this.#next = 0
    this.#earlier.hidden = true
  }

  #draw() {
    this.#scheduled = false
    const pending = this.#pending.splice(0).slice(-SHOWN)
    append(this.#region, this.#list, pending.map(entry))
    const earlier = this.#next - this.#list.childElementCount
    this.#earlier.hidden = earlier <= 0
    if (earlier > 0) say(this.#earlier, 'earlier', earlier, SHOWN)
    this.#drawn()
  }
}

// Adds a line to the life of the connection.
export function tell(region, key, ...details) {
  const line = document.createElement('p')
  const time = document.createElement('time')
  time.textContent = new Date().toLocaleTimeString([], { hour12: false })
  const what = document.createElement('span')
  what.dataset.event = key
  say(what, `life.${key}`, ...details)
  line.append(time, what)
  append(region, region, [line])
}

// Appends, forgets the oldest, and stays at the end if the reader was there.
function append(region, list, elements) {
  const atEnd = region.scrollTop + region.clientHeight >= region.scrollHeight - 8
  list.append(...elements)
  for (let excess = list.childElementCount - SHOWN; excess > 0; excess -= 1) list.firstElementChild.remove()
  if (atEnd) region.scrollTop = region.scrollHeight
}

function entry({ number, data, roundTrip, state }) {
  const line = document.createElement('li')
  const text = document.createElement('span')
  text.className = 'text'
  text.textContent = `${number}: ${shown(data)}`
  line.append(text)
  if (state === 'wrong' || state === 'unasked') {
    const wrong = document.createElement('span')
    wrong.className = 'wrong'
    say(wrong, `reply.${state}`)
    line.append(wrong)
  }
  if (roundTrip !== undefined) {
    const time = document.createElement('span')
    time.className = 'round-trip'
    time.textContent = milliseconds(roundTrip)
    line.append(time)
  }
  return line
}

// A message on a line: text, or the first bytes in hexadecimal.
function shown(data) {
  if (typeof data === 'string') return data.length > TEXT ? `${data.slice(0, TEXT)}… (${data.length})` : data
  const bytes = [...new Uint8Array(data, 0, Math.min(BYTES, data.byteLength))]
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return `[${data.byteLength} B] ${hex}${data.byteLength > BYTES ? ' …' : ''}`
}

// Entries kept in the page.
const SHOWN = 500
// Characters, and bytes, that an entry shows of a message.
const TEXT = 300
const BYTES = 24
