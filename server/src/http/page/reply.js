// What answers a message: the text with which a template replies, and whether a reply is what was expected.

// The template's text for `message`: `{}` stands for the message, `{{` and `}}` for braces.
export function expected(template, message) {
  return template.replace(/\{\{|\}\}|\{\}/g, (found) => (found === '{}' ? message : found[0]))
}

// Whether `reply` answers `message`: a text by the template, bytes by the same bytes.
export function answers(template, message, reply) {
  if (typeof message === 'string') return reply === expected(template, message)
  if (typeof reply === 'string' || reply.byteLength !== message.byteLength) return false
  const [ours, theirs] = [new Uint8Array(message), new Uint8Array(reply)]
  return ours.every((byte, at) => byte === theirs[at])
}

// The template that the server itself answers texts by, as its configuration says; `{}`, plain echo, where it says nothing.
export async function templateOfServer() {
  try {
    const config = await (await fetch('/config')).json()
    return typeof config.echo?.reply === 'string' ? config.echo.reply : '{}'
  } catch {
    return '{}'
  }
}
