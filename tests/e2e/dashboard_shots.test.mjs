// Takes the pictures of the dashboard, of a town as people have it. They are in out/, and with REEVE_TEST_RECORD=1 also in
// control/dashboard/screenshots, which README.md shows.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { complaints, Daemon, outDir, startBrowser, until } from './harness.mjs';
import { smallPng } from './small_png.mjs';

const kMostBytes = 150 * 1024; // all pictures together, because everybody who clones the repository fetches them
const here = path.dirname(fileURLToPath(import.meta.url));
const folder = process.env.REEVE_TEST_RECORD ? path.join(here, '../../control/dashboard/screenshots') : outDir;

// The agent's program and its script are in its folder, so that its command is short.
const acp = (id, title, script, more = {}) => ({
  id,
  kind: 'acp',
  title,
  prompt: 'Start, please.',
  command: ['node', 'agent.mjs', `${id}.json`],
  script,
  ...more,
});
const shell = (id, title, line, team) => ({ id, kind: 'process', title, labels: { team }, command: ['sh', '-c', line] });

const explanation = `The tokenizer looks one character ahead, so the recursion can become a **stack of frames**:

\`\`\`js
const frames = [root];
while (frames.length > 0) {
  const frame = frames.pop();
  for (const child of frame.children) frames.push(child);
}
\`\`\`

1. replace \`parseExpression\`
2. keep its tests as they are
`;

const town = [
  acp(
    'parser',
    'Rewrite the parser without recursion',
    {
      say: 'First the present state of the tests.',
      plan: [
        { content: 'Run the tests', priority: 'high', status: 'completed' },
        { content: 'Replace parseExpression', priority: 'high', status: 'in_progress' },
        { content: 'Measure deep input', priority: 'medium', status: 'pending' },
      ],
      calls: [
        { title: 'make test', kind: 'execute', input: { command: 'make test' }, output: '214 tests passed, 0 failed\n' },
        {
          title: 'edit parser.js',
          kind: 'edit',
          say: explanation,
          input: {
            file_path: 'src/parser.js',
            old_string: 'function parse(node) {\n  visit(node);\n  node.children.forEach(parse);\n}',
            new_string:
              'function parse(root) {\n  const frames = [root];\n  while (frames.length > 0) {\n    const node = frames.pop();\n    visit(node);\n    frames.push(...node.children);\n  }\n}',
          },
          ask: true,
        },
      ],
    },
    { labels: { team: 'compiler' }, prompt: 'Make the parser work without recursion. Deep input overflows the stack.' },
  ),
  acp(
    'release',
    'Prepare release 2.4',
    { calls: [{ title: 'push', kind: 'execute', input: { command: 'git push origin v2.4.0', description: 'Publish the tag' }, ask: true }] },
    { labels: { team: 'web' }, permissions: { timeout_ms: 900_000 } },
  ),
  acp('review', 'Review pull request 4711', { say: 'The change touches the cache.', calls: [{ title: 'diff', kind: 'execute', input: { command: 'git diff main...HEAD -- src/cache' }, hang: true }] }, { labels: { team: 'compiler' } }),
  acp('api', 'Answer questions about the API', { say: 'Cursors are `EPOCH-SEQ`; they grow, and are never used twice.' }, { labels: { team: 'web' } }),
  shell('nightly', 'Nightly end-to-end tests', 'echo "3 of 214 tests failed" >&2; exit 3', 'web'),
  shell('metrics', 'Collect the metrics of the build machines', 'i=0; while :; do i=$((i+1)); echo "sample $i: load 0.$((i%10)), memory $((i*7%100)) %"; sleep 0.1; done', 'infra'),
  shell('mirror', 'Mirror the package archive', 'while :; do echo "fetched 12 packages"; sleep 0.7; done', 'infra'),
  shell('migrate', 'Migrate the staging database', 'sleep 1000', 'infra'),
  shell('lint', 'Lint the monorepo', 'echo "no problems found"', 'web'),
];

const pictures = [
  ['town-light', '', 'light', { width: 1280, height: 700 }],
  ['town-phone', '', 'dark', { width: 390, height: 780 }],
  ['inbox-phone', 'inbox', 'light', { width: 390, height: 780 }],
  ['agent-dark', 'agents/parser', 'dark', { width: 1280, height: 960 }],
];

test('takes pictures of the dashboard', async (t) => {
  mkdirSync(folder, { recursive: true });
  const daemon = await Daemon.start(t, ['--town', 'harbour']);
  const cwd = path.join(daemon.dir, 'work');
  mkdirSync(cwd);
  copyFileSync(path.join(here, 'acp_agent.mjs'), path.join(cwd, 'agent.mjs'));
  for (const { script, ...spec } of town) {
    if (script) writeFileSync(path.join(cwd, `${spec.id}.json`), JSON.stringify(script));
    await daemon.call('POST', '/agents', { cwd, ...spec });
  }
  await daemon.untilState('migrate', 'running', 'idle');
  await daemon.call('POST', '/agents/migrate/stop', {});
  for (const id of ['parser', 'release']) await daemon.untilState(id, 'needs_input');
  const browser = await startBrowser(t);
  let total = 0;
  for (const [name, view, scheme, viewport] of pictures) {
    const phone = viewport.width < 700;
    const page = await browser.newPage({ viewport, colorScheme: scheme, hasTouch: phone, deviceScaleFactor: phone ? 2 : 1 });
    const complained = complaints(page);
    await page.goto(`${daemon.origin}/#/${view}?token=${daemon.token}`);
    await page.getByRole('link', { name: /^Inbox/ }).getByText('2').waitFor();
    const shown = { '': '[data-agent=nightly] .last', inbox: '[data-question] .command', 'agents/parser': '[data-question] .diff' }[view];
    await page.locator(shown).first().waitFor();
    if (view.startsWith('agents')) await page.getByText('frames.pop()').first().waitFor();
    const bars = () => page.locator('[data-agent=metrics] .spark path').last().getAttribute('d');
    if (view === '') await until('some activity', async () => (await bars()).split('M').length > 6);
    await page.mouse.move(0, 0);
    const small = smallPng(await page.screenshot());
    total += small.length;
    writeFileSync(path.join(folder, `${name}.png`), small);
    assert.deepEqual(complained, []);
  }
  if (process.env.REEVE_TEST_RECORD) assert.ok(total <= kMostBytes, `the pictures have ${total} bytes`);
});
