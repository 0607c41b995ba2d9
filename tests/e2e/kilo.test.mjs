// A real kilo server on a model of the tests' own, seen by three viewers at once and on the page.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { StreamClient, ticketsFrom } from '../../control/dashboard/stream-client.js';
import { assertSameSequence, Daemon, outDir, startBrowser, until } from './harness.mjs';
import { createAgent, Model, skipped } from './kinds.mjs';

const skip = skipped('kilo');
const kSlowMs = 90_000; // a cold kilo takes a while to start

async function startKilo(t, daemon) {
  const model = await Model.start(t);
  await createAgent(daemon, 'kilo', 'k1', model.port);
}

function openViewer(t, daemon, after) {
  const events = [];
  const gaps = [];
  const client = new StreamClient({
    tickets: ticketsFrom(`${daemon.origin}/agents/k1/stream-ticket`, { headers: daemon.authorization }),
    after,
    onEvent: (event) => events.push(event),
    onGap: (gap) => gaps.push(gap),
  });
  t.after(() => client.stop());
  client.start();
  const has = (type, matches = () => true) => events.find((event) => event.type === type && matches(event));
  const sees = (type, matches) =>
    until(() => `${type}; seen: ${events.map((event) => event.type).join(' ')}`, () => has(type, matches), kSlowMs);
  return { client, events, gaps, sees };
}

// The command lines of the living processes of this daemon's agent, by the environment they were given.
function processes(daemon) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        const ours = environment.includes('REEVE_AGENT_ID=k1\0') && environment.includes(daemon.dir);
        return ours ? `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}` : '';
      } catch {
        return ''; // it has gone, or is not ours
      }
    })
    .filter((command) => command !== '');
}

function say(daemon, text) {
  return daemon.call('POST', '/agents/k1/message', { text });
}

function allow(daemon, { data }) {
  return daemon.call('POST', `/agents/k1/approvals/${data.id}`, { decision: 'allow_once' });
}

test('a turn with a tool and an approval: three viewers, one late, see the same', { skip }, async (t) => {
  const daemon = await Daemon.start(t);
  await startKilo(t, daemon);
  const early = [openViewer(t, daemon, '0'), openViewer(t, daemon, '0')];
  await early[0].sees('agent.ready');
  await say(daemon, 'TOOL[echo from-the-tool]');
  const asked = await early[0].sees('approval.requested');
  assert.equal((await daemon.call('GET', '/agents/k1')).state, 'needs_input');

  const late = openViewer(t, daemon, `${asked.epoch}-${asked.seq}`);
  await allow(daemon, asked);
  const all = [...early, late];
  for (const viewer of all) await viewer.sees('run.completed');
  const done = await late.sees('tool.completed');
  assert.match(JSON.stringify(done.data.output), /from-the-tool/);

  await daemon.call('POST', '/agents/k1/stop', {});
  for (const { client } of all) await until('the end', () => client.state === 'ended', kSlowMs);
  const log = await daemon.events('k1');
  for (const [i, viewer] of early.entries()) assertSameSequence(viewer.events, log, `viewer ${i}`);
  assert.deepEqual(late.events, log.slice(asked.seq), 'the late viewer');
  for (const { gaps } of all) assert.deepEqual(gaps, []);
  assert.equal(log.filter(({ type }) => /^run\.(completed|failed|cancelled)$/.test(type)).length, 1);
  assert.deepEqual(processes(daemon), []);
});

test('kill -9 of the server in mid-turn: the run fails, the streams end, no process is left', { skip }, async (t) => {
  const daemon = await Daemon.start(t);
  await startKilo(t, daemon);
  const viewers = [openViewer(t, daemon, '0'), openViewer(t, daemon, '0')];
  await viewers[0].sees('agent.ready');
  await say(daemon, 'TOOL[sleep 1000]');
  await allow(daemon, await viewers[0].sees('approval.requested'));
  // The tool runs in a session of its own; only then is there something that could be left.
  await until('the tool', () => processes(daemon).some((command) => command.includes('sleep 1000')), kSlowMs);

  process.kill((await daemon.call('GET', '/agents/k1')).pid, 'SIGKILL');
  for (const viewer of viewers) {
    await viewer.sees('run.failed');
    await viewer.sees('agent.exited', ({ data }) => data.signal !== undefined);
    await until('the end', () => viewer.client.state === 'ended', kSlowMs);
  }
  await until(() => `the end of ${processes(daemon)}`, () => processes(daemon).length === 0);
  const log = await daemon.events('k1');
  for (const [i, viewer] of viewers.entries()) assertSameSequence(viewer.events, log, `viewer ${i}`);
});

test('an approval given on the page', { skip }, async (t) => {
  const daemon = await Daemon.start(t);
  await startKilo(t, daemon);
  const browser = await startBrowser(t);
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
  page.setDefaultTimeout(kSlowMs);
  await page.goto(`${daemon.origin}/plain#token=${daemon.token}&agent=k1`);
  await page.locator('agent-stream').getByText('agent is ready').waitFor();
  await page.locator('textarea').fill('TOOL[echo from-the-tool]');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Allow once' }).waitFor();
  await page.screenshot({ path: path.join(outDir, 'approval.png') });
  await page.getByRole('button', { name: 'Allow once' }).click();
  await page.locator('agent-stream').getByText('Allowed once').waitFor();
  await page.locator('agent-stream .rule.completed').waitFor();
  await page.screenshot({ path: path.join(outDir, 'turn.png') });
});
