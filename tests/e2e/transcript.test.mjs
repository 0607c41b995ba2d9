// The items that people read of an agent's events.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Transcript } from '../../control/dashboard/transcript.js';

// Events of agent a1, run r1, from [type, data] pairs.
function transcript(events, maxItems) {
  const result = new Transcript(maxItems);
  events.forEach(([type, data, agent = 'a1'], i) => {
    result.add({ agent, epoch: 1, seq: i + 1, time: '2024-05-01T10:00:00.000Z', type, run: 'r1', data });
  });
  return result;
}
// The items, without what is the same for all.
function items(...args) {
  return [...transcript(...args).items].map(({ agent, run, time, name, ...rest }) => rest);
}

test('deltas are joined, and the whole message replaces them', () => {
  const delta = (text) => ['assistant.delta', { message_id: 'm1', text }];
  assert.deepEqual(items([delta('Hel'), delta('lo')]), [{ kind: 'assistant', text: 'Hello', done: false }]);
  const whole = ['assistant.message', { message_id: 'm1', text: 'Hello.' }];
  assert.deepEqual(items([delta('Hel'), whole]), [{ kind: 'assistant', text: 'Hello.', done: true }]);
});

test('reasoning and speech of one message are two items', () => {
  const id = { message_id: 'm1' };
  const both = [
    ['reasoning.delta', { ...id, text: 'hm' }],
    ['assistant.delta', { ...id, text: 'yes' }],
    ['reasoning.message', { ...id, text: 'hm.' }],
  ];
  assert.deepEqual(items(both), [
    { kind: 'reasoning', text: 'hm.', done: true },
    { kind: 'assistant', text: 'yes', done: false },
  ]);
});

test('agents with the same ids do not get into each other', () => {
  const same = { message_id: 'm1', text: 'x' };
  const texts = items([['assistant.delta', same], ['assistant.delta', same, 'b2']]).map(({ text }) => text);
  assert.deepEqual(texts, ['x', 'x']);
});

test('a tool call is one card from start to end', () => {
  const call = { call_id: 'c1' };
  const events = [
    ['tool.started', { ...call, name: 'bash', input: { command: 'ls' } }],
    ['tool.output', { ...call, output: 'a\n' }],
    ['tool.output', { ...call, output: 'b\n' }],
  ];
  const card = { kind: 'tool', tool: 'bash', input: { command: 'ls' }, output: 'a\nb\n', outcome: 'running' };
  assert.deepEqual(items(events), [card]);
  const done = ['tool.completed', { ...call, output: 'a\nb\nc\n', duration_ms: 12 }];
  assert.deepEqual(items([...events, done]), [{ ...card, output: 'a\nb\nc\n', outcome: 'completed', durationMs: 12 }]);
  const failed = ['tool.failed', { ...call, error: { message: 'no' } }];
  assert.deepEqual(items([...events, failed]), [{ ...card, outcome: 'failed', error: 'no' }]);
});

test('the end of a run ends what it left open', () => {
  const [message, tool, run] = items([
    ['assistant.delta', { message_id: 'm1', text: 'I wil' }],
    ['tool.started', { call_id: 'c1', name: 'bash' }],
    ['run.failed', { error: { code: 'exited' } }],
  ]);
  assert.equal(message.done, true);
  assert.equal(tool.outcome, 'unfinished');
  assert.deepEqual(run, { kind: 'run', type: 'run.failed', data: { error: { code: 'exited' } } });
});

test('an approval is one card, pending and then resolved', () => {
  const asked = ['approval.requested', { id: 'p1', tool: 'bash', input: { command: 'rm x' } }];
  const [pending] = items([asked]);
  assert.equal(pending.state, 'pending');
  const [resolved, ...others] = items([asked, ['approval.resolved', { id: 'p1', decision: 'deny', by: 'person' }]]);
  assert.deepEqual(others, []);
  assert.equal(resolved.state, 'resolved');
  assert.equal(resolved.decision, 'deny');
  assert.deepEqual(resolved.input, { command: 'rm x' });
});

test('lines of output are grouped, in blocks that do not grow for ever', () => {
  const line = (text, stream = 'stdout') => ['agent.output', { stream, text }];
  const [block] = items([line('a'), line('b', 'stderr')]);
  assert.deepEqual(block.lines, [
    { stream: 'stdout', text: 'a' },
    { stream: 'stderr', text: 'b' },
  ]);
  const blocks = items(Array.from({ length: 1000 }, (_, i) => line(`${i}`)));
  assert.ok(blocks.every(({ lines }) => lines.length <= 200));
  assert.equal(blocks.flatMap(({ lines }) => lines).length, 1000);
});

test('a line says when it is not what the program wrote', () => {
  const texts = items([
    ['agent.output', { stream: 'stdout', text: '/w==', encoding: 'base64' }],
    ['agent.output', { stream: 'stdout', json: { a: 1 } }],
    ['agent.output', { stream: 'stdout', text: 'y'.repeat(1 << 20) }],
  ])[0].lines.map(({ text }) => text);
  assert.deepEqual(texts.slice(0, 2), ['(not UTF-8, base64) /w==', '{"a":1}']);
  assert.match(texts[2], /^y{16384}… \(1032192 more characters\)$/);
});

test('the parts of a line are joined', () => {
  const part = (text, stream = 'stdout') => ['agent.output', { stream, text, partial: true }];
  const line = (text, stream = 'stdout') => ['agent.output', { stream, text }];
  const lines = (...events) => items(events).flatMap((item) => item.lines.map(({ text }) => text));
  assert.deepEqual(lines(part('Overwrite? '), part('[y/N] '), line('no'), line('next')), ['Overwrite? [y/N] no', 'next']);
  assert.deepEqual(lines(part('10%\r'), part('20%\r'), line('')), ['20%\r']);
  const [long] = lines(part('y'.repeat(1 << 20)), line('y'.repeat(1 << 20)));
  assert.match(long, /^y{16384}… \(2080768 more characters\)$/);
  assert.deepEqual(lines(part('a'), line('b', 'stderr'), line('c')), ['a', 'b', 'c']);
});

test('a gap and an unknown type are shown', () => {
  const kept = transcript([['brand.new', { a: 1 }]]);
  kept.addGap({ from: '1-1', to: '1-5', reason: 'expired' });
  assert.deepEqual([...kept.items].map(({ kind }) => kind), ['other', 'gap']);
});

test('the newest items stay, the others are counted', () => {
  const many = Array.from({ length: 1000 }, (_, i) => ['title.updated', { title: `${i}` }]);
  const kept = transcript(many, 100);
  assert.equal(kept.items.size, 100);
  assert.equal(kept.changed.size, 100);
  assert.equal(kept.dropped, 900);
  assert.equal([...kept.items][0].data.title, '900');

  const lines = transcript(Array.from({ length: 10_000 }, () => ['agent.output', { text: 'x' }]), 1000);
  const left = [...lines.items].reduce((sum, item) => sum + item.lines.length, 0);
  assert.ok(left <= 1000 && left >= 800, `${left} lines left`);
  assert.equal(left + lines.dropped, 10_000);
});

test('what belongs to a dropped item makes a new one', () => {
  const filler = Array.from({ length: 10 }, () => ['title.updated', {}]);
  const events = [['assistant.delta', { message_id: 'm', text: 'a' }], ...filler];
  const last = items([...events, ['assistant.delta', { message_id: 'm', text: 'b' }]], 5).at(-1);
  assert.deepEqual(last, { kind: 'assistant', text: 'b', done: false });
});

test('one endless message does not fill the memory', () => {
  const piece = 'x'.repeat(1 << 16);
  const [item] = items(Array.from({ length: 64 }, () => ['assistant.delta', { message_id: 'm', text: piece }]));
  assert.ok(item.text.length <= 512 << 10);
});
