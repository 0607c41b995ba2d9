// <agent-stream> in a real browser on a real daemon.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { assertSameSequence, complaints, Daemon, outDir, startBrowser, ticker, until } from './harness.mjs';

// A page of the daemon's origin with nothing but an element on agent a1, which notes all it is told.
async function openViewer(browser, daemon, attributes, prepare = async () => {}) {
  const page = await browser.newPage({ viewport: { width: 900, height: 1100 } });
  const complained = complaints(page);
  await prepare(page);
  await page.goto(`${daemon.origin}/`);
  await page.evaluate(
    async ([headers, given]) => {
      await import('/assets/agent-stream.js');
      const element = document.createElement('agent-stream');
      element.headers = headers;
      element.style.height = '100vh';
      for (const [name, value] of Object.entries(given)) element.setAttribute(name, value);
      Object.assign(window, { element, events: [], gaps: [], states: [] });
      element.addEventListener('agent-event', ({ detail }) => window.events.push(detail));
      element.addEventListener('agent-gap', ({ detail }) => window.gaps.push(detail));
      element.addEventListener('agent-state', ({ detail }) => window.states.push(detail.state));
      document.body.replaceChildren(element);
    },
    [daemon.authorization, { 'ticket-url': '/agents/a1/stream-ticket', after: '0', ...attributes }],
  );
  return {
    page,
    complained,
    events: () => page.evaluate(() => window.events),
    gaps: () => page.evaluate(() => window.gaps),
    states: () => page.evaluate(() => window.states),
    state: () => page.evaluate(() => window.element.state),
    epoch: () => page.evaluate(() => window.events.at(-1)?.epoch ?? 0),
    count: () => page.evaluate(() => window.events.length),
    text: () => page.evaluate(() => window.element.shadowRoot.querySelector('.items').innerText),
  };
}

test('two pages see every event once, through kill -9 of the daemon', async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.call('POST', '/agents', {
    id: 'a1',
    kind: 'process',
    command: ticker(0.1),
    restart: { policy: 'always' },
  });
  const browser = await startBrowser(t);
  const viewers = [await openViewer(browser, daemon), await openViewer(browser, daemon)];
  const more = async (viewer, n) => {
    const before = await viewer.count();
    await until(`${n} more events`, async () => (await viewer.count()) >= before + n);
  };
  for (const viewer of viewers) await more(viewer, 5);

  for (let crash = 1; crash <= 3; ++crash) {
    const epochs = await Promise.all(viewers.map((viewer) => viewer.epoch()));
    await daemon.kill();
    await daemon.spawn();
    for (const [i, viewer] of viewers.entries()) {
      await until('events of the new epoch', async () => (await viewer.epoch()) > epochs[i]);
      await more(viewer, 5);
    }
  }
  await viewers[0].page.screenshot({ path: path.join(outDir, 'agent-stream-live.png') });

  await daemon.call('POST', '/agents/a1/stop', {});
  for (const viewer of viewers) await until('the end', async () => (await viewer.state()) === 'ended');
  await viewers[1].page.screenshot({ path: path.join(outDir, 'agent-stream-ended.png') });

  const log = await daemon.events('a1');
  for (const [i, viewer] of viewers.entries()) {
    assertSameSequence(await viewer.events(), log, `page ${i}`);
    assert.deepEqual(await viewer.gaps(), []);
    assert.deepEqual(viewer.complained, []);
    assert.ok((await viewer.states()).filter((state) => state === 'reconnecting').length >= 3);
    const lines = log.filter(({ type }) => type === 'agent.output').map(({ data }) => data.text);
    await until(`page ${i} to show all lines`, async () => {
      const shown = (await viewer.text()).split('\n').filter((line) => line.startsWith('line '));
      return shown.join() === lines.join();
    });
  }
});

test('<agent-stream> stays on an agent over ten crashes of the daemon', async (t) => {
  const daemon = await Daemon.start(t, ['--restart-delay', '0']);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ticker() });
  const browser = await startBrowser(t);
  const viewers = [await openViewer(browser, daemon), await openViewer(browser, daemon)];
  const seqs = () => Promise.all(viewers.map(async (viewer) => (await viewer.events()).at(-1)?.seq ?? 0));
  const { pid } = await daemon.untilState('a1', 'running');
  const reconnects = async (viewer) => (await viewer.states()).filter((state) => state === 'reconnecting').length;
  for (let crash = 1; crash <= 10; ++crash) {
    await until('events', async () => (await seqs()).every((seq) => seq > 0));
    await daemon.crash();
    const last = Number((await daemon.call('GET', '/agents/a1')).cursor.split('-')[1]);
    await until(`events after crash ${crash}`, async () => (await seqs()).every((seq) => seq > last));
    for (const viewer of viewers) assert.ok((await reconnects(viewer)) >= crash);
  }
  assert.equal((await daemon.call('GET', '/agents/a1')).pid, pid);
  await daemon.call('POST', '/agents/a1/stop', {});
  for (const viewer of viewers) await until('the end', async () => (await viewer.state()) === 'ended');
  const log = await daemon.events('a1');
  for (const [i, viewer] of viewers.entries()) {
    assertSameSequence(await viewer.events(), log, `page ${i}`);
    assert.deepEqual(await viewer.gaps(), []);
    assert.deepEqual(viewer.complained, []);
  }
});

test('one element on several agents keeps a position for each', async (t) => {
  const daemon = await Daemon.start(t);
  for (const id of ['a1', 'b2']) {
    const restart = { policy: 'always' };
    await daemon.call('POST', '/agents', { id, kind: 'process', command: ticker(0.05), restart });
  }
  const browser = await startBrowser(t);
  const attributes = { 'ticket-url': '/stream-ticket', agents: 'a1,b2', after: 'a1:0,b2:0' };
  const viewer = await openViewer(browser, daemon, attributes);
  const of = async (id) => (await viewer.events()).filter(({ agent }) => agent === id);
  for (const id of ['a1', 'b2']) await until(`events of ${id}`, async () => (await of(id)).length >= 10);
  const epoch = await viewer.epoch();
  await daemon.kill();
  await daemon.spawn();
  for (const id of ['a1', 'b2']) {
    await until(`${id} after the crash`, async () => (await of(id)).filter((event) => event.epoch > epoch).length >= 10);
  }
  await viewer.page.screenshot({ path: path.join(outDir, 'agent-stream-several.png') });
  for (const id of ['a1', 'b2']) await daemon.call('POST', `/agents/${id}/stop`, {});
  await until('the end', async () => (await viewer.state()) === 'ended');
  for (const id of ['a1', 'b2']) assertSameSequence(await of(id), await daemon.events(id), id);
  assert.deepEqual(await viewer.gaps(), []);
});

test('what an agent prints is shown as text and nothing else', async (t) => {
  const daemon = await Daemon.start(t);
  const evil = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script><b>bold</b>';
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ['echo', evil] });
  const browser = await startBrowser(t);
  const viewer = await openViewer(browser, daemon);
  await until('the end', async () => (await viewer.state()) === 'ended');
  await until('the line', async () => (await viewer.text()).includes(evil));
  const found = await viewer.page.evaluate(() => ({
    harmed: window.harmed,
    elements: window.element.shadowRoot.querySelectorAll('img, script').length,
  }));
  assert.deepEqual(found, { harmed: undefined, elements: 0 });
});

// No daemon sends most of these: it checks what an agent says. But one that is older or newer may.
test('no single bad event keeps the others from the page', async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ['cat'] });
  const values = [null, 7, true, 'text', [], [null], {}, { a: null }, [[{}]]];
  const fields = ['text', 'message_id', 'call_id', 'name', 'input', 'output', 'error', 'entries', 'title', 'path', 'diff'];
  fields.push('additions', 'usage', 'id', 'message', 'schema', 'options', 'json', 'stream', 'reason', 'code', 'cost_usd');
  const types = ['assistant.delta', 'assistant.message', 'reasoning.delta', 'tool.started', 'tool.output', 'tool.completed'];
  types.push('tool.failed', 'plan.updated', 'usage.updated', 'title.updated', 'file.edited', 'agent.output', 'agent.error');
  types.push('user.message', 'run.completed', 'run.failed', 'approval.requested', 'elicitation.requested');
  types.push('elicitation.resolved', 'subagent.started', 'message.queued', 'agent.failed', 'constructor', '__proto__', '');
  const bad = types.flatMap((type) => values.flatMap((value) => [value, ...fields.map((field) => ({ [field]: value }))].map((data) => ({ type, data }))));
  bad.push({ type: 'plan.updated', data: { entries: [null, 3, 'x', { content: {} }] } }, { type: null, data: null });
  bad.push({ type: 'elicitation.requested', data: { id: 'q', schema: { properties: { a: null }, required: 3 } } });
  const all = [...bad, { type: 'user.message', data: { text: 'the last of them' } }];
  const frame = ({ type, data }, i) =>
    `id: 1-${i + 1}\nevent: ${type}\ndata: ${JSON.stringify({ agent: 'a1', epoch: 1, seq: i + 1, time: '2024-05-01T10:00:00.000Z', type, run: `r${i}`, data })}\n\n`;
  const hello = JSON.stringify({ epoch: 1, oldest: '1-0', head: `1-${all.length}`, resume: 'x' });
  const body = `event: stream.hello\ndata: ${hello}\n\n${all.map(frame).join('')}event: stream.synced\ndata: {}\n\n`;
  const answer = { status: 200, contentType: 'text/event-stream; charset=utf-8', body };
  const browser = await startBrowser(t);
  const viewer = await openViewer(browser, daemon, { 'max-items': '100000' }, (page) =>
    page.route('**/agents/a1/stream?*', (route) => route.fulfill(answer)),
  );
  await until('the last event', async () => (await viewer.text()).includes('the last of them'));
  assert.equal((await viewer.events()).length >= all.length, true);
  assert.deepEqual(viewer.complained, []);
});

test('the page holds the newest items only and says how many are not shown', async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ['seq', '20000'] });
  const browser = await startBrowser(t);
  const viewer = await openViewer(browser, daemon, { 'max-items': '1000' });
  await until('the end', async () => (await viewer.state()) === 'ended');
  await until('the last line', async () => /^20000$/m.test(await viewer.text()));
  const shown = await viewer.page.evaluate(() => {
    const { shadowRoot } = window.element;
    const log = shadowRoot.querySelector('.log');
    return {
      lines: shadowRoot.querySelector('.items').innerText.match(/^\d+$/gm).length,
      dropped: shadowRoot.querySelector('[part=dropped]').textContent,
      atEnd: log.scrollHeight - log.scrollTop - log.clientHeight < 2,
    };
  });
  assert.ok(shown.lines <= 1000 && shown.lines >= 700, `${shown.lines} lines`);
  assert.match(shown.dropped, /^19,\d\d\d earlier items are not shown$/);
  assert.ok(shown.atEnd);
  assertSameSequence(await viewer.events(), await daemon.events('a1'), 'the page');
});

test('taken out of the page it lets its connection go; put back it goes on', async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ticker() });
  const browser = await startBrowser(t);
  const viewer = await openViewer(browser, daemon);
  await until('events', async () => (await viewer.count()) > 10);
  await viewer.page.evaluate(() => window.element.remove());
  await until('no viewer', async () => (await daemon.call('GET', '/agents/a1')).viewers === 0);
  await viewer.page.evaluate(() => document.body.append(window.element));
  const before = await viewer.count();
  await until('more events', async () => (await viewer.count()) > before + 10);
  await daemon.call('POST', '/agents/a1/stop', {});
  await until('the end', async () => (await viewer.state()) === 'ended');
  assertSameSequence(await viewer.events(), await daemon.events('a1'), 'the page');
});

test('an agent that does not exist is said to', async (t) => {
  const daemon = await Daemon.start(t);
  const browser = await startBrowser(t);
  const viewer = await openViewer(browser, daemon);
  await until('the error', async () => (await viewer.state()) === 'error');
  const status = await viewer.page.evaluate(() => window.element.shadowRoot.querySelector('.status .text').innerText);
  assert.match(status, /404/);
});

// --- pages of other origins

const modules = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../control/dashboard');

// A server of another origin, with an empty page and with copies of the element's modules.
async function startSite(t) {
  const server = http.createServer(({ url }, response) => {
    const script = /^\/copies\/([a-z-]+\.js)$/.exec(url);
    response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
    response.end(script ? readFileSync(path.join(modules, script[1])) : '<!DOCTYPE html><title>Another site</title><body></body>');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return `http://127.0.0.1:${server.address().port}`;
}

// Opens a page of that site, and puts an element on agent a1 into it, with modules from `from`. `tickets` is {headers, url}
// (ticket-url) or {stream} (the URL of a ticket). Returns {page, error, answered}; `answered` lists requests that have ended.
async function embed(browser, site, from, tickets) {
  const page = await browser.newPage();
  const answered = [];
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => answered.push(request.url()));
  await page.goto(site);
  const error = await page.evaluate(
    async ([from, { headers, url, stream }]) => {
      window.events = [];
      try {
        await import(`${from}/agent-stream.js`);
      } catch (error) {
        return String(error);
      }
      const element = document.createElement('agent-stream');
      element.addEventListener('agent-event', ({ detail }) => window.events.push(detail));
      element.setAttribute('after', '0');
      if (headers) {
        element.headers = headers;
        element.setAttribute('ticket-url', url);
      } else {
        element.tickets = async () => ({ url: stream });
      }
      document.body.append(element);
      return undefined;
    },
    [from, tickets],
  );
  return { page, error, answered };
}

test('a page of another origin shows the agent if the daemon allows it, and nothing otherwise', async (t) => {
  const site = await startSite(t);
  const browser = await startBrowser(t);
  const spec = { id: 'a1', kind: 'process', command: ['sh', '-c', 'echo a secret; sleep 1000'] };
  const byToken = (daemon) => ({ headers: daemon.authorization, url: `${daemon.origin}/agents/a1/stream-ticket` });
  const byTicket = async (daemon) => ({ stream: daemon.origin + (await daemon.call('POST', '/agents/a1/stream-ticket', {})).url });

  const open = await Daemon.start(t, ['--allowed-origin', site]);
  await open.call('POST', '/agents', spec);
  for (const tickets of [byToken(open), await byTicket(open)]) {
    const { page, error } = await embed(browser, site, `${open.origin}/assets`, tickets);
    assert.equal(error, undefined);
    await page.getByText('a secret').waitFor();
    await page.close();
  }

  const closed = await Daemon.start(t);
  await closed.call('POST', '/agents', spec);
  const { error } = await embed(browser, site, `${closed.origin}/assets`, byToken(closed));
  assert.match(error ?? 'the modules were loaded', /Failed to fetch/);
  // The page has copies of the modules, and even a token or a ticket.
  for (const tickets of [byToken(closed), await byTicket(closed)]) {
    const { page, error: none, answered } = await embed(browser, site, `${site}/copies`, tickets);
    assert.equal(none, undefined);
    await until('the refusal', () => answered.some((url) => url.startsWith(closed.origin)));
    assert.deepEqual(await page.evaluate(() => window.events), []);
    assert.equal((await closed.call('GET', '/health')).viewers, 0);
    await page.close();
  }
});
