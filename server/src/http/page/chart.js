// The last minute, second by second: round trips above, the rate below.

export class Chart {
  #canvas
  #bins = []
  #current = bin()

  constructor(canvas) {
    this.#canvas = canvas
    new ResizeObserver(() => this.draw()).observe(canvas)
  }

  // Adds a message that came; `milliseconds` is undefined where it ended no round trip.
  add(milliseconds) {
    const now = this.#current
    now.count += 1
    if (milliseconds === undefined) return
    now.longest = Math.max(now.longest ?? 0, milliseconds)
    if (now.samples.length < SAMPLES) now.samples.push(milliseconds)
  }

  // Ends a second.
  turn() {
    const { since, count, longest, samples } = this.#current
    const seconds = (performance.now() - since) / 1000
    this.#bins.push({ seconds, count, rate: count / seconds, median: middle(samples), longest, samples })
    if (this.#bins.length > BINS) this.#bins.shift()
    this.#current = bin()
    this.draw()
  }

  // What the last few seconds came to: `rate` per second, `median` and `longest`, undefined where no round trip ended.
  recent() {
    const bins = this.#bins.slice(-RECENT)
    const sum = (key) => bins.reduce((sum, bin) => sum + bin[key], 0)
    const longest = bins.flatMap((bin) => bin.longest ?? [])
    return {
      rate: bins.length > 0 ? sum('count') / sum('seconds') : 0,
      median: middle(bins.flatMap((bin) => bin.samples)),
      longest: longest.length > 0 ? Math.max(...longest) : undefined,
    }
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
    const lower = { top: height * 0.62 + 18, height: height * 0.38 - 22 - BELOW }
    const most = (key) => Math.max(0, ...this.#bins.map((bin) => bin[key] ?? 0))
    const slowest = niceAbove(most('longest'))
    const fastest = niceAbove(most('rate'))
    const x = (at) => width - (this.#bins.length - at) * (width / BINS)
    frame(pen, upper, width, `${slowest} ms`, colour)
    frame(pen, lower, width, `${fastest}/s`, colour)
    ages(pen, width, height)
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
          // A second between two without any has no line to be seen by.
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

// How long ago it was, below the panels.
function ages(pen, width, height) {
  for (const [at, age] of [[0, BINS], [0.5, BINS / 2], [1, 0]]) {
    pen.textAlign = ['left', 'center', 'right'][at * 2]
    pen.fillText(age === 0 ? '0 s' : `-${age} s`, width * at, height - 3)
  }
  pen.textAlign = 'left'
}

// The median, undefined of none.
function middle(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
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
  return { since: performance.now(), count: 0, longest: undefined, samples: [] }
}

// Milliseconds of a bin.
export const TURN = 1000
// A minute.
const BINS = 60
// Bins that what is recent is taken of.
const RECENT = 5
// Round trips of a bin that its median is taken of: the first ones.
const SAMPLES = 4096
// Pixels below the panels, for their scale.
const BELOW = 14
