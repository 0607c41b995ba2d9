// The dashboard beside a large and loud town: 1,000 agents, 2,000 events a second. Tasks of the page take less than 50 ms of
// processor time, and its memory stays flat. REEVE_WATCH_S is the time of watching, 15 s if it is not set. The times are
// only told, unless REEVE_QUIET says that nothing else runs on the machine.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Daemon, startBrowser, until } from './harness.mjs';

const kAgents = 1000;
const kLoud = 40; // of them print
const kLinesPerSecond = 50; // each
const kWatchMs = Number(process.env.REEVE_WATCH_S ?? 15) * 1000;
const kLongTaskMs = 50;
const kLongestTaskMs = 100; // other programs take the caches from it
const kMostGrowth = 8 << 20; // bytes of the page's heap

const printer = `$| = 1; while (1) { print "line ", $i++, " of the output of an agent\\n"; select(undef, undef, undef, ${1 / kLinesPerSecond}) }`;

async function inGroups(items, size, each) {
  for (let i = 0; i < items.length; i += size) await Promise.all(items.slice(i, i + size).map(each));
}

// The tasks of the page's main thread, in ms of processor time, which other programs hardly prolong, the longest first.
function tasksOf(trace) {
  const { traceEvents } = JSON.parse(trace);
  const main = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid}/${tid}`),
  );
  const tasks = traceEvents.filter(({ name, pid, tid, tdur }) => name.endsWith('RunTask') && tdur !== undefined && main.has(`${pid}/${tid}`));
  assert.ok(tasks.length > 100, `only ${tasks.length} tasks in the trace`);
  return tasks.map(({ tdur }) => tdur / 1000).sort((a, b) => b - a);
}

test('stays quick and small beside 1,000 agents with 2,000 events a second', async (t) => {
  const daemon = await Daemon.start(t);
  const specs = Array.from({ length: kAgents }, (_, i) => ({
    id: `agent-${String(i).padStart(4, '0')}`,
    kind: 'process',
    title: `Agent number ${i} of a large town`,
    labels: { team: ['web', 'infra', 'compiler', 'docs'][i % 4] },
    command: i < kLoud ? ['perl', '-e', printer] : ['sh', '-c', `echo done; exit ${i % 50 === 0 ? 1 : 0}`],
  }));
  await inGroups(specs, 20, (spec) => daemon.call('POST', '/agents', spec));

  const browser = await startBrowser(t);
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(`${daemon.origin}/#token=${daemon.token}`);
  await until('all agents', async () => (await page.getByRole('button', { name: /^All/ }).innerText()).includes(String(kAgents)));

  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await session.send('Runtime.getHeapUsage')).usedSize;
  };
  const before = await heap();
  const seen = async () => Number(/line (\d+) of/.exec(await page.locator('[data-agent="agent-0000"] .last').innerText())?.[1]);
  const search = page.getByLabel('Search agents');
  await search.fill('agent-0000');
  await until('a line', seen);
  const first = await seen();
  await search.fill('');
  await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline', 'devtools.timeline', '__metadata'] });
  const end = Date.now() + kWatchMs;
  while (Date.now() < end) {
    await page.mouse.move(640, 500);
    for (let i = 0; i < 10; ++i) await page.mouse.wheel(0, 1500);
    await page.keyboard.press('/');
    await page.keyboard.type('number 7');
    await page.keyboard.press('Escape');
    await page.keyboard.press('g');
    for (let i = 0; i < 10; ++i) await page.keyboard.press('j');
  }
  const tasks = tasksOf((await browser.stopTracing()).toString());
  await search.fill('agent-0000');
  await until('later lines', async () => (await seen()) > first + 100);
  await search.fill('');
  const growth = (await heap()) - before;
  const longest = tasks.slice(0, 3).map((ms) => ms.toFixed(1));
  t.diagnostic(`the longest of ${tasks.length} tasks took ${longest.join(', ')} ms; the heap grew by ${(growth / 1024).toFixed(0)} KiB`);
  if (process.env.REEVE_QUIET) {
    assert.ok(tasks[Math.ceil(tasks.length / 1000)] < kLongTaskMs, `more than one task in a thousand is long: ${longest}`);
    assert.ok(tasks[0] < kLongestTaskMs, `a task took ${tasks[0]} ms`);
  }
  assert.ok(growth < kMostGrowth, `the heap grew by ${growth} bytes`);
});
