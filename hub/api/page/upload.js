// The upload page speaks tus 1.0.0: POST begins an upload, HEAD asks how far it is, PATCH goes on from there. What the hub has
// written down is never sent again, after a pause, a broken line, or another visit to the page with the same file.

const TUS = { 'Tus-Resumable': '1.0.0' }
const RETRY_MS_MAX = 30_000
const MIB = 1024 * 1024

const byId = (id) => document.getElementById(id)
const [chooser, toggle, cancel, bar, state] = ['file', 'toggle', 'cancel', 'bar', 'state'].map(byId)
const texts = document.body.dataset

let file = null
let address = null
let request = null
let running = false
let timer = 0
let waitMs = 0

const keyOf = () => `upload ${location.pathname.slice(-24)} ${file.name} ${file.size} ${file.lastModified}`

function memory(work) {
  try {
    return work(localStorage)
  } catch {
    // A browser that keeps nothing goes on with this page only.
    return null
  }
}

function remember(url) {
  address = url
  const key = keyOf()
  memory((store) => (url === null ? store.removeItem(key) : store.setItem(key, url)))
}

function say(text, detail) {
  state.textContent = detail ? `${text} (${detail})` : text
}

function show(offset) {
  bar.max = Math.max(1, file.size)
  bar.value = file.size === 0 ? 1 : offset
  const part = file.size === 0 ? 100 : Math.floor((offset / file.size) * 100)
  say(`${part} % · ${(offset / MIB).toFixed(1)} / ${(file.size / MIB).toFixed(1)} MiB`)
}

function buttons() {
  chooser.disabled = running
  toggle.hidden = file === null
  cancel.hidden = address === null
  toggle.textContent = running ? texts.pause : address === null ? texts.start : texts.resume
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}

function send(method, url, headers, body, onProgress) {
  return new Promise((resolve, reject) => {
    request = new XMLHttpRequest()
    request.open(method, url)
    for (const [name, value] of Object.entries({ ...TUS, ...headers })) request.setRequestHeader(name, value)
    if (onProgress) request.upload.onprogress = ({ loaded }) => onProgress(loaded)
    request.onload = () => resolve(request)
    request.onerror = () => reject(new Error(texts.broken))
    request.onabort = () => reject(new Error(texts.paused))
    request.send(body)
  })
}

/** What the hub says about an answer that is no success. */
function refusal({ status, responseText }) {
  let told = {}
  try {
    told = JSON.parse(responseText)
  } catch {
    // A proxy on the way has answered.
  }
  const error = new Error(told.code || `HTTP ${status}`)
  error.final = status >= 400 && status < 500 && ![408, 409, 423, 429].includes(status)
  error.gone = status === 404 || status === 410
  return error
}

async function begin() {
  const metadata = [`filename ${base64(file.name)}`]
  if (file.type) metadata.push(`filetype ${base64(file.type)}`)
  const headers = { 'Upload-Length': String(file.size), 'Upload-Metadata': metadata.join(',') }
  const answer = await send('POST', location.pathname, headers, null)
  if (answer.status !== 201) throw refusal(answer)
  remember(new URL(answer.getResponseHeader('Location'), location.href).pathname)
  return 0
}

async function asked() {
  const answer = await send('HEAD', address, {}, null)
  if (answer.status === 200) return Number(answer.getResponseHeader('Upload-Offset'))
  const error = refusal(answer)
  if (!error.gone) throw error
  remember(null)
  return begin()
}

async function advance() {
  let offset = address === null ? await begin() : await asked()
  buttons()
  show(offset)
  while (offset < file.size) {
    const headers = { 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': String(offset) }
    const from = offset
    const answer = await send('PATCH', address, headers, file.slice(offset), (loaded) => {
      waitMs = 0
      show(from + loaded)
    })
    if (answer.status !== 204) throw refusal(answer)
    offset = Number(answer.getResponseHeader('Upload-Offset'))
    show(offset)
  }
}

async function run() {
  running = true
  buttons()
  try {
    await advance()
    remember(null)
    running = false
    file = null
    chooser.value = ''
    say(texts.done)
  } catch (error) {
    if (!running) say(texts.paused)
    else if (error.final) {
      running = false
      say(texts.refused, error.message)
    } else {
      waitMs = Math.min(RETRY_MS_MAX, 2 * waitMs + 1000)
      say(texts.waiting, error.message)
      timer = setTimeout(() => void run(), waitMs)
    }
  }
  buttons()
}

function pause() {
  running = false
  clearTimeout(timer)
  if (request !== null) request.abort()
  say(texts.paused)
  buttons()
}

chooser.addEventListener('change', () => {
  file = chooser.files[0] ?? null
  address = file === null ? null : memory((store) => store.getItem(keyOf()))
  say(address === null ? '' : texts.known)
  buttons()
})

toggle.addEventListener('click', () => {
  waitMs = 0
  if (running) pause()
  else void run()
})

cancel.addEventListener('click', async () => {
  pause()
  const url = address
  remember(null)
  buttons()
  say(texts.cancelled)
  await send('DELETE', url, {}, null).catch(() => {
    // It expires at the hub by itself.
  })
})

addEventListener('beforeunload', (event) => {
  if (running) event.preventDefault()
})

buttons()
