// Clients that reconnect by themselves, with the spent ticket in the URL and the resume cookie: Chromium's native
// EventSource and npm's. Two at once share one jar of cookies and must not disturb each other.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventSource } from 'eventsource';

import { assertSameSequence, Daemon, Proxy, startBrowser, ticker, until } from './harness.mjs';

// An EventSource tells only types that it was asked for.
const kTypes = [
  'agent.starting', 'agent.ready', 'agent.exited', 'agent.failed', 'agent.restarting', 'agent.stopping',
  'agent.output', 'agent.stalled', 'agent.resumed', 'agent.updated', 'agent.error', 'process.killed',
  'message.queued', 'message.started', 'message.done', 'message.cancelled', 'user.message',
  'run.started', 'run.completed', 'run.failed', 'run.cancelled',
];

// Cuts the connections between the viewers and the daemon `times` times, each time once all are open; then ends the
// agent, and expects each viewer to have been closed by the daemon's 204, with the whole sequence.
//
// To be open means here to have heard an event: a cut between the daemon's taking of a resume ticket and the
// client's getting of the next one ends the stream, as it must when each is good for one use.
async function cutAndCompare(daemon, proxy, viewers, times, cut = () => proxy.cut()) {
  const each = async (what, reached) => {
    for (const [i, viewer] of viewers.entries()) await until(`${what}, viewer ${i}`, () => reached(viewer), 30_000);
  };
  for (let opened = 1; opened <= times + 1; ++opened) {
    await each(`stream ${opened}`, async (viewer) => (await viewer.opened()) === opened);
    const last = (await daemon.call('GET', '/agents/a1')).cursor.split('-')[1];
    await each(`events of stream ${opened}`, async (viewer) => (await viewer.seq()) > Number(last));
    if (opened <= times) await cut();
  }
  await daemon.call('POST', '/agents/a1/stop', {});
  await each('the 204', async (viewer) => (await viewer.readyState()) === 2);
  const log = await daemon.events('a1');
  for (const [i, viewer] of viewers.entries()) assertSameSequence(await viewer.events(), log, `viewer ${i}`);
}

async function startTicker(t, ...args) {
  const daemon = await Daemon.start(t, ...args);
  const proxy = await Proxy.start(t, daemon.port);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ticker() });
  return { daemon, proxy };
}

async function streamUrl(daemon, proxy) {
  const { url } = await daemon.call('POST', '/agents/a1/stream-ticket', {});
  return `${proxy.origin}${url}&after=0`;
}

// Two tabs of one browser.
async function openTabs(t, daemon, proxy) {
  const browser = await startBrowser(t);
  const context = await browser.newContext(); // one jar of cookies
  const openTab = async () => {
    const page = await context.newPage();
    await page.goto(`${proxy.origin}/`);
    await page.evaluate(
      ([url, types]) => {
        Object.assign(window, { events: [], opened: 0, source: new EventSource(url) });
        window.source.addEventListener('open', () => (window.opened += 1));
        for (const type of types) {
          window.source.addEventListener(type, ({ data }) => window.events.push(JSON.parse(data)));
        }
      },
      [await streamUrl(daemon, proxy), kTypes],
    );
    return {
      opened: () => page.evaluate(() => window.opened),
      seq: () => page.evaluate(() => window.events.at(-1)?.seq ?? 0),
      events: () => page.evaluate(() => window.events),
      readyState: () => page.evaluate(() => window.source.readyState),
    };
  };
  return [await openTab(), await openTab()];
}

test("Chromium's EventSource comes back by its cookie, two tabs at once", async (t) => {
  const { daemon, proxy } = await startTicker(t);
  await cutAndCompare(daemon, proxy, await openTabs(t, daemon, proxy), 2);
});

test("Chromium's EventSource stays on an agent over ten crashes of the daemon", async (t) => {
  const { daemon, proxy } = await startTicker(t, ['--restart-delay', '0']);
  await cutAndCompare(daemon, proxy, await openTabs(t, daemon, proxy), 10, () => daemon.crash());
});

// As a browser's: cookies by path, over all connections.
class CookieJar {
  #cookies = new Map();

  fetch = async (url, init) => {
    const { pathname } = new URL(url);
    const own = [...this.#cookies.values()].filter(({ path }) => pathname.startsWith(path));
    const cookie = own.map(({ pair }) => pair).join('; ');
    const response = await fetch(url, { ...init, headers: { ...init.headers, ...(cookie && { cookie }) } });
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split('; ');
      const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice('path='.length) ?? '/';
      assert.ok(attributes.includes('HttpOnly') && attributes.includes('SameSite=Strict'), line);
      assert.equal(path, pathname);
      this.#cookies.set(pair.split('=')[0], { pair, path });
    }
    return response;
  };
}

test("npm's eventsource comes back by its cookie, two at once", async (t) => {
  const { daemon, proxy } = await startTicker(t);
  const jar = new CookieJar();
  const openSource = async () => {
    const events = [];
    let opened = 0;
    const source = new EventSource(await streamUrl(daemon, proxy), { fetch: jar.fetch });
    t.after(() => source.close());
    source.addEventListener('open', () => (opened += 1));
    for (const type of kTypes) source.addEventListener(type, ({ data }) => events.push(JSON.parse(data)));
    return {
      opened: () => opened,
      seq: () => events.at(-1)?.seq ?? 0,
      events: () => events,
      readyState: () => source.readyState,
    };
  };
  await cutAndCompare(daemon, proxy, [await openSource(), await openSource()], 2);
});

test('without the cookie the spent ticket in the URL opens nothing', async (t) => {
  const { daemon, proxy } = await startTicker(t);
  const url = await streamUrl(daemon, proxy);
  let opened = 0;
  const source = new EventSource(url);
  t.after(() => source.close());
  source.addEventListener('open', () => (opened += 1));
  await until('the stream', () => opened === 1);
  const refused = new Promise((resolve) => source.addEventListener('error', ({ code }) => code && resolve(code)));
  proxy.cut();
  assert.equal(await refused, 401);
  assert.equal(opened, 1);
});
