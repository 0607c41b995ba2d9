// Transcript: turns an agent's events into items for people to read: it joins deltas into messages, lines of
// output into blocks, and the start, output and end of a tool call into one card. It has no DOM; <agent-stream>
// draws it.
//
// It keeps the last `maxItems` items and counts the dropped ones. An item is a plain object {kind, agent, run,
// time, …}. `changed` collects the items that were made or altered since the reader last cleared it.

const kMaxText = 256 << 10; // most characters of one item; nobody reads more, so its beginning is cut
const kMaxLine = 16 << 10; // most characters of one line of output
const kMaxBlockLines = 200; // most lines of output in one item, so that old lines can be dropped

export class Transcript {
  items = new Set(); // in order
  changed = new Set();
  dropped = 0;
  #maxItems;
  #weight = 0; // sum over all items; a block of output counts its lines
  #named = new Map(); // items that later events may alter, by name
  #last;

  constructor(maxItems = 5000) {
    this.#maxItems = maxItems;
  }

  // An event that its taker cannot read is shown as it is: one bad event must not end the stream.
  add(event) {
    const type = String(event.type);
    const data = event.data ?? {};
    const take = kTakers[type] ?? kTakers[type.replace(/[^.]*$/, '*')] ?? other;
    try {
      take(this, event, data);
    } catch {
      other(this, { ...event, type }, data);
    }
    this.#trim();
  }

  addGap(gap) {
    this.push({ kind: 'gap', agent: gap.agent, from: gap.from, to: gap.to, reason: gap.reason });
    this.#trim();
  }

  // These functions are for the handlers of events below.

  push(item, name) {
    this.items.add(item);
    this.#last = item;
    this.#weight += 1;
    this.changed.add(item);
    if (name !== undefined) {
      item.name = name;
      this.#named.set(name, item);
    }
    return item;
  }

  // The item of this name. Made from `fresh` if there is none.
  named(name, fresh) {
    const item = this.#named.get(name) ?? this.push(fresh, name);
    this.changed.add(item);
    return item;
  }

  // `line`: {stream, text, open}. It continues the line before it if that is open and of the same stream.
  addLine(event, line) {
    const fits = this.#last?.kind === 'output' && this.#last.agent === event.agent;
    const before = fits ? this.#last.lines.at(-1) : undefined;
    if (before?.open && before.stream === line.stream) {
      const whole = clipLine(before.open.text + line.text, before.open.more);
      Object.assign(before, { text: whole.shown, open: line.open && whole });
      this.changed.add(this.#last);
      return;
    }
    if (before) delete before.open;
    const { stream, text, open } = line;
    const whole = clipLine(text);
    const fresh = { stream, text: whole.shown, ...(open && { open: whole }) };
    if (!fits || this.#last.lines.length === kMaxBlockLines) {
      this.push({ ...origin(event), kind: 'output', lines: [] });
      this.#weight -= 1;
    }
    this.#last.lines.push(fresh);
    this.#weight += 1;
    this.changed.add(this.#last);
  }

  #trim() {
    for (const item of this.items) {
      if (this.#weight <= this.#maxItems || item === this.#last) return;
      const weight = item.lines?.length ?? 1;
      this.items.delete(item);
      this.changed.delete(item);
      if (this.#named.get(item.name) === item) this.#named.delete(item.name);
      this.#weight -= weight;
      this.dropped += weight;
    }
  }
}

function origin({ agent, run, time }) {
  return { agent, run, time };
}

function clip(text) {
  return text.length > 2 * kMaxText ? `…${text.slice(-kMaxText)}` : text;
}

export function asText(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function append(item, field, text) {
  item[field] = clip(item[field] + asText(text));
}

// --- one function for each type of event: (transcript, event, its data)

function delta(kind) {
  return (transcript, event, data) => {
    append(transcript.named(messageName(kind, event), message(kind, event)), 'text', data.text);
  };
}

function whole(kind) {
  return (transcript, event, data) => {
    const item = transcript.named(messageName(kind, event), message(kind, event));
    item.text = clip(asText(data.text));
    item.done = true;
  };
}

function message(kind, event) {
  return { ...origin(event), kind, text: '', done: false };
}

function messageName(kind, { agent, run, data }) {
  return `${kind} ${agent} ${data.message_id ?? run ?? ''}`;
}

function tool(change) {
  return (transcript, event, data) => {
    const item = transcript.named(`tool ${event.agent} ${data.call_id}`, {
      ...origin(event),
      kind: 'tool',
      tool: '',
      input: undefined,
      output: '',
      outcome: 'running',
    });
    if (data.name) item.tool = data.name;
    if (data.input !== undefined) item.input = data.input;
    if (data.duration_ms !== undefined) item.durationMs = data.duration_ms;
    change(item, data);
  };
}

function finished(outcome) {
  return (item, data) => {
    item.outcome = outcome;
    if (data.output !== undefined) item.output = clip(asText(data.output));
    if (data.error !== undefined) item.error = data.error?.message ?? asText(data.error);
  };
}

function output(transcript, event, data) {
  let text = data.json === undefined ? asText(data.text) : JSON.stringify(data.json);
  if (data.encoding === 'base64') text = `(not UTF-8, base64) ${text}`;
  transcript.addLine(event, { stream: data.stream, text, open: data.partial === true });
}

// The beginning of a line as a terminal shows it; `more`: characters that were cut off before.
function clipLine(line, more = 0) {
  const whole = overwritten(line);
  const text = whole.slice(0, kMaxLine);
  const cut = more + whole.length - text.length;
  return { text, more: cut, shown: cut ? `${text}… (${cut} more characters)` : text };
}

// The last state of a line that overwrites itself (a progress bar), as a terminal shows it.
function overwritten(text) {
  const end = text.replace(/\r+$/, '');
  return end.slice(end.lastIndexOf('\r') + 1) + text.slice(end.length);
}

function request(kind) {
  return (transcript, event, data) => {
    const item = transcript.named(`${kind} ${event.agent} ${data.id}`, { ...origin(event), kind, state: 'pending' });
    const { id, tool: name, input, message: question, schema, options, deadline } = data;
    Object.assign(item, { id, tool: name, input, message: question, schema, options, deadline });
  };
}

function resolution(kind) {
  return (transcript, event, data) => {
    const item = transcript.named(`${kind} ${event.agent} ${data.id}`, { ...origin(event), kind, id: data.id });
    const { decision, action, by, reason } = data;
    Object.assign(item, { state: 'resolved', decision: decision ?? action, by, reason });
  };
}

function latest(kind) {
  return (transcript, event, data) => {
    const item = transcript.named(`${kind} ${event.agent} ${event.run ?? ''}`, { ...origin(event), kind });
    item.data = data;
  };
}

// An item that shows only its type and data.
function plain(kind) {
  return (transcript, event, data) => {
    transcript.push({ ...origin(event), kind, type: event.type, data });
  };
}

// Items that the run leaves open will not be completed any more.
function runEnded(transcript, event, data) {
  for (const item of transcript.items) {
    if (item.agent !== event.agent || item.run !== event.run) continue;
    if (item.done === false) item.done = true;
    else if (item.outcome === 'running') item.outcome = 'unfinished';
    else continue;
    transcript.changed.add(item);
  }
  plain('run')(transcript, event, data);
}

const other = plain('other');
const silent = () => {};

const kTakers = {
  __proto__: null,
  'user.message': (transcript, event, data) => {
    transcript.push({ ...origin(event), kind: 'user', text: clip(asText(data.text)) });
  },
  'assistant.delta': delta('assistant'),
  'assistant.message': whole('assistant'),
  'reasoning.delta': delta('reasoning'),
  'reasoning.message': whole('reasoning'),
  'tool.started': tool(() => {}),
  'tool.output': tool((item, data) => append(item, 'output', data.output)),
  'tool.completed': tool(finished('completed')),
  'tool.failed': tool(finished('failed')),
  'agent.output': output,
  'agent.error': plain('error'),
  'agent.*': plain('agent'),
  'run.started': plain('run'),
  'run.completed': runEnded,
  'run.failed': runEnded,
  'run.cancelled': runEnded,
  'approval.requested': request('approval'),
  'approval.resolved': resolution('approval'),
  'elicitation.requested': request('elicitation'),
  'elicitation.resolved': resolution('elicitation'),
  'plan.updated': latest('plan'),
  'usage.updated': latest('usage'),
  'title.updated': plain('note'),
  'file.edited': plain('note'),
  'subagent.*': plain('note'),
  'message.queued': plain('note'),
  'message.cancelled': plain('note'),
  // The events of the run report the same.
  'message.started': silent,
  'message.done': (transcript, event, data) => {
    if (data.reason) plain('note')(transcript, event, data); // it failed without a run
  },
};
