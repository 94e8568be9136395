// What answers a message: the text with which a template replies, and whether a reply is what was expected.

// The template's text for `message`: `{}` stands for the message, `{{` and `}}` for braces.
export function expected(template, message) {
  return template.replace(/\{\{|\}\}|\{\}/g, (found) => (found === '{}' ? message : found[0]))
}

// Whether this is a template: at most one `{}`, and no other brace that is not doubled.
export function isTemplate(text) {
  const holes = text.match(/\{\{|\}\}|\{\}/g)?.filter((found) => found === '{}') ?? []
  return holes.length <= 1 && !/[{}]/.test(text.replace(/\{\{|\}\}|\{\}/g, ''))
}

// How a server answers: texts by `template`, and bytes too where `binaryToo`, which are otherwise sent back as they are.
export class Answers {
  template = '{}'
  binaryToo = false
  // Whether it hands messages on to others instead, which answers nothing.
  relays = false

  // Whether `reply` answers `message`.
  has(message, reply) {
    if (typeof message === 'string') return reply === expected(this.template, message)
    return typeof reply !== 'string' && same(this.#bytes(message), new Uint8Array(reply))
  }

  #bytes(message) {
    if (!this.binaryToo) return new Uint8Array(message)
    // The message stands where a character does that the template has not.
    const [before, after] = expected(this.template, HERE).split(HERE).map((text) => new TextEncoder().encode(text))
    const bytes = new Uint8Array(before.length + message.byteLength + after.length)
    bytes.set(before)
    bytes.set(new Uint8Array(message), before.length)
    bytes.set(after, before.length + message.byteLength)
    return bytes
  }

  // As the server says itself, in its configuration.
  static async ofServer() {
    const answers = new Answers()
    try {
      const { echo, relay } = await (await fetch('/config')).json()
      answers.template = echo.reply ?? '{}'
      answers.binaryToo = echo.reply_binary
      answers.relays = relay !== null
    } catch {
      // Then it is taken to send messages back.
    }
    return answers
  }
}

function same(ours, theirs) {
  return ours.length === theirs.length && ours.every((byte, at) => byte === theirs[at])
}

// A character of no language (Unicode's private use).
const HERE = '\u{f8ff}'
