// `wx`, as far as WebSockets go, for Node: what WeChat documents of wx.connectSocket, the functions beside it and SocketTask
// (https://developers.weixin.qq.com/miniprogram/dev/api/network/websocket/), over npm's `ws`. Its types are checked against
// WeChat's own, miniprogram-api-typings. What is not documented, and is decided here: functions of `wx` act on the task that
// was made last, and a time-out or a refused connection is an error and then a close with 1006.

import { WebSocket } from 'ws'

/** @typedef {'connectSocket' | 'sendSocketMessage' | 'closeSocket' | 'onSocketOpen' | 'onSocketMessage' | 'onSocketError' | 'onSocketClose'} Names */

// Connections that a mini-program may have at the same time.
const MOST_TASKS = 5
// Milliseconds, where neither the call nor app.json says otherwise.
const TIMEOUT = 60_000
// Every request of a mini-program says where it comes from, and it cannot say anything else.
const REFERER = 'https://servicewechat.com/touristappid/devtools/page-frame.html'

/**
 * A mini-program's `wx`.
 * @returns {Pick<WechatMiniprogram.Wx, Names>}
 */
export function createWx() {
  /** @type {Set<Task>} */
  const tasks = new Set()
  /** @type {Task | undefined} */
  let latest
  /** @type {Record<'open' | 'message' | 'error' | 'close', ((result: any) => void) | undefined>} */
  const listeners = { open: undefined, message: undefined, error: undefined, close: undefined }
  return {
    connectSocket(option) {
      let wrong = problem(option, tasks.size)
      const task = new Task((event, result) => {
        if (event === 'close') tasks.delete(task)
        if (task === latest) listeners[event]?.(result)
      })
      if (wrong === undefined) {
        try {
          task.connect(option)
          tasks.add(task)
          latest = task
        } catch (error) {
          wrong = /** @type {Error} */ (error).message
        }
      }
      finish('connectSocket', option, wrong)
      return task
    },
    // Typed as promises where no callback is given: WeChat returns one from these two.
    sendSocketMessage: /** @type {any} */ ((/** @type {WechatMiniprogram.SendSocketMessageOption} */ option) =>
      promised(option, (callbacks) =>
        latest ? latest.transmit('sendSocketMessage', option.data, callbacks) : finish('sendSocketMessage', callbacks, NOT_CONNECTED))),
    closeSocket: /** @type {any} */ ((/** @type {WechatMiniprogram.CloseSocketOption} */ option = {}) =>
      promised(option, (callbacks) =>
        latest ? latest.end('closeSocket', option, callbacks) : finish('closeSocket', callbacks, NOT_CONNECTED))),
    onSocketOpen: (listener) => void (listeners.open = listener),
    onSocketMessage: (listener) => void (listeners.message = listener),
    onSocketError: (listener) => void (listeners.error = listener),
    onSocketClose: (listener) => void (listeners.close = listener),
  }
}

/** @implements {WechatMiniprogram.SocketTask} */
class Task {
  /** @type {any} */
  #socket
  /** @type {Record<string, ((result: any) => void)[]>} */
  #listeners = { open: [], message: [], error: [], close: [] }
  #also

  /** @param {(event: 'open' | 'message' | 'error' | 'close', result: any) => void} also is told of every event besides */
  constructor(also) {
    this.#also = also
  }

  /** @param {WechatMiniprogram.ConnectSocketOption} option */
  connect({ url, header = {}, protocols = [], tcpNoDelay = false, perMessageDeflate = false, timeout = TIMEOUT }) {
    const started = Date.now()
    const headers = { ...withoutReferer(header), Referer: REFERER }
    const socket = new WebSocket(url, protocols, { headers, perMessageDeflate, handshakeTimeout: timeout })
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    let response = /** @type {any} */ (undefined)
    socket.on('upgrade', (/** @type {any} */ upgrade) => (response = upgrade))
    socket.on('open', () => {
      // `ws` always sets it.
      response.socket.setNoDelay(tcpNoDelay)
      this.#tell('open', { header: response.headers, profile: { cost: Date.now() - started } })
    })
    socket.on('message', (/** @type {ArrayBuffer} */ data, /** @type {boolean} */ isBinary) =>
      this.#tell('message', { data: isBinary ? data : new TextDecoder().decode(data) }))
    socket.on('error', (/** @type {Error} */ error) => {
      const late = error.message.includes('handshake has timed out')
      this.#tell('error', { errMsg: late ? 'connectSocket:fail timeout' : `connectSocket:fail ${error.message}` })
    })
    socket.on('close', (/** @type {number} */ code, /** @type {any} */ reason) => this.#tell('close', { code, reason: reason.toString() }))
  }

  /** @param {WechatMiniprogram.SocketTaskSendOption} option */
  send(option) {
    this.transmit('sendSocketMessage', option.data, option)
  }

  /** @param {WechatMiniprogram.SocketTaskCloseOption} [option] */
  close(option = {}) {
    this.end('closeSocket', option, option)
  }

  /** @param {WechatMiniprogram.OnOpenCallback} listener */
  onOpen(listener) {
    this.#listeners.open.push(listener)
  }

  /** @param {WechatMiniprogram.SocketTaskOnMessageCallback} listener */
  onMessage(listener) {
    this.#listeners.message.push(listener)
  }

  /** @param {WechatMiniprogram.UDPSocketOnErrorCallback} listener */
  onError(listener) {
    this.#listeners.error.push(listener)
  }

  /** @param {WechatMiniprogram.SocketTaskOnCloseCallback} listener */
  onClose(listener) {
    this.#listeners.close.push(listener)
  }

  /**
   * Sends, if it is connected.
   * @param {string} call
   * @param {string | ArrayBuffer} data
   * @param {Callbacks} callbacks
   */
  transmit(call, data, callbacks) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      finish(call, callbacks, NOT_CONNECTED)
    } else if (typeof data !== 'string' && !(data instanceof ArrayBuffer)) {
      finish(call, callbacks, 'parameter error: data should be a String or an ArrayBuffer')
    } else {
      this.#socket.send(data, (/** @type {Error | undefined} */ error) => finish(call, callbacks, error?.message))
    }
  }

  /**
   * Closes, if it is connected: before that, a call does nothing, as is documented of wx.closeSocket.
   * @param {string} call
   * @param {{ code?: number, reason?: string }} how
   * @param {Callbacks} callbacks
   */
  end(call, { code = 1000, reason = '' }, callbacks) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      finish(call, callbacks, NOT_CONNECTED)
      return
    }
    try {
      this.#socket.close(code, reason)
      finish(call, callbacks)
    } catch (error) {
      finish(call, callbacks, /** @type {Error} */ (error).message)
    }
  }

  /** @param {'open' | 'message' | 'error' | 'close'} event @param {any} result */
  #tell(event, result) {
    for (const listener of this.#listeners[event]) listener(result)
    this.#also(event, result)
  }
}

/**
 * What is wrong with a call of wx.connectSocket, if anything.
 * @param {WechatMiniprogram.ConnectSocketOption} option
 * @param {number} others connections that there are
 */
function problem({ url, protocols = [] }, others) {
  if (typeof url !== 'string' || !/^wss?:\/\/[^/]/.test(url)) return `invalid url "${url}"`
  if (!Array.isArray(protocols)) return 'parameter error: protocols should be an Array'
  if (others >= MOST_TASKS) return `exceed max connection count ${MOST_TASKS}`
}

/** @param {WechatMiniprogram.IAnyObject} header */
function withoutReferer(header) {
  return Object.fromEntries(Object.entries(header).filter(([name]) => name.toLowerCase() !== 'referer'))
}

/** @typedef {{ success?: (result: any) => void, fail?: (result: any) => void, complete?: (result: any) => void }} Callbacks */

/**
 * Calls back once the caller has returned: success or fail, and then complete.
 * @param {string} call
 * @param {Callbacks} callbacks
 * @param {string} [wrong]
 */
function finish(call, { success, fail, complete }, wrong) {
  const result = { errMsg: wrong === undefined ? `${call}:ok` : `${call}:fail ${wrong}` }
  queueMicrotask(() => {
    if (wrong === undefined) success?.(result)
    else fail?.(result)
    complete?.(result)
  })
}

/**
 * A call that returns a promise where it is given no callback.
 * @param {Callbacks} option
 * @param {(callbacks: Callbacks) => void} call
 */
function promised(option, call) {
  if (option.success || option.fail || option.complete) return call(option)
  return new Promise((resolve, reject) => call({ success: resolve, fail: reject }))
}

const NOT_CONNECTED = 'WebSocket is not connected'
