// Draws each kind of item of a Transcript for <agent-stream>: kViews[kind] is (item, element) => {node,
// update}. `update`, if there is one, brings the node up to date with the item. All text goes into text nodes:
// text from an agent is never parsed as HTML.

import { asText } from './transcript.js';
import {
  clockTime,
  compact,
  describeAgent,
  describeNote,
  describeUsage,
  formatDuration,
  inputText,
  join,
  kDecisions,
  principal,
} from './words.js';

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Text that usually grows at its end.
function growing(node) {
  const text = node.appendChild(document.createTextNode(''));
  return (value) => {
    if (value === text.data) return;
    if (value.startsWith(text.data)) text.appendData(value.slice(text.length));
    else text.data = value;
  };
}

function fixed(className, text) {
  return { node: h('div', { class: className }, text) };
}

function speech(item) {
  const node = h('div', { class: 'speech' });
  const write = growing(node);
  return {
    node,
    update() {
      write(item.text);
      node.classList.toggle('open', item.done === false);
    },
  };
}

function reasoning(item) {
  const summary = h('summary');
  const body = h('div', { class: 'body' });
  const write = growing(body);
  return {
    node: h('details', {}, summary, body),
    update() {
      summary.textContent = item.done ? 'Thought' : 'Thinking…';
      write(item.text);
    },
  };
}

function tool(item) {
  const name = h('b');
  const gist = h('code', { class: 'gist' });
  const outcome = h('span', { class: 'outcome' });
  const summary = h('summary', {}, h('i', { class: 'dot' }), name, gist, outcome);
  const input = h('pre', { class: 'input', 'aria-label': 'input' });
  const output = h('pre', { class: 'output', 'aria-label': 'output' });
  const error = h('div', { class: 'failure' });
  const node = h('details', { class: 'card' }, summary, input, output, error);
  const write = growing(output);
  let touched = false; // the reader opened or closed it, so it is left alone
  summary.addEventListener('click', () => (touched = true));
  return {
    node,
    update() {
      node.dataset.outcome = item.outcome;
      name.textContent = item.tool;
      gist.textContent = principal(item.input);
      outcome.textContent = join(item.outcome, item.durationMs === undefined ? '' : formatDuration(item.durationMs));
      input.textContent = inputText(item.input);
      error.textContent = item.error ?? '';
      write(item.output);
      if (!touched) node.open = item.outcome === 'running';
    },
  };
}

function output(item) {
  const node = h('pre', { tabindex: '0' });
  let drawn = 0; // lines that have ended; their texts do not change any more
  let last; // the text of an open line, which is drawn anew
  return {
    node,
    update() {
      last?.remove();
      last = undefined;
      let span = node.lastChild; // one span for adjacent lines of a stream, because thousands may arrive at once
      for (const { stream = '', text, open } of item.lines.slice(drawn)) {
        if (span?.className !== stream) span = node.appendChild(h('span', { class: stream }));
        last = document.createTextNode(`${text}\n`);
        span.append(last);
        if (!open) drawn += 1;
      }
      if (drawn === item.lines.length) last = undefined;
    },
  };
}

// A card with a question to a person and its buttons, each [name, label]. `send(name)` sends the answer; its
// error is shown.
function question(item, { asks, body, choices, send, mayAnswer }) {
  const title = h('div', { class: 'title' });
  const failure = h('div', { class: 'failure', role: 'alert' });
  const buttons = h('div', { class: 'buttons' });
  const enable = (enabled) => {
    for (const button of buttons.children) button.disabled = !enabled;
  };
  for (const [name, label] of choices) {
    const button = h('button', { type: 'button', class: name, part: `button ${name}` }, label);
    button.addEventListener('click', async () => {
      failure.textContent = '';
      enable(false);
      try {
        await send(name);
      } catch (error) {
        failure.textContent = error.message;
        enable(true);
      }
    });
    buttons.append(button);
  }
  const node = h('div', { class: 'card' }, title, body, buttons, failure);
  return {
    node,
    update() {
      const pending = item.state === 'pending';
      const by = join(item.by ? `by ${item.by}` : undefined, item.reason);
      node.dataset.state = item.state;
      node.dataset.decision = item.decision ?? '';
      title.textContent = pending ? asks() : join(kDecisions[item.decision] ?? item.decision, item.tool, by);
      buttons.hidden = !pending || !mayAnswer();
      if (!pending) failure.textContent = '';
    },
  };
}

function approval(item, element) {
  const input = h('pre', { class: 'input' });
  const card = question(item, {
    asks: () => `Asks to use ${item.tool ?? 'a tool'}`,
    body: input,
    choices: [
      ['allow_once', 'Allow once'],
      ['allow_always', 'Allow always'],
      ['allow_tool', 'Allow this tool'],
      ['allow_session', 'Allow all, this session'],
      ['deny', 'Deny'],
    ],
    send: (decision) => element.sendDecision(item, decision),
    mayAnswer: () => element.canDecide,
  });
  return {
    node: card.node,
    update() {
      card.update();
      input.textContent = inputText(item.input);
    },
  };
}

// A form for the schema's properties (MCP, "Elicitation": flat, of strings, numbers, booleans and choices).
function elicitation(item, element) {
  const text = h('div', { class: 'question' });
  const form = h('form', { class: 'fields' });
  form.addEventListener('submit', (event) => event.preventDefault());
  let fields;
  const card = question(item, {
    asks: () => 'Asks for an answer',
    body: h('div', {}, text, form),
    choices: [
      ['accept', 'Answer'],
      ['decline', 'Decline'],
    ],
    async send(action) {
      if (action !== 'accept') return element.sendAnswer(item, action);
      if (!form.reportValidity()) throw new Error('Something is missing.');
      const values = (fields ?? []).map(({ name, value }) => [name, value()]);
      return element.sendAnswer(item, action, Object.fromEntries(values.filter(([, value]) => value !== undefined)));
    },
    mayAnswer: () => element.canAnswer,
  });
  return {
    node: card.node,
    update() {
      card.update();
      text.textContent = item.message ?? '';
      if (!fields && item.schema) {
        const required = new Set(item.schema.required ?? []);
        fields = Object.entries(item.schema.properties ?? {}).map(([name, of]) => field(name, of, required.has(name)));
        form.append(...fields.map(({ node }) => node));
      }
      form.hidden = item.state !== 'pending' || !element.canAnswer;
    },
  };
}

function field(name, of, required) {
  const label = h('span', {}, of.title ?? of.description ?? name);
  const row = (input) => h('label', {}, label, input);
  const must = required ? { required: '' } : {};
  const choices = of.enum ?? of.items?.enum;
  if (choices) {
    const several = of.type === 'array';
    const select = h('select', several ? { name, multiple: '' } : { name, ...must });
    if (!several && !required) select.append(h('option', { value: '' }, ''));
    choices.forEach((choice, i) => select.append(h('option', { value: choice }, (of.enumNames ?? choices)[i])));
    const picked = () => [...select.selectedOptions].map(({ value }) => value).filter((value) => value !== '');
    return { name, node: row(select), value: () => (several ? picked() : picked()[0]) };
  }
  if (of.type === 'boolean') {
    const input = h('input', { name, type: 'checkbox' });
    input.checked = of.default === true;
    return { name, node: row(input), value: () => input.checked };
  }
  const number = of.type === 'number' || of.type === 'integer';
  const input = h('input', {
    name,
    type: number ? 'number' : 'text',
    ...(number && { step: of.type === 'integer' ? '1' : 'any' }),
    ...must,
  });
  if (of.default !== undefined) input.value = of.default;
  const value = () => (input.value === '' ? undefined : number ? Number(input.value) : input.value);
  return { name, node: row(input), value };
}

function run({ type, time, run: id, data }) {
  const word = type.slice('run.'.length);
  const took = data.duration_ms === undefined ? undefined : formatDuration(data.duration_ms);
  const text = join(`run ${id ?? ''} ${word}`, took, describeUsage(data.usage), clockTime(time));
  const node = h('div', { class: `rule ${word}` }, h('span', { class: 'words' }, text));
  const reason = data.error?.message ?? data.error?.code;
  if (reason) node.append(h('div', { class: 'failure' }, reason));
  return { node };
}

function plan(item) {
  const list = h('ul');
  return {
    node: h('div', { class: 'card' }, h('div', { class: 'title' }, 'Plan'), list),
    update() {
      const entries = Array.isArray(item.data.entries) ? item.data.entries : [];
      list.replaceChildren(
        ...entries.map((entry) => {
          const text = entry?.content ?? entry?.text ?? entry?.title ?? entry;
          return h('li', { 'data-status': entry?.status ?? '' }, asText(text));
        }),
      );
    },
  };
}

function usage(item) {
  const node = h('div', { class: 'line' });
  return { node, update: () => (node.textContent = `usage: ${describeUsage(item.data) || compact(item.data)}`) };
}

function note({ type, data }) {
  const text = describeNote(type, data);
  if (!data.diff) return fixed('line', text);
  return { node: h('details', {}, h('summary', {}, text), h('pre', { class: 'output' }, asText(data.diff))) };
}

export const kViews = {
  user: speech,
  assistant: speech,
  reasoning,
  tool,
  output,
  approval,
  elicitation,
  run,
  plan,
  usage,
  note,
  agent: ({ type, data, time }) => fixed('line', join(describeAgent(type, data), clockTime(time))),
  error: ({ data }) => fixed('alert', join(data.fatal ? 'fatal error' : 'error', data.code, data.message)),
  gap: ({ from, to, reason }) => fixed('alert', `events lost: ${from}–${to} (${reason})`),
  bad: (item) => ({ node: h('div', { class: 'line' }, h('b', {}, item.type ?? item.kind), ' ', h('code', {}, compact(item.data ?? {}))) }),
  other: ({ type, data }) => ({ node: h('div', { class: 'line' }, h('b', {}, type), ' ', h('code', {}, compact(data))) }),
};
