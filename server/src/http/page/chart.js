// The last minute in half-seconds: round trips above, the rate below.

export class Chart {
  #canvas
  #bins = []
  #current = bin()

  constructor(canvas) {
    this.#canvas = canvas
    new ResizeObserver(() => this.draw()).observe(canvas)
  }

  add(milliseconds) {
    const now = this.#current
    now.count += 1
    now.longest = Math.max(now.longest, milliseconds)
    if (now.samples.length < SAMPLES) now.samples.push(milliseconds)
  }

  // Ends a half-second and returns what came in it: `rate` per second, `median` and `longest`, undefined where nothing came.
  turn() {
    const { since, count, longest, samples } = this.#current
    const seconds = (performance.now() - since) / 1000
    const median = samples.sort((a, b) => a - b)[Math.floor(samples.length / 2)]
    const ended = { rate: Math.round(count / seconds), median, longest: count > 0 ? longest : undefined }
    this.#bins.push(ended)
    if (this.#bins.length > BINS) this.#bins.shift()
    this.#current = bin()
    this.draw()
    return ended
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas
    const scale = window.devicePixelRatio || 1
    this.#canvas.width = width * scale
    this.#canvas.height = height * scale
    const pen = this.#canvas.getContext('2d')
    pen.scale(scale, scale)
    const style = getComputedStyle(this.#canvas)
    const colour = (name) => resolved(style, name)
    pen.font = `12px ${style.fontFamily}`
    const upper = { top: 18, height: height * 0.62 - 22 }
    const lower = { top: height * 0.62 + 18, height: height * 0.38 - 22 }
    const most = (key) => Math.max(0, ...this.#bins.map((bin) => bin[key] ?? 0))
    const slowest = niceAbove(most('longest'))
    const fastest = niceAbove(most('rate'))
    const x = (at) => width - (this.#bins.length - at) * (width / BINS)
    frame(pen, upper, width, `${slowest} ms`, colour)
    frame(pen, lower, width, `${fastest}/s`, colour)
    pen.fillStyle = colour('--replies')
    this.#bins.forEach(({ rate }, at) => {
      const tall = (rate / fastest) * lower.height
      pen.fillRect(x(at), lower.top + lower.height - tall, Math.max(1, width / BINS - 1), tall)
    })
    for (const key of ['longest', 'median']) {
      pen.strokeStyle = pen.fillStyle = colour(`--${key}`)
      pen.lineWidth = 2
      pen.beginPath()
      let before = false
      this.#bins.forEach((bin, at) => {
        const value = bin[key]
        if (value !== undefined) {
          const [left, top] = [x(at) + width / BINS / 2, upper.top + upper.height * (1 - value / slowest)]
          if (before) pen.lineTo(left, top)
          else pen.moveTo(left, top)
          // A half-second between two without any has no line to be seen by.
          pen.fillRect(left - 1.5, top - 1.5, 3, 3)
        }
        before = value !== undefined
      })
      pen.stroke()
    }
  }
}

// A panel's lines and the value at its top.
function frame(pen, { top, height }, width, label, colour) {
  pen.strokeStyle = colour('--line')
  pen.lineWidth = 1
  for (const part of [0, 0.5, 1]) {
    pen.beginPath()
    pen.moveTo(0, Math.round(top + height * part) + 0.5)
    pen.lineTo(width, Math.round(top + height * part) + 0.5)
    pen.stroke()
  }
  pen.fillStyle = colour('--faint')
  pen.fillText(label, 0, top - 5)
}

// A custom property in the colours of the theme in force, which a canvas cannot work out for itself.
function resolved(style, name) {
  const [light, dark] = style.getPropertyValue(name).match(/#[0-9a-f]+/g)
  const scheme = style.colorScheme
  const isDark = scheme.includes('light') && scheme.includes('dark') ? matchMedia('(prefers-color-scheme: dark)').matches : scheme === 'dark'
  return isDark ? dark : light
}

// The next 1, 2 or 5 times a power of ten.
function niceAbove(value) {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  const nice = [1, 2, 5, 10].find((step) => step * power >= value) * power
  return Number(nice.toPrecision(1))
}

function bin() {
  return { since: performance.now(), count: 0, longest: 0, samples: [] }
}

// Milliseconds of a bin; in the background a browser makes it a second.
export const TURN = 500
// A minute.
const BINS = 120
// Round trips of a bin that its median is taken of: the first ones.
const SAMPLES = 4096
