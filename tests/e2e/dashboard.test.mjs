// The dashboard in a real browser: sign-in, town, inbox and the form to start agents. dashboard_agent.test.mjs has the view
// of one agent.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { complaints, Daemon, outDir, Proxy, reeveBinary, startBrowser, ticker, until } from './harness.mjs';
import { createAgent, Model, skipped } from './kinds.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const kLaptop = { width: 1280, height: 800 };
const kPhone = { width: 360, height: 740 };

const command = { title: 'make test', kind: 'execute', input: { command: 'make test && rm -r build', description: 'Run the tests' }, ask: true };
const edit = {
  title: 'edit guide.md',
  kind: 'edit',
  input: { file_path: '/srv/guide.md', old_string: 'the deamon\nstays', new_string: 'the daemon\nstays' },
  ask: true,
};

function scripted(id, script, more = {}) {
  return {
    id,
    kind: 'acp',
    cwd: '/tmp',
    command: [process.execPath, path.join(here, 'acp_agent.mjs'), JSON.stringify(script)],
    prompt: 'go',
    ...more,
  };
}

const shell = (id, line, more = {}) => ({ id, kind: 'process', command: ['sh', '-c', line], ...more });

async function startTown(t, specs, args = []) {
  const daemon = await Daemon.start(t, args);
  for (const spec of specs) await daemon.call('POST', '/agents', spec);
  return daemon;
}

async function openPage(t, daemon, { viewport = kLaptop, hash = `#token=${daemon.token}`, context, scheme = 'light', origin = daemon.origin } = {}) {
  context ??= await (await startBrowser(t)).newContext({ viewport, colorScheme: scheme, hasTouch: viewport === kPhone });
  const page = await context.newPage();
  page.complained = complaints(page);
  page.requested = [];
  page.on('request', (request) => page.requested.push(request.url()));
  await page.goto(`${origin}/${hash}`);
  return page;
}

const row = (page, id) => page.locator(`[data-agent="${id}"]`);
const badge = (page, id, state) => row(page, id).locator(`.badge[data-state=${state}]`);
const card = (page, id) => page.locator(`[data-question^="${id}/"]`);
const shownIds = (page) => page.locator('[data-agent]').evaluateAll((rows) => rows.map((each) => each.dataset.agent));

async function goTo(page, hash) {
  await page.evaluate((to) => (location.hash = to), hash);
}

function assertSameOrigin(page, daemon) {
  for (const url of page.requested) {
    assert.ok(url.startsWith(daemon.origin) || url.startsWith('data:image/svg'), `a request to elsewhere: ${url}`);
  }
}

// --- sign-in

test('signs in with a token, keeps it in the tab, and says when it is wrong', async (t) => {
  const daemon = await startTown(t, [shell('a1', 'echo hello')]);
  const page = await openPage(t, daemon, { hash: '' });
  await page.getByLabel('Token').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('does not accept this token').waitFor();
  await page.getByLabel('Token').fill(daemon.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await row(page, 'a1').waitFor();
  await page.reload();
  await row(page, 'a1').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  await page.reload();
  await page.getByLabel('Token').waitFor();
});

test('signs in with the token or the ticket of a link, which leaves the address', async (t) => {
  const daemon = await startTown(t, [shell('a1', 'echo hello')]);
  const page = await openPage(t, daemon, { hash: `#token=${daemon.token}` });
  await row(page, 'a1').waitFor();
  assert.ok(!page.url().includes(daemon.token), page.url());

  const { ticket } = await daemon.call('POST', '/stream-ticket', { agents: '*', mode: 'operate' });
  const other = await openPage(t, daemon, { hash: `#ticket=${ticket}` });
  await row(other, 'a1').waitFor();
  assert.ok(!other.url().includes(ticket), other.url());
  assert.equal(await other.getByRole('link', { name: 'Start' }).count(), 0, 'a ticket to operate starts no agents');
  await other.reload();
  await row(other, 'a1').waitFor();
  await daemon.crash();
  await until('the connection after a crash', () => other.evaluate(() => document.querySelector('.pulse.online') !== null));

  const late = await openPage(t, daemon, { hash: `#ticket=${ticket}` });
  await late.getByText('This link was used before').waitFor();
});

test('a link that the daemon does not accept leaves the sign-in of the browser as it is', async (t) => {
  const daemon = await startTown(t, [shell('a1', 'echo hello; sleep 1000')]);
  const page = await openPage(t, daemon);
  await row(page, 'a1').waitFor();
  for (const hash of ['#token=wrong', '#ticket=wrong']) {
    const other = await openPage(t, daemon, { context: page.context(), hash });
    await other.getByRole('alert').getByText('did not sign you in').waitFor();
    assert.ok(!other.url().includes('wrong'), other.url());
    await row(other, 'a1').waitFor();
    await other.getByRole('button', { name: 'Close' }).click();
    await other.getByRole('alert').waitFor({ state: 'detached' });
    await other.reload();
    await row(other, 'a1').waitFor();
  }
  await goTo(page, '#token=wrong');
  await page.getByRole('alert').getByText('did not sign you in').waitFor();
  await daemon.call('POST', '/agents/a1/stop', {});
  await badge(page, 'a1', 'stopped').waitFor();

  // One that it accepts takes the place of the other.
  const { ticket } = await daemon.call('POST', '/stream-ticket', { agents: '*', mode: 'view' });
  await goTo(page, `#ticket=${ticket}`);
  await page.getByRole('alert').waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Start' }).waitFor({ state: 'detached' });
});

test('after a sign-out the daemon knows no ticket of the browser', async (t) => {
  const daemon = await startTown(t, [shell('a1', 'echo hello')]);
  const { ticket } = await daemon.call('POST', '/stream-ticket', { agents: '*', resume_ms: 3_600_000 });
  const page = await openPage(t, daemon, { hash: `#ticket=${ticket}` });
  await row(page, 'a1').waitFor();
  const kept = await page.evaluate(() => JSON.parse(sessionStorage.getItem('reeve.credential')).ticket);
  const check = async () => (await fetch(`${daemon.origin}/ws/ticket`, { headers: { 'x-reeve-ticket': kept } })).status;
  assert.equal(await check(), 204);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  await until('the end of the ticket', async () => (await check()) === 401);
});

test('with a token that may only look, nothing can be decided or started', async (t) => {
  const tokens = path.join(outDir, 'tokens');
  writeFileSync(tokens, 'admin token-of-the-administrator\nview token-of-an-observer\n', { mode: 0o600 });
  const daemon = await Daemon.start(t, ['--token-file', tokens]);
  daemon.token = 'token-of-the-administrator';
  await daemon.call('POST', '/agents', scripted('a1', { calls: [command] }));
  await daemon.untilState('a1', 'needs_input');
  const page = await openPage(t, daemon, { hash: '#token=token-of-an-observer' });
  await badge(page, 'a1', 'waiting').waitFor();
  assert.equal(await page.getByRole('link', { name: 'Start' }).count(), 0);
  await goTo(page, '#/inbox');
  assert.ok(await card(page, 'a1').getByRole('button', { name: 'Allow once' }).isDisabled());
});

// --- town

test('shows how agents differ: those that wait first, then failures', async (t) => {
  const daemon = await startTown(t, [
    shell('done', 'echo fine'),
    shell('failed', 'echo broken; exit 3'),
    shell('killed', 'kill -9 $$'),
    shell('runs', 'echo works; sleep 1000'),
    shell('stopped', 'sleep 1000'),
    scripted('ready', { say: '**All** done.' }),
    scripted('waits', { calls: [command] }, { title: 'The one that waits' }),
  ]);
  await daemon.untilState('stopped', 'running', 'idle');
  await daemon.call('POST', '/agents/stopped/stop', {});
  await daemon.untilState('waits', 'needs_input');
  const page = await openPage(t, daemon);
  await badge(page, 'waits', 'waiting').waitFor();
  await badge(page, 'failed', 'failed').getByText('code 3').waitFor();
  await badge(page, 'killed', 'failed').getByText('signal 9').waitFor();
  await badge(page, 'runs', 'running').waitFor();
  await badge(page, 'ready', 'ready').waitFor();
  await badge(page, 'stopped', 'stopped').waitFor();
  await badge(page, 'done', 'done').waitFor();
  await row(page, 'waits').getByText('make test && rm -r build').waitFor();
  await row(page, 'ready').getByText('All done.', { exact: true }).waitFor();
  await row(page, 'failed').getByText('broken').waitFor();
  const ids = await shownIds(page);
  assert.deepEqual(ids.slice(0, 1).concat(ids.slice(1, 3).sort(), ids.slice(3, 4)), ['waits', 'failed', 'killed', 'runs']);
  await until('the title', async () => (await page.title()).startsWith('(1) '));
  assert.match(await page.locator('link[rel=icon]').getAttribute('href'), /^data:image\/svg/);
  assertSameOrigin(page, daemon);
  assert.deepEqual(page.complained, []);
});

test('an agent that a crash of everything cut off looks unlike a failure', async (t) => {
  const daemon = await startTown(t, [shell('cut', 'echo begun; sleep 1000')]);
  const page = await openPage(t, daemon);
  await badge(page, 'cut', 'running').waitFor();
  await daemon.kill();
  await daemon.spawn();
  await badge(page, 'cut', 'cut').getByText('by a crash').waitFor();
});

test('is used by keys alone: search, filter, group, open, back, help', async (t) => {
  const daemon = await startTown(t, [
    shell('alpha', 'sleep 1000', { labels: { team: 'web' } }),
    shell('beta', 'sleep 1000', { labels: { team: 'infra' } }),
    shell('gamma', 'exit 1', { title: 'Third letter' }),
  ]);
  await daemon.untilState('gamma', 'exited', 'failed');
  const page = await openPage(t, daemon);
  await row(page, 'beta').waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('third');
  await until('one row', async () => (await page.locator('[data-agent]').count()) === 1);
  await page.keyboard.press('Escape');
  await until('all rows', async () => (await page.locator('[data-agent]').count()) === 3);

  await page.keyboard.press('f'); // waiting
  await page.getByText('No agent matches.').waitFor();
  await page.keyboard.press('f'); // failed
  assert.deepEqual(await shownIds(page), ['gamma']);
  await page.keyboard.press('Escape');

  await page.keyboard.press('g'); // by kind
  await page.keyboard.press('g'); // by label
  await page.getByRole('heading', { name: 'infra' }).waitFor();
  await page.getByRole('heading', { name: 'others' }).waitFor();
  await page.keyboard.press('g');

  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  assert.equal(await page.locator('[data-chosen]').getAttribute('data-agent'), 'gamma');
  // The focus goes along at once, not with the next frame: Enter would open another agent.
  const focused = await page.evaluate(async () => {
    const seen = [];
    for (const key of ['j', 'k']) {
      document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
      for (let i = 0; i < 20; ++i) await undefined;
      seen.push(document.activeElement.closest('[data-agent]')?.dataset.chosen !== undefined);
    }
    return seen;
  });
  assert.deepEqual(focused, [true, true]);
  await page.keyboard.press('Enter');
  await until('the agent', () => page.url().endsWith('#/agents/gamma'));
  await page.keyboard.press('t');
  await row(page, 'beta').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).getByText('search', { exact: true }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.deepEqual(page.complained, []);
});

test('says since when the daemon is away, disables actions, and goes on by itself', async (t) => {
  const daemon = await startTown(t, [scripted('a1', { calls: [command] }), shell('b1', 'sleep 1000')]);
  await daemon.untilState('a1', 'needs_input');
  const page = await openPage(t, daemon);
  await badge(page, 'a1', 'waiting').waitFor();
  await goTo(page, '#/inbox');
  const allow = card(page, 'a1').getByRole('button', { name: 'Allow once' });
  await allow.waitFor();
  await daemon.kill();
  await page.getByText('The daemon does not answer').waitFor();
  assert.ok(await allow.isDisabled());
  await goTo(page, '#/');
  await page.locator('.badge[data-away]').first().waitFor();
  await daemon.spawn();
  await page.getByText('The daemon does not answer').waitFor({ state: 'detached' });
  await until('the state after the crash', async () => (await badge(page, 'a1', 'waiting').count()) === 0);
  assert.equal(await page.title(), 'town – reeve');
});

test('after crashes of the daemon alone it shows what the daemon says', async (t) => {
  const daemon = await startTown(t, [shell('ticks', ticker(0.05)[2])], ['--restart-delay', '0']);
  const page = await openPage(t, daemon);
  await badge(page, 'ticks', 'running').waitFor();
  for (let i = 0; i < 3; ++i) {
    await daemon.crash();
    const { agents } = await daemon.call('GET', '/agents');
    assert.equal(agents.length, i + 1);
    await daemon.call('POST', '/agents', shell(`made${i}`, 'echo after the crash'));
    await row(page, `made${i}`).getByText('after the crash').waitFor();
  }
  await daemon.call('POST', '/agents/ticks/stop', {});
  await badge(page, 'ticks', 'stopped').waitFor();
  await daemon.call('DELETE', '/agents/made0');
  await row(page, 'made0').waitFor({ state: 'detached' });
  assert.deepEqual(page.complained, []);
});

test('when it was away for long, the town shows what the log says', async (t) => {
  const daemon = await startTown(t, [
    scripted('asks', { calls: [command] }),
    shell('prints', 'echo begin; read go; i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo line $i; done; sleep 1000'),
  ]);
  await daemon.untilState('asks', 'needs_input');
  const proxy = await Proxy.start(t, daemon.port);
  const page = await openPage(t, daemon, { origin: proxy.origin });
  await row(page, 'prints').getByText('begin').waitFor();
  await badge(page, 'asks', 'waiting').waitFor();
  proxy.refuses = true;
  proxy.cut();
  await page.getByText('The daemon does not answer').waitFor();

  await daemon.call('POST', '/agents/prints/message', { text: 'go' });
  const [{ id }] = (await daemon.call('GET', '/approvals')).approvals;
  await daemon.call('POST', `/agents/asks/approvals/${id}`, { decision: 'deny', reason: 'not today' });
  await until('10,000 lines', async () => (await daemon.call('GET', '/agents/prints/events?tail=1')).events[0].data.text === 'line 10000');
  await daemon.call('POST', '/agents/prints/stop', {});
  await daemon.untilState('prints', 'exited');
  assert.ok(await row(page, 'prints').getByText('begin').isVisible());

  proxy.refuses = false;
  await page.getByText('The daemon does not answer').waitFor({ state: 'detached' });
  await row(page, 'prints').getByText('line 10000').waitFor();
  await badge(page, 'prints', 'stopped').waitFor();
  await goTo(page, '#/inbox');
  await page.locator('.decided').getByText('not today').waitFor();
  assert.deepEqual(page.complained, []);
});

test('a hidden tab gets no output, and shows all when somebody looks again', async (t) => {
  const daemon = await startTown(t, [
    shell('prints', 'echo begin; read go; i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo line $i; done; sleep 1000'),
  ]);
  const context = await (await startBrowser(t)).newContext({ viewport: kLaptop });
  // Chromium without a screen has no hidden tabs. The test counts the messages of the worker.
  await context.addInitScript(() => {
    Object.defineProperty(document, 'hidden', { get: () => globalThis.away ?? false });
    globalThis.hide = (hidden) => {
      globalThis.away = hidden;
      document.dispatchEvent(new Event('visibilitychange'));
    };
    globalThis.heard = [];
    const { set } = Object.getOwnPropertyDescriptor(MessagePort.prototype, 'onmessage');
    Object.defineProperty(MessagePort.prototype, 'onmessage', {
      set(take) {
        set.call(this, (event) => (globalThis.heard.push(event.data.kind), take(event)));
      },
    });
  });
  const pages = [await openPage(t, daemon, { context }), await openPage(t, daemon, { context, hash: '#/agents/prints' })];
  const [town, view] = pages;
  await row(town, 'prints').getByText('begin').waitFor();
  await view.getByText('begin', { exact: true }).waitFor();
  for (const page of pages) await page.evaluate(() => (globalThis.hide(true), (globalThis.heard = [])));
  await daemon.call('POST', '/agents/prints/message', { text: 'go' });
  const visible = await openPage(t, daemon, { context, hash: '#/' });
  await row(visible, 'prints').getByText('line 10000').waitFor();
  await daemon.call('POST', '/agents', scripted('asks', { calls: [command] }));
  for (const page of pages) await until('the title', async () => /^\(1\)/.test(await page.title()));
  for (const page of pages) {
    const heard = await page.evaluate(() => globalThis.heard);
    assert.deepEqual(heard.filter((kind) => kind === 'events'), [], 'the log');
    assert.ok(heard.filter((kind) => kind === 'town').length < 5, heard.join());
    assert.equal(await page.getByText('line 10000').count(), 0);
  }
  for (const page of pages) await page.evaluate(() => globalThis.hide(false));
  await row(town, 'prints').getByText('line 10000').waitFor();
  await row(town, 'asks').waitFor();
  await view.getByText('line 10000').first().waitFor();
});

test('twenty tabs share one connection, and each is answered', async (t) => {
  const daemon = await startTown(t, [shell('a1', 'sleep 1000')]);
  const first = await openPage(t, daemon);
  await row(first, 'a1').waitFor();
  const { viewers } = await daemon.call('GET', '/health');
  const tabs = [];
  for (let i = 1; i < 20; ++i) tabs.push(await openPage(t, daemon, { context: first.context(), hash: '' }));
  for (const tab of tabs) await row(tab, 'a1').waitFor();
  assert.equal((await daemon.call('GET', '/health')).viewers, viewers, 'a tab has a connection of its own');
  await tabs.at(-1).keyboard.press('n');
  await tabs.at(-1).getByRole('radio', { name: /^process/ }).waitFor();
  await daemon.call('POST', '/agents/a1/stop', {});
  for (const tab of [first, ...tabs.slice(0, -1)]) await badge(tab, 'a1', 'stopped').waitFor();
});

test('works where a browser has no SharedWorker: each tab has a connection', async (t) => {
  const daemon = await startTown(t, [shell('a1', 'echo hello; sleep 1000')]);
  const context = await (await startBrowser(t)).newContext({ viewport: kLaptop });
  await context.addInitScript(() => delete globalThis.SharedWorker);
  const pages = [await openPage(t, daemon, { context }), await openPage(t, daemon, { context })];
  for (const page of pages) await row(page, 'a1').getByText('hello').waitFor();
  await daemon.crash();
  await daemon.call('POST', '/agents/a1/stop', {});
  for (const page of pages) await badge(page, 'a1', 'stopped').waitFor();
  assert.deepEqual(pages.flatMap((page) => page.complained), []);
});

test('output and names that are hostile stay text', async (t) => {
  const html = '<img src=x onerror="document.body.dataset.owned=1"><script>document.body.dataset.owned=1</script>';
  const daemon = await startTown(t, [
    shell('html', `printf '%s\\n' '${html}'; sleep 1000`, { title: html, labels: { x: '<b>bold</b>' } }),
    shell('ansi', "printf '\\033[31mred\\033[0m \\033]0;owned\\007plain\\n'; sleep 1000"),
    shell('bidi', "printf 'user \\342\\200\\256 nimda\\n'; sleep 1000"),
    shell('huge', 'head -c 3000000 /dev/zero | tr "\\0" x; echo; sleep 1000'),
    scripted('asks', { calls: [{ ...command, input: { command: `echo '${html}' \u202e; curl x \u001b[8mhidden` } }] }, { title: html }),
  ]);
  await daemon.untilState('asks', 'needs_input');
  const page = await openPage(t, daemon);
  await row(page, 'html').getByText('onerror').first().waitFor();
  await row(page, 'ansi').getByText('red plain', { exact: true }).waitFor();
  await row(page, 'bidi').locator('.last').waitFor();
  assert.ok(!(await row(page, 'bidi').innerText()).includes('\u202e'));
  await row(page, 'huge').locator('.last').waitFor();
  assert.ok((await row(page, 'huge').innerText()).length < 1000);
  await goTo(page, '#/inbox');
  const shown = await card(page, 'asks').locator('.command').innerText();
  assert.ok(shown.includes(html) && shown.includes('⟨U+202E⟩') && shown.includes('␛[8m'), shown);
  assert.equal(await page.evaluate(() => document.body.dataset.owned), undefined);
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  assert.deepEqual(page.complained, []);
});

// --- inbox

test('an approval is decided by keys: nothing is chosen beforehand, and a reason reaches the agent', async (t) => {
  const daemon = await startTown(t, [scripted('a1', { calls: [edit] }), scripted('a2', { calls: [command] }, { permissions: { timeout_ms: 600000 } })]);
  await daemon.untilState('a1', 'needs_input');
  await daemon.untilState('a2', 'needs_input');
  const page = await openPage(t, daemon, { hash: `#/inbox?token=${daemon.token}` });
  await card(page, 'a1').waitFor();
  assert.equal(await page.locator('[data-question][data-chosen]').count(), 0);
  await page.keyboard.press('a');
  await page.keyboard.press('d');
  await card(page, 'a2').getByText(/auto-denied in \d+m/).waitFor();
  assert.equal((await daemon.call('GET', '/approvals')).approvals.length, 2, 'a key decided without a choice');
  assert.deepEqual(await card(page, 'a1').locator('.line.del .text').allInnerTexts(), ['the deamon']);
  assert.deepEqual(await card(page, 'a1').locator('.line.add .text').allInnerTexts(), ['the daemon']);
  await card(page, 'a2').getByText('make test && rm -r build').waitFor();

  const [{ agent: oldest }] = (await daemon.call('GET', '/approvals')).approvals;
  const newest = oldest === 'a1' ? 'a2' : 'a1';
  await page.keyboard.press('j');
  await page.keyboard.press('a');
  await card(page, oldest).getByText('Allowed by a person').waitFor();
  await until('the next one', async () => (await card(page, newest).getAttribute('data-chosen')) === 'true');
  await page.keyboard.press('r');
  await page.keyboard.type('use the test database');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing waits for you.').waitFor();
  await page.locator('.decided').getByText('Denied by a person: use the test database').waitFor();
  const events = await daemon.events(newest);
  const { data } = events.find(({ type }) => type === 'approval.resolved');
  assert.equal(data.decision, 'deny');
  assert.equal(data.reason, 'use the test database');
  assert.deepEqual(page.complained, []);
});

test('an approval is read and decided in two taps on a phone', async (t) => {
  const daemon = await startTown(t, [scripted('a1', { calls: [command] }, { title: 'A title that is longer than a line of a phone can be' })]);
  await daemon.untilState('a1', 'needs_input');
  const page = await openPage(t, daemon, { viewport: kPhone });
  await badge(page, 'a1', 'waiting').waitFor();
  await page.getByRole('link', { name: /^Inbox/ }).tap();
  const allow = card(page, 'a1').getByRole('button', { name: 'Allow once' });
  await allow.waitFor();
  assert.ok(await card(page, 'a1').locator('.command').isVisible());
  const box = await allow.boundingBox();
  assert.ok(box.y + box.height < kPhone.height - 54, 'the button is not in sight');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await allow.tap();
  await card(page, 'a1').getByText('Allowed by a person').waitFor();
  await daemon.untilState('a1', 'idle');
});

test('an approval that two tabs answer at once is decided once, and both say how', async (t) => {
  const daemon = await startTown(t, [scripted('a1', { calls: [command] })]);
  await daemon.untilState('a1', 'needs_input');
  const one = await openPage(t, daemon, { hash: `#/inbox?token=${daemon.token}` });
  await card(one, 'a1').waitFor();
  const two = await openPage(t, daemon, { hash: '#/inbox', context: one.context() });
  await card(two, 'a1').waitFor();
  await Promise.all([
    card(one, 'a1').getByRole('button', { name: 'Allow once' }).click(),
    card(two, 'a1').getByRole('button', { name: 'Deny', exact: true }).click().catch(() => {}), // it may be decided already
  ]);
  const outcome = (page) => card(page, 'a1').locator('.outcome').innerText();
  const said = await Promise.all([outcome(one), outcome(two)]);
  assert.equal(said[0], said[1]);
  const resolved = (await daemon.events('a1')).filter(({ type }) => type === 'approval.resolved');
  assert.equal(resolved.length, 1);
  assert.equal(said[0].startsWith('Allowed'), resolved[0].data.decision === 'allow_once');
});

test('a question of an agent is a form', async (t) => {
  const questions = [
    { question: 'Which colour?', header: 'Colour', multiSelect: false, options: [{ label: 'red', description: 'loud' }, { label: 'blue', description: 'calm' }] },
    { question: 'Which files?', header: 'Files', multiSelect: true, options: [{ label: 'a.txt', description: '' }, { label: 'b.txt', description: '' }] },
  ];
  const request = { subtype: 'can_use_tool', tool_name: 'AskUserQuestion', tool_use_id: 'c1', input: { questions } };
  const script = [
    ['out', 'initialize'],
    ['in', { type: 'control_response', response: { subtype: 'success', request_id: 'initialize-1', response: {} } }],
    ['out', 'prompt'],
    ['in', { type: 'system', subtype: 'init', session_id: 's-1' }],
    ['in', { type: 'control_request', request_id: 'q1', request }],
    ['out', 'answer'],
    ['in', { type: 'result', subtype: 'success', is_error: false, terminal_reason: 'completed', session_id: 's-1' }],
  ];
  const daemon = await Daemon.start(t);
  const recording = path.join(daemon.dir, 'recording');
  const lines = script.map(([dir, text]) => JSON.stringify({ time: '2026-11-20T10:00:00.000Z', dir, text: typeof text === 'string' ? text : JSON.stringify(text) }));
  writeFileSync(recording, `${lines.join('\n')}\n`);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'claude', prompt: 'go', command: [reeveBinary(), 'replay', '--fast', recording] });
  await daemon.untilState('a1', 'needs_input');
  const page = await openPage(t, daemon, { hash: `#/inbox?token=${daemon.token}` });
  const form = card(page, 'a1');
  await form.waitFor();
  assert.equal(await form.locator(':checked').count(), 0);
  await form.getByRole('button', { name: 'Answer' }).click();
  await form.getByText('Please answer this.').waitFor();
  await form.getByRole('radio', { name: /^blue/ }).check();
  for (const box of await form.getByRole('checkbox').all()) await box.check();
  await form.getByRole('button', { name: 'Answer' }).click();
  await form.getByText('Answered by a person').waitFor();
  const { data } = (await daemon.events('a1')).find(({ type }) => type === 'elicitation.resolved');
  assert.equal(data.action, 'accept');
  assert.deepEqual(page.complained, []);
});

test('a question that comes while nobody looks is a notification, which leads to the inbox', async (t) => {
  const daemon = await startTown(t, [shell('b1', 'sleep 1000')]);
  const context = await (await startBrowser(t)).newContext({ viewport: kLaptop });
  // Chromium without a screen shows no notifications, and has no hidden tabs.
  await context.addInitScript(() => {
    globalThis.notes = [];
    globalThis.Notification = class {
      static permission = 'default';
      static requestPermission = async () => (Notification.permission = 'granted');
      constructor(title, options) {
        globalThis.notes.push({ title, ...options, open: () => this.onclick() });
      }
      close() {}
    };
    Object.defineProperty(document, 'hidden', { get: () => globalThis.away ?? false });
  });
  const page = await openPage(t, daemon, { context });
  await row(page, 'b1').waitFor();
  await page.keyboard.press('i');
  await page.getByRole('button', { name: 'Notify me' }).click();
  await page.getByRole('button', { name: 'Notify me' }).waitFor({ state: 'detached' });
  await page.keyboard.press('t');
  await page.evaluate(() => (globalThis.away = true));
  await daemon.call('POST', '/agents', scripted('a1', { calls: [command] }, { title: 'Runs the tests' }));
  await until('a notification', () => page.evaluate(() => globalThis.notes.length > 0));
  const [{ title, body }] = await page.evaluate(() => globalThis.notes.map(({ title, body }) => ({ title, body })));
  assert.equal(title, 'Runs the tests waits for you');
  assert.equal(body, 'bash: make test && rm -r build');
  await page.evaluate(() => globalThis.notes[0].open());
  await card(page, 'a1').waitFor();
  assert.deepEqual(page.complained, []);
});

// --- start

test('starts an agent by a form, with errors at their fields, and another one like it', async (t) => {
  const daemon = await Daemon.start(t);
  const page = await openPage(t, daemon);
  await page.getByText('No agents yet.').waitFor();
  await page.getByRole('link', { name: 'Start', exact: true }).click();
  await page.getByRole('radio', { name: /^process/ }).check();
  const start = page.getByRole('button', { name: 'Start' });
  await start.click();
  await page.getByText('kind process needs a command').waitFor();
  await until('the field', () => page.evaluate(() => document.activeElement.name === 'command'));
  await page.getByLabel('Command').fill("echo 'two words' $HOME; sleep 1000");
  await page.getByLabel('Title').fill('Made by hand');
  await page.getByLabel('Labels').fill('team=web, size=small');
  await page.locator('summary', { hasText: 'Limits' }).click();
  await page.getByLabel('Time of a run').fill('soon');
  await start.click();
  await page.getByText('write a duration as').waitFor();
  await page.getByLabel('Time of a run').fill('1h30m');
  await page.locator('summary', { hasText: 'More' }).click();
  await page.getByLabel('Id', { exact: false }).first().fill('by-hand');
  await start.click();
  await until('the agent', () => page.url().endsWith('#/agents/by-hand'));
  const made = await daemon.untilState('by-hand', 'running', 'idle');
  assert.deepEqual(made.command, ['sh', '-c', "echo 'two words' $HOME; sleep 1000"]);
  assert.deepEqual(made.labels, { team: 'web', size: 'small' });
  assert.equal(made.limits.wall_ms, 5_400_000);

  await goTo(page, '#/start?like=by-hand');
  await until('the spec', async () => (await page.getByLabel('Title').inputValue()) === 'Made by hand');
  await start.click();
  await until('another agent', async () => (await daemon.call('GET', '/agents')).agents.length === 2);
  const other = (await daemon.call('GET', '/agents')).agents.find(({ id }) => id !== 'by-hand');
  assert.deepEqual([other.command, other.labels, other.limits], [made.command, made.labels, made.limits]);
  assert.deepEqual(page.complained.filter((line) => !/400/.test(line)), []);
});

// --- for all

test('axe finds nothing serious in any view, light and dark, on a laptop and on a phone', async (t) => {
  const daemon = await startTown(t, [
    shell('failed', 'echo broken; exit 3', { labels: { team: 'web' } }),
    shell('runs', 'while :; do echo works; sleep 0.2; done', { title: 'Runs all night' }),
    shell('done', 'echo fine'),
    scripted('asks', { calls: [command] }, { title: 'Wants to run the tests' }),
    scripted('edits', { calls: [edit] }, { title: 'Wants to edit the guide' }),
  ]);
  await daemon.untilState('asks', 'needs_input');
  await daemon.untilState('edits', 'needs_input');
  for (const [name, viewport] of [['laptop', kLaptop], ['phone', kPhone]]) {
    for (const scheme of ['light', 'dark']) {
      const page = await openPage(t, daemon, { viewport, scheme });
      for (const [view, ready] of [['', '[data-agent=asks]'], ['inbox', '[data-question]'], ['start', '.kind']]) {
        await goTo(page, `#/${view}`);
        await page.locator(ready).first().waitFor();
        await page.screenshot({ path: path.join(outDir, `dashboard-${view || 'town'}-${name}-${scheme}.png`) });
        // The policy of the page allows no script of another place; the debugger may evaluate one.
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => globalThis.axe.run());
        const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
        const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`);
        assert.deepEqual(found, [], `${view || 'town'} on a ${name}, ${scheme}`);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
      }
      assert.deepEqual(page.complained, []);
      await page.context().browser().close();
    }
  }
});

// --- real agents, with the local model

for (const kind of ['claude', 'codex', 'kilo']) {
  test(`${kind} asks in the inbox, is allowed, and its work is seen`, { skip: skipped(kind) }, async (t) => {
    const daemon = await Daemon.start(t);
    const model = await Model.start(t);
    await createAgent(daemon, kind, 'a1', model.port, { prompt: 'Work: TOOL[echo from the shell > made.txt]', title: `A real ${kind}` });
    await daemon.untilState('a1', 'needs_input');
    const page = await openPage(t, daemon);
    await badge(page, 'a1', 'waiting').waitFor();
    await page.keyboard.press('i');
    await card(page, 'a1').locator('.command', { hasText: 'echo from the shell > made.txt' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('a');
    await card(page, 'a1').getByText('Allowed by a person').waitFor();
    await daemon.untilState('a1', 'idle');
    await page.keyboard.press('t');
    await badge(page, 'a1', 'ready').waitFor();
    await row(page, 'a1').locator('.last').waitFor();
    await until('its tokens', async () => (await row(page, 'a1').locator('.tokens').innerText()) !== '');
    await page.screenshot({ path: path.join(outDir, `dashboard-${kind}.png`) });
    assertSameOrigin(page, daemon);
    assert.deepEqual(page.complained, []);
  });
}
