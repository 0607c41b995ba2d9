// Agents for the tests of the dashboard: one that says what a file has, one that asks for permissions, and a repository.

import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { reeveBinary } from './harness.mjs';

// Makes an agent of kind jsonl that prints these events, and later those that say() adds.
export async function makeTalker(daemon, id, events, spec = {}) {
  const file = path.join(daemon.dir, `${id}.jsonl`);
  const lines = events.map((event) => (typeof event === 'string' ? event : JSON.stringify(event)));
  writeFileSync(file, `${lines.join('\n')}\n`);
  await daemon.call('POST', '/agents', {
    id,
    kind: 'jsonl',
    command: ['tail', '-n', '+1', '-f', file],
    ...spec,
  });
  return { say: (...more) => appendFileSync(file, more.map((event) => `${JSON.stringify(event)}\n`).join('')) };
}

// Makes an agent of kind claude that asks for these calls, one after the other: `reeve replay` of a recording.
export async function makeAsker(daemon, id, calls, spec = {}) {
  const line = (dir, text) =>
    JSON.stringify({ time: '2026-11-20T10:00:00.000Z', dir, text: typeof text === 'string' ? text : JSON.stringify(text) });
  const lines = [
    line('out', 'initialize'),
    line('in', { type: 'control_response', response: { subtype: 'success', request_id: 'initialize-1', response: {} } }),
    line('out', 'prompt'),
    line('in', { type: 'system', subtype: 'init', session_id: 's-1' }),
  ];
  calls.forEach(([tool_name, input], i) => {
    const request = { subtype: 'can_use_tool', tool_name, tool_use_id: `c${i}`, input };
    lines.push(line('in', { type: 'control_request', request_id: `q${i}`, request }), line('out', 'answer'));
  });
  lines.push(
    line('in', { type: 'result', subtype: 'success', is_error: false, terminal_reason: 'completed', session_id: 's-1' }),
  );
  const file = path.join(daemon.dir, `${id}.recording`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  await daemon.call('POST', '/agents', {
    id,
    kind: 'claude',
    prompt: 'go',
    command: [reeveBinary(), 'replay', '--fast', file],
    ...spec,
  });
  await daemon.untilState(id, 'needs_input');
}

// A repository with one commit, and changes since. It is not in the daemon's data, whose changes nobody sees.
export function makeRepository(t) {
  const dir = mkdtempSync(path.join(tmpdir(), 'reeve-repository-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const git = (...words) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@a', ...words], { cwd: dir, env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null' } });
  const source = ['export function area(width, height) {', '  return width + height;', '}', ''];
  git('init', '-q', '-b', 'parser');
  writeFileSync(path.join(dir, 'area.js'), source.join('\n'));
  writeFileSync(path.join(dir, 'old.txt'), 'not needed\n');
  git('add', '-A');
  git('commit', '-qm', 'one');
  writeFileSync(path.join(dir, 'area.js'), source.join('\n').replace('+', '*'));
  writeFileSync(path.join(dir, 'area.test.js'), "import { area } from './area.js';\n\nassert.equal(area(2, 3), 6);\n");
  git('rm', '-q', 'old.txt');
  return dir;
}

const kDiff = `--- a/src/area.js
+++ b/src/area.js
@@ -1,3 +1,3 @@
 export function area(width, height) {
-  return width + height;
+  return width * height;
 }
`;

// A piece of work as an agent would report it, with everything that a log can have.
export const kWork = [
  { type: 'title.updated', title: 'Fix the area of rectangles' },
  { type: 'reasoning.message', message_id: 'r1', text: 'The test says 6 and the function says 5, so it **adds**.' },
  {
    type: 'plan.updated',
    entries: [
      { content: 'Run the tests', status: 'completed' },
      { content: 'Correct the function', status: 'in_progress' },
      { content: 'Run the tests again', status: 'pending' },
    ],
  },
  { type: 'assistant.message', message_id: 'm1', text: 'I will run the tests first.' },
  { type: 'tool.started', call_id: 'c1', name: 'bash', input: { command: 'node --test area.test.js', description: 'Run the tests' } },
  {
    type: 'tool.completed',
    call_id: 'c1',
    name: 'bash',
    input: { command: 'node --test area.test.js', description: 'Run the tests' },
    output: '\u001b[31m✖ area of a rectangle\u001b[39m (1.2ms)\n  Expected \u001b[1m6\u001b[0m, got \u001b[1m5\u001b[0m\n\u001b[2mtests 1 · pass 0 · fail 1\u001b[0m\n',
    exit_code: 1,
    duration_ms: 1840,
  },
  {
    type: 'tool.started',
    call_id: 'c2',
    name: 'edit',
    input: { file_path: 'src/area.js', old_string: '  return width + height;', new_string: '  return width * height;' },
  },
  { type: 'tool.completed', call_id: 'c2', name: 'edit', output: 'ok', duration_ms: 12 },
  { type: 'file.edited', path: 'src/area.js', additions: 1, deletions: 1, diff: kDiff },
  { type: 'tool.started', call_id: 'c3', name: 'grep', input: { pattern: 'area\\(', path: 'src', options: { glob: '*.js' } } },
  { type: 'tool.completed', call_id: 'c3', name: 'grep', output: 'src/area.js:1:export function area(width, height) {\n', duration_ms: 240 },
  { type: 'usage.updated', input_tokens: 18_400, output_tokens: 1200, cost_usd: 0.0834 },
  {
    type: 'assistant.message',
    message_id: 'm2',
    text: `The function **added** the sides. It multiplies them now:

\`\`\`js
export function area(width, height) {
  return width * height; // was +
}
\`\`\`

| sides | before | now |
|---|---:|---:|
| 2 × 3 | 5 | 6 |
| 4 × 4 | 8 | 16 |

1. The tests pass.
2. Nothing else calls \`area\`.

> See [the issue](https://example.com/issues/7) for the report.`,
  },
];
