// Model: turns the events of a part of an agent's log into items for people to read. It joins deltas into messages, lines
// of output into blocks, and the start, output and end of a tool call into one card; what a sub-agent does is within the
// item of that sub-agent. It has no DOM and no connection.
//
// An item is a plain object {key, kind, seq, last, version, time, run, …}: `key` stays the same for the same thing
// however much of the log was read, `seq` and `last` are its first and last event, and `version` grows with each change.
// `items` is in the order of the log.

import { editsOf } from '../parts/input.js';

const kMaxText = 512 << 10; // most characters of one item; its beginning is cut
const kBlockLines = 200; // most lines of output in one item

export class Model {
  items = [];
  last; // the newest event
  #named = new Map();
  #edits = new Map(); // run and path → the card of the newest call that edits it

  add(event) {
    const take = kTakers[event.type] ?? kTakers[event.type.replace(/[^.]*$/, '*')] ?? other;
    this.last = event;
    try {
      take(this, event, event.data ?? {});
    } catch {
      other(this, event, event.data ?? {}); // one bad event must not end the log
    }
  }

  addGap(gap) {
    this.push({ kind: 'gap', key: `gap ${gap.from} ${gap.to}`, seq: 0, last: 0, version: 0, ...gap });
  }

  // --- for the functions below

  push(item) {
    this.items.push(item);
    return item;
  }

  // A new item at the end, in the list of the sub-agent that the event belongs to.
  begin(event, kind, members, key = `${kind} ${event.seq}`) {
    const { seq, time, run, data } = event;
    const item = { key, kind, seq: seq - ((event.joined ?? 1) - 1), last: seq, version: 0, time, run, ...members };
    const list = data?.session && kind !== 'subagent' ? this.subagent(event, data.session).children : this.items;
    list.push(item);
    return item;
  }

  // The item of that name, made by begin() if there is none.
  named(event, kind, name, members, key = `${kind} ${name}`) {
    let item = this.find(kind, name);
    if (!item) this.#named.set(`${kind} ${name}`, (item = this.begin(event, kind, members(), key)));
    return this.touch(item, event);
  }

  // The next event of that name begins another item.
  forget(kind, name) {
    this.#named.delete(`${kind} ${name}`);
  }

  touch(item, event) {
    item.last = event.seq;
    ++item.version;
    const parent = this.#named.get(`subagent ${event.data?.session}`);
    if (parent && parent !== item) {
      parent.last = event.seq;
      ++parent.version;
    }
    return item;
  }

  subagent(event, session) {
    return this.named(event, 'subagent', session, () => ({ session, children: [], done: false }));
  }

  drop(kind, name) {
    const item = this.find(kind, name);
    if (!item) return;
    this.forget(kind, name);
    const at = this.items.lastIndexOf(item);
    if (at >= 0) this.items.splice(at, 1); // otherwise it is in the item of a sub-agent
  }

  find(kind, name) {
    return this.#named.get(`${kind} ${name}`);
  }

  namedItems() {
    return this.#named.values();
  }

  rememberEdit(event, item) {
    for (const { path } of editsOf(item.tool, item.input)) this.#edits.set(`${event.run} ${path}`, item);
  }

  editOf(event, path) {
    return this.#edits.get(`${event.run} ${path}`);
  }
}

// The text of a value that should be a text.
export function asText(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function clip(text) {
  return text.length > 2 * kMaxText ? `…${text.slice(-kMaxText)}` : text;
}

// The item of a message. Without an id it is the one that is not finished, or a new one.
function speech(kind) {
  return (model, event, data) => {
    const fresh = () => ({ text: '', done: false });
    if (data.message_id !== undefined) return model.named(event, kind, data.message_id, fresh);
    const open = `${event.run ?? ''} ${data.session ?? ''}`;
    if (model.find(kind, open)?.done) model.forget(kind, open);
    return model.named(event, kind, open, fresh, `${kind} of ${event.seq}`);
  };
}

function delta(kind) {
  const of = speech(kind);
  return (model, event, data) => {
    const item = of(model, event, data);
    if (!item.done) item.text = clip(item.text + asText(data.text));
  };
}

function whole(kind) {
  const of = speech(kind);
  return (model, event, data) => {
    const item = of(model, event, data);
    item.text = clip(asText(data.text));
    item.done = true;
    item.until = event.time;
  };
}

// Agents count their calls anew in each run.
const callOf = (run, call) => `${run ?? ''} ${call}`;

function tool(change) {
  return (model, event, data) => {
    const fresh = () => ({ tool: '', input: undefined, output: '', outcome: 'running' });
    const item = model.named(event, 'tool', callOf(event.run, data.call_id), fresh);
    if (data.name) item.tool = data.name;
    if (data.input !== undefined) item.input = data.input;
    if (data.duration_ms !== undefined) item.durationMs = data.duration_ms;
    if (data.exit_code !== undefined) item.exitCode = data.exit_code;
    change(item, data, event);
    if (data.input !== undefined) model.rememberEdit(event, item);
  };
}

function finished(outcome) {
  return (item, data, event) => {
    item.outcome = data.exit_code ? 'failed' : outcome;
    if (data.output !== undefined) item.output = clip(asText(data.output));
    if (data.error !== undefined) item.error = data.error?.message ?? asText(data.error);
    item.durationMs ??= Date.parse(event.time) - Date.parse(item.time) || undefined;
  };
}

function output(model, event, data) {
  let text = data.json === undefined ? asText(data.text) : JSON.stringify(data.json);
  if (data.encoding === 'base64') text = `(not UTF-8, base64) ${text}`;
  let item = model.items.at(-1);
  const open = item?.kind === 'output' ? item.lines.at(-1) : undefined;
  if (open?.partial && open.stream === data.stream) {
    open.text = clip(open.text + text);
    open.partial = data.partial === true;
    return void model.touch(item, event);
  }
  const line = { seq: event.seq, stream: data.stream, text: clip(text), partial: data.partial === true };
  // Blocks begin at round numbers, so that they are the same wherever reading began.
  const block = Math.floor(event.seq / kBlockLines);
  if (item?.kind !== 'output' || item.block !== block) item = model.begin(event, 'output', { lines: [], block });
  item.lines.push(line);
  model.touch(item, event);
}

function edited(model, event, data) {
  const { path, diff, additions, deletions } = data;
  const edit = { path: asText(path), diff: asText(diff), additions, deletions };
  const card = model.editOf(event, edit.path);
  if (card) {
    card.edits = [...(card.edits ?? []).filter((one) => one.path !== edit.path), edit];
    return void model.touch(card, event);
  }
  model.begin(event, 'edit', { edit });
}

function request(kind) {
  return (model, event, data) => {
    const item = model.named(event, kind, data.id, () => ({ state: 'pending' }));
    const { id, tool: name, input, message, schema, options, deadline, call_id: call } = data;
    Object.assign(item, { id, tool: name, input, message, schema, options, deadline, call });
  };
}

function resolution(kind) {
  return (model, event, data) => {
    const item = model.named(event, kind, data.id, () => ({ id: data.id }));
    const { decision, action, by, reason } = data;
    Object.assign(item, { state: 'resolved', decision: decision ?? action, by, reason });
    if (kind !== 'approval' || !item.call) return;
    const card = model.find('tool', callOf(item.run, item.call));
    if (card) model.touch(Object.assign(card, { decision: item.decision, by }), event);
  };
}

function plan(model, event, data) {
  const before = model.items.at(-1);
  if (before?.kind === 'plan') return void Object.assign(model.touch(before, event), { entries: data.entries });
  model.begin(event, 'plan', { entries: data.entries });
}

function runEnded(model, event, data) {
  for (const item of model.namedItems()) {
    if (item.run !== event.run) continue;
    if (item.done === false && item.kind !== 'subagent') item.done = true;
    else if (item.outcome === 'running') item.outcome = 'unfinished';
    else continue;
    model.touch(item, event);
  }
  model.begin(event, 'run', { word: event.type.slice(4), data });
}

function plain(kind) {
  return (model, event, data) => model.begin(event, kind, { type: event.type, data });
}

const other = plain('other');
const silent = () => {};

const kTakers = {
  __proto__: null,
  'user.message': (model, event, data) => {
    model.drop('note', data.message_id); // it waits no longer
    model.begin(event, 'user', { text: clip(asText(data.text)), by: data.by, steer: data.steer });
  },
  'assistant.delta': delta('assistant'),
  'assistant.message': whole('assistant'),
  'reasoning.delta': delta('reasoning'),
  'reasoning.message': whole('reasoning'),
  'tool.started': tool(silent),
  'tool.output': tool((item, data) => {
    if (item.outcome === 'running') item.output = clip(item.output + asText(data.output));
  }),
  'tool.completed': tool(finished('completed')),
  'tool.failed': tool(finished('failed')),
  'file.edited': edited,
  'plan.updated': plan,
  'agent.output': output,
  'agent.error': plain('error'),
  'agent.*': plain('agent'),
  'process.killed': plain('agent'),
  'workspace.*': plain('note'),
  'run.started': (model, event, data) => model.begin(event, 'run', { word: 'started', data }),
  'run.completed': runEnded,
  'run.failed': runEnded,
  'run.cancelled': runEnded,
  'approval.requested': request('approval'),
  'approval.resolved': resolution('approval'),
  'elicitation.requested': request('question'),
  'elicitation.resolved': resolution('question'),
  'subagent.started': (model, event, data) => {
    model.subagent(event, data.session).title = data.title;
  },
  'subagent.completed': (model, event, data) => {
    const item = model.subagent(event, data.session);
    item.title = data.title ?? item.title;
    item.done = true;
  },
  'title.updated': plain('note'),
  'message.queued': (model, event, data) => {
    Object.assign(model.named(event, 'note', data.message_id, () => ({ type: event.type })), { data });
  },
  'message.cancelled': plain('note'),
  'message.done': (model, event, data) => {
    if (data.reason) plain('note')(model, event, data); // it failed without a run
  },
  // The events of the run report the same.
  'message.started': silent,
  'usage.updated': silent,
};

// The types of events that say how the agent was, for stateOf().
export const kStateTypes = [
  'agent.starting', 'agent.ready', 'agent.stopping', 'agent.restarting', 'agent.exited', 'agent.failed', 'agent.stalled',
  'agent.resumed', 'run.*', 'approval.*', 'elicitation.*', 'plan.updated', 'usage.updated',
];

// How the agent was after these events of its log: {state, run, runStartedAt, waiting, plan, usage}. Members that the
// events do not tell are absent.
export function stateOf(events) {
  const now = { waiting: new Set() };
  for (const { type, run, time, data } of events) {
    if (type === 'agent.ready') now.state = now.run ? 'running' : 'idle';
    else if (type === 'agent.resumed') now.state = 'running';
    else if (type === 'agent.restarting') now.state = 'backoff';
    else if (type.startsWith('agent.')) now.state = type.slice('agent.'.length);
    else if (type === 'run.started') Object.assign(now, { state: 'running', run, runStartedAt: time, usage: undefined });
    else if (type.startsWith('run.')) Object.assign(now, { state: 'idle', run: undefined, lastRun: type.slice(4) });
    else if (type.endsWith('.requested')) now.waiting.add(data.id);
    else if (type.endsWith('.resolved')) now.waiting.delete(data.id);
    else if (type === 'plan.updated') now.plan = data.entries;
    else if (type === 'usage.updated') now.usage = data;
  }
  if (now.waiting.size > 0) now.state = 'needs_input';
  return now;
}
