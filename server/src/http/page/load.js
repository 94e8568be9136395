// A light load: numbered texts, due at a steady rate.

export class Load {
  #send
  #mayI
  #timer = 0
  #rate = 0
  #due = 0
  #number = 0
  size = 64

  // `send(text)` sends one; `mayI()` says whether one may be sent now.
  constructor(send, mayI) {
    this.#send = send
    this.#mayI = mayI
  }

  // Messages per second; 0 stops.
  set rate(rate) {
    this.#rate = rate
    clearInterval(this.#timer)
    if (rate === 0) return
    this.#due = performance.now()
    this.#timer = setInterval(() => this.#turn(), TURN)
  }

  // Sends whatever is due. A page in the background is woken up once in a second: what it has missed beyond that is left
  // out, and so is what would be due while too many are unanswered.
  #turn() {
    const now = performance.now()
    this.#due = Math.max(this.#due, now - LONGEST_LAG)
    while (this.#due <= now) {
      if (!this.#mayI()) {
        this.#due = now
        return
      }
      this.#send(text(this.#number++, this.size))
      this.#due += 1000 / this.#rate
    }
  }
}

// `number`, filled up to `size` bytes.
function text(number, size) {
  return `${number} `.padEnd(size, 'depth ').slice(0, Math.max(size, String(number).length + 1))
}

// Milliseconds between two looks at what is due: browsers grant no less than 4.
const TURN = 4
const LONGEST_LAG = 1000
