// The parts of the dashboard that need neither browser nor daemon.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { lookOf } from '../../control/dashboard/app/looks.js';
import { plainText } from '../../control/dashboard/app/agent/text.js';
import { visible } from '../../control/dashboard/app/parts/text.js';
import { commandOf, FieldError, fieldOf, formOf, kEmpty, lineOf, needsShell, specOf } from '../../control/dashboard/app/start/spec.js';
import { groupings, rowsOf } from '../../control/dashboard/app/town/list.js';
import { lastLine, plain } from '../../control/dashboard/app/worker/words.js';

const agent = (id, more = {}) => {
  const made = { id, kind: 'process', state: 'running', created_at: '2026-01-31T08:00:00.000Z', ...more };
  return { ...made, look: lookOf(made) };
};

test('a command line becomes words, or needs a shell', () => {
  assert.deepEqual(commandOf(` make  -j8 'two words' "a \\"b\\" c" d\\ e ''`, 'claude'), ['make', '-j8', 'two words', 'a "b" c', 'd e', '']);
  assert.deepEqual(commandOf('make && echo $HOME', 'process'), ['sh', '-c', 'make && echo $HOME']);
  assert.deepEqual(commandOf('make', 'process'), ['make']);
  assert.equal(commandOf('  ', 'process'), undefined);
  assert.throws(() => commandOf("echo 'open", 'acp'), FieldError);
  assert.equal(needsShell("echo '$HOME | less'"), false);
  assert.equal(needsShell('echo "$HOME"'), true);
  for (const words of [['sh', '-c', 'a | b'], ['a', "it's", ''], ['x', '$HOME']]) {
    const line = lineOf(words);
    assert.deepEqual(commandOf(line, 'process'), words, line);
  }
});

test('a form becomes a spec, and a spec the same form', () => {
  const can = { turns: true, approve: true, model: true };
  const form = {
    ...kEmpty,
    kind: 'acp', command: 'kilo acp', cwd: '/srv', prompt: 'go', title: 'T', labels: 'a=1, b=x=y',
    'permissions.allow': 'read\n\nbash(make *)\n', 'permissions.timeout_ms': '1h30m', 'permissions.on_timeout': 'allow',
    'limits.max_tokens': '200 000', 'limits.wall_ms': '90s', 'restart.policy': 'always', env: 'A=1\nB=\nC=x=y',
  };
  const spec = specOf(form, can);
  assert.deepEqual(spec, {
    kind: 'acp',
    command: ['kilo', 'acp'],
    cwd: '/srv',
    prompt: 'go',
    title: 'T',
    labels: { a: '1', b: 'x=y' },
    permissions: { default: 'ask', allow: ['read', 'bash(make *)'], timeout_ms: 5_400_000, on_timeout: 'allow' },
    limits: { wall_ms: 90_000, max_tokens: 200_000 },
    restart: { policy: 'always' },
    env: { A: '1', C: 'x=y' },
  });
  assert.deepEqual(specOf({ ...formOf({ ...spec, env: ['A', 'C'] }), env: 'A=1\nC=x=y' }, can), spec);
  assert.equal(specOf(form, {}).prompt, undefined, 'a kind without turns takes no prompt');
  assert.throws(() => specOf({ ...form, 'limits.wall_ms': 'soon' }, can), { field: 'limits.wall_ms' });
  assert.throws(() => specOf({ ...form, labels: 'a' }, can), { field: 'labels' });
});

test('an error of the daemon finds its field', () => {
  assert.deepEqual(fieldOf('permissions.allow[0]: is not a rule'), { field: 'permissions.allow', reason: 'is not a rule' });
  assert.deepEqual(fieldOf('command: program x was not found'), { field: 'command', reason: 'program x was not found' });
  assert.deepEqual(fieldOf('env.A B: is no name'), undefined);
  assert.deepEqual(fieldOf('there is an agent a1'), undefined);
});

test('agents that wait come first, then failures, and groups follow their most urgent agent', () => {
  const agents = [
    agent('idle', { state: 'idle', labels: { team: 'a' } }),
    agent('runs', { labels: { team: 'b' } }),
    agent('late', { state: 'needs_input', waiting_since: '2026-01-31T09:00:00.000Z', labels: { team: 'b' } }),
    agent('early', { state: 'needs_input', waiting_since: '2026-01-31T08:00:00.000Z' }),
    agent('broken', { state: 'exited', last_run: { status: 'failed', exit_code: 3 } }),
  ];
  const ids = (options) => rowsOf(agents, new Map(), { filter: 'all', search: '', grouping: '', ...options }).map((row) => row.agent?.id ?? `# ${row.heading}`);
  assert.deepEqual(ids({}), ['early', 'late', 'broken', 'runs', 'idle']);
  assert.deepEqual(groupings(agents), ['', 'kind', 'label:team']);
  assert.deepEqual(ids({ grouping: 'label:team' }), ['# b', 'late', 'runs', '# a', 'idle', '# ', 'early', 'broken']);
  assert.deepEqual(ids({ filter: 'failed' }), ['broken']);
  assert.deepEqual(ids({ search: 'team:b process' }), ['late', 'runs']);
});

test('ends of agents look different', () => {
  const at = (more) => agent('a', { state: 'exited', ...more }).look;
  assert.equal(at({ last_run: { status: 'completed' }, exit: { code: 0 } }).key, 'done');
  const failed = at({ last_run: { status: 'failed', exit_code: 3 } });
  assert.deepEqual([failed.key, failed.tone, failed.detail], ['failed', 'bad', 'code 3']);
  assert.equal(at({ last_run: { status: 'failed', error: { code: 'daemon_restarted' } } }).key, 'cut');
  assert.equal(at({ last_run: { status: 'cancelled' } }).key, 'stopped');
  assert.equal(at({ last_run: { status: 'completed' }, session: 's1' }).key, 'asleep');
  assert.equal(at({ last_run: { status: 'completed' }, session: 's1', queue_paused: true }).key, 'stopped');
  assert.equal(at({ exit: { oom: true } }).detail, 'out of memory');
});

test('text of agents stays text of one line, without codes and hidden marks', () => {
  assert.equal(plain('\u001b[31mred\u001b[0m \u001b]0;title\u0007x\u202ey\tz'), 'red x y z');
  assert.equal(visible('a\u202eb\u001b[0m\tc\nd\u200b'), 'a⟨U+202E⟩b␛[0m\tc\nd⟨U+200B⟩');
  for (const mark of ['\u00ad', '\u200b', '\u200d', '\u2060', '\u2066', '\ufeff', '\u{e0041}']) {
    for (const shown of [plain(`a${mark}b`), plainText(`a${mark}b`), visible(`a${mark}b`)]) assert.ok(!shown.includes(mark), shown);
  }
  assert.equal(plainText('\u{e0041}'), '⟪U+E0041⟫');
  assert.deepEqual(lastLine('agent.output', { text: 'one\ntwo\n\n' }, {}), { text: 'two', tone: 'output' });
  assert.deepEqual(lastLine('assistant.message', { text: '# Title\n- **bold** `code`' }, {}), { text: 'bold code', tone: 'said' });
  assert.equal(plain('x'.repeat(100_000)).length, 300);
});
