// One WebSocket connection: what was sent and waits for its reply, and what happens to it, told to `on`:
// `life(event, details)`, `state(name)`, `reply({ data, message, milliseconds, load })`, `lost(count)`.

export class Connection {
  #socket = null
  #on
  // Sent and not answered, oldest first from `#answered` on.
  #sent = []
  #answered = 0
  // Whether the server answers each message. One that hands messages on does not: what it sends is not awaited.
  #answers = true

  constructor(on) {
    this.#on = on
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  get unanswered() {
    return this.#sent.length - this.#answered
  }

  // Bytes that the browser has not sent yet.
  get buffered() {
    return this.#socket?.bufferedAmount ?? 0
  }

  get answers() {
    return this.#answers
  }

  // Throws where the browser refuses the URL or the subprotocols.
  connect(url, subprotocols, answers) {
    const socket = new WebSocket(url, subprotocols)
    // Only now is an earlier connection given up.
    this.#abandon()
    this.#socket = socket
    this.#answers = answers
    socket.binaryType = 'arraybuffer'
    const during = (handle) => (event) => {
      if (this.#socket === socket) handle(event)
    }
    socket.onopen = during(() => {
      this.#on.state('open')
      this.#on.life('opened', { subprotocol: socket.protocol, extensions: socket.extensions })
    })
    socket.onmessage = during(({ data }) => this.#received(data, performance.now()))
    socket.onerror = during(() => this.#on.life('error'))
    socket.onclose = during(({ code, reason, wasClean }) => {
      const unanswered = this.#forget()
      this.#on.state('closed')
      this.#on.life('closed', { code, reason, wasClean, unanswered })
    })
    this.#on.state('connecting')
    this.#on.life('connecting', { url: socket.url })
  }

  // Throws where the browser refuses the code or the reason.
  close(code, reason) {
    if (!this.#socket || this.#socket.readyState > WebSocket.OPEN) return
    this.#socket.close(code, reason)
    this.#on.state('closing')
    this.#on.life('closing', { code, reason })
  }

  // `load`: whether it is one of many.
  send(message, load = false) {
    if (this.#answers) this.#sent.push({ message, load, at: performance.now() })
    this.#socket.send(message)
  }

  #received(data, now) {
    if (this.unanswered === 0) {
      this.#on.reply({ data, load: false })
      return
    }
    const { message, load, at } = this.#sent[this.#answered]
    this.#sent[this.#answered] = undefined
    this.#answered += 1
    if (this.#answered >= TIDY && this.#answered * 2 >= this.#sent.length) {
      this.#sent.splice(0, this.#answered)
      this.#answered = 0
    }
    this.#on.reply({ data, message, milliseconds: now - at, load })
  }

  // What is unanswered now stays so; returns how many that are.
  #forget() {
    const lost = this.unanswered
    this.#sent = []
    this.#answered = 0
    this.#on.lost(lost)
    return lost
  }

  #abandon() {
    const unanswered = this.#forget()
    if (!this.#socket || this.#socket.readyState === WebSocket.CLOSED) return
    const earlier = this.#socket
    this.#socket = null
    earlier.close()
    this.#on.life('abandoned', { unanswered })
  }
}

// Answered messages that are kept before the list is cut.
const TIDY = 1024
