#!/usr/bin/env node
// A model server for tests and for the quickstart's demo: answers as coding agents expect of OpenAI's and Anthropic's
// interfaces, but deterministically, and does what the prompt says. Needs nothing but Node; listens on 127.0.0.1 only.
//
//   node mock-llm.mjs [--port N] [--delay MS] [--words N] [--log FILE]
//
//   --port   0 (the default): one of the system's choice
//   --delay  between the words of an answer, 5 ms; --words of a final answer, 12
//   --log    appends a JSON line per request
//
// Prints one line on stdout when it listens:  {"ready":true,"port":40123,"pid":123}
//
//   GET  /health                       {"ok":true,"requests":n}
//   GET  /requests                     summaries of the last 200 requests
//   GET  /v1/models
//   POST /v1/chat/completions          OpenAI chat (streamed and not)
//   POST /v1/responses                 OpenAI responses (streamed and not)
//   POST /v1/messages                  Anthropic messages (streamed and not)
//   POST /v1/messages/count_tokens
//
// Directives, read from the last user message only. Agents wrap it in context blocks (<system-reminder> and the
// like), which are stripped, and merge messages, so the last text block counts.
//   TOOL            first a call of the agent's own shell tool, `echo hi`; after its result, a final text
//   TOOL[cmd]       the same with this command
//   TOOL*N[cmd]     N calls, one per step of the model, before the final text
//   CALL[name {…}]  the same with any tool of the agent's, by its name, with these arguments (JSON); of a tool that
//                   takes plain text, {"input": "…"}
//   SAY             a few words before each call of a tool
//   REMEMBER=WORD   nothing, now; RECALL: the final text begins with all words to remember, of the system prompt too
//   THINK=N         N words of reasoning before the final text
//   LONG=N          the final text has N words
//   DELAY=MS        between the words of this answer
//   FAIL=CODE       HTTP error CODE (400, 401, 429, 500, 529 …); FAIL=CODE*N: only to the first N requests
//   HANG            take the request, never answer
//   CUT             half of the answer, then the connection breaks; CUT*N: only of the first N answers
// A request without tools (for a title and so on) always gets plain text.
import http from "node:http"
import fs from "node:fs"

const arg = (name, otherwise) => {
  const at = process.argv.indexOf("--" + name)
  return at > 0 ? process.argv[at + 1] : otherwise
}
const PORT = +arg("port", 0)
const DELAY = +arg("delay", 5)
const WORDS = +arg("words", 12)
const LOG = arg("log")
const CHARACTERS_PER_TOKEN = 4 // for the usage numbers

let seq = 0
const recent = []
const sleep = (ms) => new Promise((r) => setTimeout(r, ms))
const id = (p) => p + "_mock" + String(++seq).padStart(6, "0")

const strip = (s) => s.replace(/<(system-reminder|environment_context|environment_details|user_instructions|permissions[^>]*)>[\s\S]*?<\/\1>/g, "")
// last non-empty text block: clients merge consecutive user messages and prepend context blocks
const textOf = (c) => typeof c === "string" ? strip(c)
  : Array.isArray(c) ? c.filter((p) => ["text", "input_text", "output_text"].includes(p.type)).map((p) => strip(p.text ?? "")).filter((t) => t.trim()).pop() ?? "" : ""

// -> { prompt, results } : text of the last true user message, tool results after it
function readChat(b) {
  let prompt = "", results = 0
  for (const m of b.messages ?? []) {
    if (m.role === "user") {
      // Anthropic: results and a following prompt can share one message
      if (Array.isArray(m.content)) results += m.content.filter((p) => p.type === "tool_result").length
      const t = textOf(m.content)
      if (t.trim()) { prompt = t; results = 0 }
    } else if (m.role === "tool") results++
  }
  return { prompt, results }
}
function readResponses(b) {
  let prompt = "", results = 0
  const input = typeof b.input === "string" ? [{ role: "user", content: b.input }] : b.input ?? []
  for (const it of input) {
    if (it.role === "user") { const t = textOf(it.content); if (t.trim()) { prompt = t; results = 0 } }
    else if (/_output$/.test(it.type ?? "")) results++
  }
  return { prompt, results }
}
const SHELL = ["bash", "Bash", "shell", "exec_command", "shell_command", "local_shell", "run_command", "execute", "terminal"]
function pickTool(tools) { // [{name, schema}]
  for (const n of SHELL) { const t = tools.find((t) => t.name === n); if (t) return t }
  return null
}
function toolArgs(tool, cmd) {
  const p = tool.schema?.properties ?? {}, out = {}
  const key = ["command", "cmd", "script"].find((k) => p[k]) ?? "command"
  out[key] = p[key]?.type === "array" ? ["bash", "-lc", cmd] : cmd
  for (const r of tool.schema?.required ?? []) if (!(r in out)) {
    const t = p[r]?.type
    out[r] = t === "number" || t === "integer" ? 10000 : t === "boolean" ? false : t === "array" ? [] : t === "object" ? {} : "mock " + r
  }
  return out
}
// Whether trouble that the prompt wants only for the first few requests is still due.
const troubles = new Map()
function due(prompt, times) {
  if (times === undefined) return true
  const before = troubles.get(prompt) ?? 0
  if (before >= +times) return false
  if (troubles.size > 1000) troubles.clear()
  troubles.set(prompt, before + 1)
  return true
}
function plan(kind, b) {
  const { prompt, results } = kind === "responses" ? readResponses(b) : readChat(b)
  const tools = kind === "chat" ? (b.tools ?? []).map((t) => ({ name: t.function?.name, schema: t.function?.parameters }))
    : kind === "messages" ? (b.tools ?? []).map((t) => ({ name: t.name, schema: t.input_schema }))
    : (b.tools ?? []).flatMap((t) => t.type === "namespace" ? t.tools.map((one) => ({ ...one, namespace: t.name })) : [t]).map((t) => t.type === "local_shell" ? { name: "local_shell", schema: {} } : { name: t.name, schema: t.parameters, custom: t.type === "custom", namespace: t.namespace })
  const m = /\bTOOL(?:\*(\d+))?(?:\[([^\]]*)\])?/.exec(prompt)
  const named = /\bCALL\[(\w+) (\{.*\})\]/.exec(prompt)
  const tool = named ? tools.find((t) => t.name === named[1]) : m && pickTool(tools)
  const calls = named ? 1 : m ? +(m[1] ?? 1) : 0
  const n = +(/\bLONG=(\d+)/.exec(prompt)?.[1] ?? WORDS)
  const words = []
  const head = results ? `Tool results seen: ${results}.` : "Mock answer."
  if (/\bRECALL\b/.test(prompt)) {
    const all = JSON.stringify([b.system, b.instructions, b.messages ?? b.input]).matchAll(/REMEMBER=(\w+)/g)
    words.push("Remembered:", ...new Set([...all].map((found) => found[1])))
  }
  words.push(...head.split(" "))
  for (let i = words.length; i < n; i++) words.push("word" + i)
  const call = tool && results < calls ? { name: tool.name, custom: tool.custom, namespace: tool.namespace, args: named ? JSON.parse(named[2]) : toolArgs(tool, m[2] ?? "echo hi") } : null
  const fail = /\bFAIL=(\d+)(?:\*(\d+))?/.exec(prompt), cut = /\bCUT\b(?:\*(\d+))?/.exec(prompt)
  return {
    prompt, results, toolNames: tools.map((t) => t.name),
    call, preface: call && /\bSAY\b/.test(prompt) ? ["Let", " me", " see."] : [],
    pieces: words.map((w, i) => (i ? " " : "") + w), text: words.join(" "),
    thoughts: Array.from({ length: +(/\bTHINK=(\d+)/.exec(prompt)?.[1] ?? 0) }, (_, i) => (i ? " " : "") + "thought" + i),
    delay: +(/\bDELAY=(\d+)/.exec(prompt)?.[1] ?? DELAY),
    fail: fail && (tools.length || kind !== "chat") && due(prompt, fail[2]) ? +fail[1] : 0,
    hang: /\bHANG\b/.test(prompt) && tools.length > 0, cut: cut !== null && tools.length > 0 && due(prompt, cut[1]),
  }
}

function sse(res) {
  res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache", connection: "keep-alive" })
  res.flushHeaders?.()
  return (event, data) => { if (res.destroyed) return; res.write((event ? `event: ${event}\n` : "") + `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`) }
}
async function pour(res, p, each, pieces = p.pieces) { // stream pieces with delay; false when the peer left or the plan says CUT
  for (let i = 0; i < pieces.length; i++) {
    if (res.destroyed) return false
    if (p.cut && i >= pieces.length / 2) { res.destroy(); return false }
    if (p.delay) await sleep(p.delay)
    each(pieces[i])
  }
  return true
}

async function chat(b, p, res, usage) {
  const base = { id: id("chatcmpl"), created: Math.floor(Date.now() / 1000), model: b.model }
  const u = { prompt_tokens: usage.in, completion_tokens: usage.out, total_tokens: usage.in + usage.out }
  const tc = p.call && [{ index: 0, id: id("call"), type: "function", function: { name: p.call.name, arguments: JSON.stringify(p.call.args) } }]
  if (!b.stream) {
    const message = p.call ? { role: "assistant", content: null, tool_calls: tc.map(({ index, ...t }) => t) } : { role: "assistant", content: p.text }
    return json(res, 200, { ...base, object: "chat.completion", choices: [{ index: 0, message, finish_reason: p.call ? "tool_calls" : "stop" }], usage: u })
  }
  const w = sse(res), chunk = (delta, finish = null) => w(null, { ...base, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }] })
  chunk({ role: "assistant", content: "" })
  if (p.call) {
    if (!await pour(res, p, (t) => chunk({ content: t }), p.preface)) return
    if (p.delay) await sleep(p.delay)
    chunk({ tool_calls: tc })
    chunk({}, "tool_calls")
  } else {
    for (const t of p.thoughts) chunk({ reasoning_content: t })
    if (!await pour(res, p, (t) => chunk({ content: t }))) return
    chunk({}, "stop")
  }
  w(null, { ...base, object: "chat.completion.chunk", choices: [], usage: u }) // stream_options.include_usage
  w(null, "[DONE]"); res.end()
}

async function responses(b, p, res, usage) {
  const rid = id("resp"), u = { input_tokens: usage.in, input_tokens_details: { cached_tokens: 0 }, output_tokens: usage.out, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: usage.in + usage.out }
  const isLocal = p.call?.name === "local_shell"
  const item = p.call
    ? isLocal ? { type: "local_shell_call", id: id("lsc"), call_id: id("call"), status: "completed", action: { type: "exec", command: ["bash", "-lc", p.call.args.command] } }
      : p.call.custom ? { type: "custom_tool_call", id: id("ctc"), call_id: id("call"), name: p.call.name, input: p.call.args.input, status: "completed" }
      : { type: "function_call", id: id("fc"), call_id: id("call"), name: p.call.name, namespace: p.call.namespace, arguments: JSON.stringify(p.call.args), status: "completed" }
    : { type: "message", id: id("msg"), role: "assistant", status: "completed", content: [{ type: "output_text", text: p.text, annotations: [] }] }
  const resp = (status, output) => ({ id: rid, object: "response", created_at: Math.floor(Date.now() / 1000), status, model: b.model, output, usage: status === "completed" ? u : null })
  if (!b.stream) return json(res, 200, resp("completed", [item]))
  let n = 0
  const w0 = sse(res), w = (type, d) => w0(type, { type, sequence_number: n++, ...d })
  const think = (thoughts) => {
    const item = { type: "reasoning", id: id("rs"), summary: [{ type: "summary_text", text: thoughts.join("") }] }
    w("response.output_item.added", { output_index: 0, item: { ...item, summary: [] } })
    w("response.reasoning_summary_part.added", { item_id: item.id, output_index: 0, summary_index: 0, part: { type: "summary_text", text: "" } })
    for (const t of thoughts) w("response.reasoning_summary_text.delta", { item_id: item.id, output_index: 0, summary_index: 0, delta: t })
    w("response.reasoning_summary_text.done", { item_id: item.id, output_index: 0, summary_index: 0, text: thoughts.join("") })
    w("response.output_item.done", { output_index: 0, item })
  }
  const message = async (item, pieces) => {
    const text = pieces.join("")
    w("response.output_item.added", { output_index: 0, item: { ...item, status: "in_progress", content: [] } })
    w("response.content_part.added", { item_id: item.id, output_index: 0, content_index: 0, part: { type: "output_text", text: "", annotations: [] } })
    if (!await pour(res, p, (t) => w("response.output_text.delta", { item_id: item.id, output_index: 0, content_index: 0, delta: t }), pieces)) return false
    w("response.output_text.done", { item_id: item.id, output_index: 0, content_index: 0, text })
    w("response.content_part.done", { item_id: item.id, output_index: 0, content_index: 0, part: item.content[0] })
    return true
  }
  w("response.created", { response: resp("in_progress", []) })
  if (p.call) {
    if (p.preface.length) {
      const before = { type: "message", id: id("msg"), role: "assistant", status: "completed", content: [{ type: "output_text", text: p.preface.join(""), annotations: [] }] }
      if (!await message(before, p.preface)) return
      w("response.output_item.done", { output_index: 0, item: before })
    }
    if (p.delay) await sleep(p.delay)
    w("response.output_item.added", { output_index: 0, item: { ...item, status: "in_progress", ...(isLocal ? {} : p.call.custom ? { input: "" } : { arguments: "" }) } })
    if (p.call.custom) w("response.custom_tool_call_input.delta", { item_id: item.id, output_index: 0, delta: item.input })
    else if (!isLocal) { w("response.function_call_arguments.delta", { item_id: item.id, output_index: 0, delta: item.arguments }); w("response.function_call_arguments.done", { item_id: item.id, output_index: 0, arguments: item.arguments }) }
  } else {
    if (p.thoughts.length) think(p.thoughts)
    if (!await message(item, p.pieces)) return
  }
  w("response.output_item.done", { output_index: 0, item })
  w("response.completed", { response: resp("completed", [item]) })
  res.end()
}

async function messages(b, p, res, usage) {
  const mid = id("msg"), stop = p.call ? "tool_use" : "end_turn"
  const block = p.call ? { type: "tool_use", id: id("toolu"), name: p.call.name, input: p.call.args } : { type: "text", text: p.text }
  const msg = { id: mid, type: "message", role: "assistant", model: b.model, stop_sequence: null }
  if (!b.stream) return json(res, 200, { ...msg, content: [block], stop_reason: stop, usage: { input_tokens: usage.in, output_tokens: usage.out } })
  const w0 = sse(res), w = (type, d) => w0(type, { type, ...d })
  w("message_start", { message: { ...msg, content: [], stop_reason: null, usage: { input_tokens: usage.in, output_tokens: 1, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 } } })
  const index = p.call ? (p.preface.length ? 1 : 0) : p.thoughts.length ? 1 : 0
  if (p.call) {
    if (index) {
      w("content_block_start", { index: 0, content_block: { type: "text", text: "" } })
      if (!await pour(res, p, (t) => w("content_block_delta", { index: 0, delta: { type: "text_delta", text: t } }), p.preface)) return
      w("content_block_stop", { index: 0 })
    }
    if (p.delay) await sleep(p.delay)
    w("content_block_start", { index, content_block: { ...block, input: {} } })
    w("content_block_delta", { index, delta: { type: "input_json_delta", partial_json: JSON.stringify(block.input) } })
  } else {
    if (index) {
      w("content_block_start", { index: 0, content_block: { type: "thinking", thinking: "", signature: "" } })
      for (const t of p.thoughts) w("content_block_delta", { index: 0, delta: { type: "thinking_delta", thinking: t } })
      w("content_block_delta", { index: 0, delta: { type: "signature_delta", signature: "bW9jaw==" } })
      w("content_block_stop", { index: 0 })
    }
    w("content_block_start", { index, content_block: { type: "text", text: "" } })
    if (!await pour(res, p, (t) => w("content_block_delta", { index, delta: { type: "text_delta", text: t } }))) return
  }
  w("content_block_stop", { index })
  w("message_delta", { delta: { stop_reason: stop, stop_sequence: null }, usage: { output_tokens: usage.out } })
  w("message_stop", {})
  res.end()
}

const json = (res, code, o) => { const s = JSON.stringify(o); res.writeHead(code, { "content-type": "application/json", "content-length": Buffer.byteLength(s) }); res.end(s) }

const server = http.createServer((req, res) => {
  const path = req.url.split("?")[0].replace(/\/+/g, "/").replace(/^\/v1\/v1\//, "/v1/")
  let body = ""
  req.setEncoding("utf8")
  req.on("data", (c) => body += c)
  req.on("end", async () => {
    try {
      if (req.method === "HEAD") { res.writeHead(200); return res.end() }
      if (req.method === "GET") {
        if (path === "/health") return json(res, 200, { ok: true, requests: seq })
        if (path === "/requests") return json(res, 200, recent)
        if (path.endsWith("/models")) return json(res, 200, { object: "list", data: [{ id: "mock-1", object: "model", owned_by: "mock", type: "model", display_name: "mock-1", created_at: "2026-01-01T00:00:00Z" }] })
        return json(res, 404, { error: { message: "no such path " + path } })
      }
      const b = body ? JSON.parse(body) : {}
      if (path.endsWith("/messages/count_tokens")) return json(res, 200, { input_tokens: Math.ceil(body.length / CHARACTERS_PER_TOKEN) })
      const kind = path.endsWith("/chat/completions") ? "chat" : path.endsWith("/responses") ? "responses" : path.endsWith("/messages") ? "messages" : null
      if (!kind) { note({ path, unknown: true }); return json(res, 404, { error: { message: "no such path " + path } }) }
      const p = plan(kind, b)
      note({ path, kind, model: b.model, stream: !!b.stream, bytes: body.length, tools: p.toolNames.length, prompt: p.prompt.slice(-160), results: p.results, call: p.call, fail: p.fail || undefined })
      if (p.hang) return
      if (p.fail) return json(res, p.fail, kind === "messages" ? { type: "error", error: { type: p.fail === 429 ? "rate_limit_error" : p.fail === 401 ? "authentication_error" : p.fail === 529 ? "overloaded_error" : "api_error", message: "mock failure " + p.fail } } : { error: { message: "mock failure " + p.fail, type: "mock_error", code: String(p.fail) } })
      const usage = { in: Math.ceil(body.length / CHARACTERS_PER_TOKEN), out: p.call ? 20 : p.pieces.length }
      await ({ chat, responses, messages })[kind](b, p, res, usage)
    } catch (e) { if (!res.headersSent) json(res, 500, { error: { message: String(e) } }); else res.destroy(); console.error(e) }
  })
})
function note(o) {
  o = { t: Date.now(), ...o }
  recent.push(o)
  if (recent.length > 200) recent.shift()
  if (LOG) fs.appendFileSync(LOG, JSON.stringify(o) + "\n")
}
server.keepAliveTimeout = 60000
server.listen(PORT, "127.0.0.1", () => console.log(JSON.stringify({ ready: true, port: server.address().port, pid: process.pid })))
for (const s of ["SIGTERM", "SIGINT"]) process.on(s, () => process.exit(0))
