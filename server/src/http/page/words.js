// Every text of the page in English and Chinese. `{0}`, `{1}` stand for details.

let language = 0

// Shows text `key` in `element`, now and after the language has changed.
export function say(element, key, ...details) {
  element.dataset.word = key
  if (details.length > 0) element.dataset.details = JSON.stringify(details)
  else delete element.dataset.details
  element.textContent = text(key, details)
}

// Text `key` in the reader's language.
export function text(key, details = []) {
  return WORDS[key][language].replace(/\{(\d)\}/g, (_, at) => {
    const detail = details[at]
    if (typeof detail === 'number') return detail.toLocaleString('en')
    return detail === '' ? WORDS.none[language] : detail
  })
}

// Shows the whole page in `tag`, en or zh.
export function translate(tag) {
  language = LANGUAGES.indexOf(tag)
  document.documentElement.lang = tag === 'zh' ? 'zh-CN' : 'en'
  document.title = text('title')
  for (const element of document.querySelectorAll('[data-word]')) {
    element.textContent = text(element.dataset.word, JSON.parse(element.dataset.details ?? '[]'))
  }
}

// A time with three digits that count.
export function milliseconds(time) {
  return `${time < 1 ? time.toFixed(3) : time < 10 ? time.toFixed(2) : time.toFixed(1)} ms`
}

const LANGUAGES = ['en', 'zh']

const WORDS = {
  'title': ['Fathom echo server', 'Fathom 回声服务器'],
  'about': ['Connect, send messages, and see how long each reply takes.', '连接服务器，发送消息，查看每条回复所用的时间。'],
  'language': ['Language', '语言'],
  'theme': ['Colours', '配色'],
  'theme.system': ['as the system', '跟随系统'],
  'theme.light': ['light', '浅色'],
  'theme.dark': ['dark', '深色'],
  'connection': ['Connection', '连接'],
  'url': ['URL', '地址（URL）'],
  'subprotocols': ['Subprotocols, separated by commas (optional)', '子协议，用逗号分隔（可选）'],
  'connect': ['Connect', '连接'],
  'code': ['Close code', '关闭代码'],
  'reason': ['Reason (optional)', '原因（可选）'],
  'close': ['Close', '关闭'],
  'state.connecting': ['connecting', '正在连接'],
  'state.open': ['connected', '已连接'],
  'state.closing': ['closing', '正在关闭'],
  'state.closed': ['not connected', '未连接'],
  'send.title': ['Send', '发送'],
  'message': ['Message', '消息'],
  'message.first': ['hello from the client', '客户端发来的信息'],
  'send': ['Send', '发送'],
  'file': ['File, sent as one binary message', '文件，作为一条二进制消息发送'],
  'send.file': ['Send file', '发送文件'],
  'expected': ['Expected reply to a text; {} stands for the message', '文本消息的预期回复；{} 代表消息'],
  'expected.invalid': ['expected at most one {}, and {{ and }} for braces', '最多只能有一个 {}，花括号写作 {{ 和 }}'],
  'load': ['Light load', '轻负载'],
  'load.hint': [
    "Sends numbered texts at a steady rate while connected, and checks every reply. The browser's own delays are part of these times; loadgen measures without them.",
    '连接期间按固定速率发送带编号的文本，并检查每条回复。这些时间包含浏览器自身的延迟；loadgen 的测量不包含它。',
  ],
  'rate': ['Messages per second', '每秒消息数'],
  'rate.shown': ['{0} messages per second', '每秒 {0} 条消息'],
  'rate.later': ['{0} messages per second once connected', '连接后每秒 {0} 条消息'],
  'rate.off': ['off', '关闭'],
  'size': ['Bytes per message', '每条消息的字节数'],
  'chart': ['The last minute', '最近一分钟'],
  'legend.median': ['median round trip', '往返时间中位数'],
  'legend.longest': ['longest round trip', '最长往返时间'],
  'legend.rate': ['received per second', '每秒收到的消息数'],
  'figures.recent': ['The last 5 seconds', '最近 5 秒'],
  'figures.totals': ['Since the page was opened', '自页面打开以来'],
  'figure.rate': ['received per second', '每秒收到的消息数'],
  'figure.median': ['median', '中位数'],
  'figure.longest': ['longest', '最长'],
  'figure.sent': ['sent', '已发送'],
  'figure.received': ['received', '已收到'],
  'figure.right': ['as expected', '符合预期'],
  'figure.wrong': ['otherwise', '不符合预期'],
  'figure.unanswered': ['unanswered', '未回复'],
  'figure.lost': ['never answered', '始终未回复'],
  'messages': ['Messages received', '收到的消息'],
  'earlier': ['{0} earlier messages are not shown: the list keeps the last {1}.', '更早的 {0} 条消息未显示：列表保留最近 {1} 条。'],
  'relayed': [
    'This server hands each message on to others instead of answering it: nothing here is checked or timed.',
    '此服务器将每条消息转发给其他连接，而不是回复：这里不检查也不计时。',
  ],
  'reply.wrong': ['not as expected', '不符合预期'],
  'reply.unasked': ['answers nothing that was sent', '不对应任何已发送的消息'],
  'announced': ['Message {0} received, round trip {1}', '收到消息 {0}，往返时间 {1}'],
  'announced.unasked': ['Message {0} received', '收到消息 {0}'],
  'clear': ['Clear the list', '清空列表'],
  'life': ['Life of the connection', '连接的生命周期'],
  'life.connecting': ['connecting to {0}', '正在连接 {0}'],
  'life.opened': ['open; subprotocol: {0}; extensions: {1}', '已打开；子协议：{0}；扩展：{1}'],
  'life.error': ['error: the browser does not say which', '出错：浏览器不说明原因'],
  'life.closing': ['closing with code {0}, reason: {1}', '正在关闭，代码 {0}，原因：{1}'],
  'life.closed': ['closed with code {0}, reason: {1}; messages unanswered: {2}', '已关闭，代码 {0}，原因：{1}；未回复的消息：{2}'],
  'life.lost': ['lost without a Close frame (code {0}); messages unanswered: {2}', '未收到关闭帧，连接中断（代码 {0}）；未回复的消息：{2}'],
  'life.abandoned': ['replaced by a new connection; messages unanswered: {0}', '被新连接取代；未回复的消息：{0}'],
  'none': ['none', '无'],
  'config': ['How the server is set up', '服务器配置'],
  'healthz': ['Whether it is up', '服务器是否正常'],
}
