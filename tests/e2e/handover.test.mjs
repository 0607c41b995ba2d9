// Another daemon follows, again and again, while real agents are in mid-turn and viewers watch:
// orchestrator/handover/KEEPER.md. No agent is restarted, nothing is lost, nothing comes twice.
//
// REEVE_HANDOVERS is how often (50). Each REEVE_UPGRADE_EVERY-th time it is an upgrade (2), otherwise a crash; 0: never.
// REEVE_SEED makes other moments.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';

import { checkLog, isEnd } from './agent_log.mjs';
import { Daemon, until } from './harness.mjs';
import { createAgent, Model, skipped } from './kinds.mjs';

const kHandovers = Number(process.env.REEVE_HANDOVERS ?? 50);
const kUpgradeEvery = Number(process.env.REEVE_UPGRADE_EVERY ?? 2);
const kKinds = ['claude', 'codex', 'kilo', 'acp'];
const kViewers = 20;
const kSlowMs = 90_000; // a cold kilo takes a while to start
const kWords = 150;
const kTools = 3;
const prompts = [`LONG=${kWords} DELAY=20`, `SAY TOOL*${kTools}[sleep 0.2; echo hi] LONG=${kWords} DELAY=10`];
const kSeed = Number(process.env.REEVE_SEED ?? 4);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let random = kSeed;
const upTo = (most) => {
  random = (random * 1103515245 + 12345) % 2 ** 31;
  return random % most;
};

// A request on a connection of its own.
function request(daemon, method, target, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const options = { method, agent: false, headers: { ...daemon.authorization, ...headers } };
    if (body) options.headers['content-type'] = 'application/json';
    const asked = http.request(daemon.origin + target, options, resolve);
    asked.on('error', reject);
    asked.end(body && JSON.stringify(body));
  });
}

async function call(daemon, method, target, body) {
  const answer = await request(daemon, method, target, body);
  let text = '';
  for await (const bytes of answer) text += bytes;
  assert.ok(answer.statusCode < 300, `${method} ${target}: ${answer.statusCode} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

// Follows an agent as an EventSource does: by Last-Event-ID, over every end of its stream.
class Viewer {
  constructor(daemon, agent) {
    Object.assign(this, { daemon, agent, events: [], last: '0', streams: 0, gaps: [], stopped: false });
    this.done = this.follow();
  }

  async follow() {
    while (!this.stopped) {
      try {
        await this.read();
      } catch {
        // cut off: the next stream goes on
      }
      await sleep(upTo(30));
    }
  }

  async read() {
    const answer = await request(this.daemon, 'GET', `/agents/${this.agent}/stream?after=0&follow=1`, undefined, {
      'last-event-id': this.last,
    });
    assert.equal(answer.statusCode, 200);
    this.streams += 1;
    this.cut = () => answer.destroy();
    let held = '';
    answer.setEncoding('utf8');
    for await (const text of answer) {
      held += text;
      for (let end; (end = held.indexOf('\n\n')) >= 0; held = held.slice(end + 2)) this.take(held.slice(0, end));
    }
  }

  take(block) {
    const fields = Object.fromEntries(block.split('\n').map((line) => [line.split(': ')[0], line.slice(line.indexOf(': ') + 2)]));
    if (fields.event === 'stream.gap') this.gaps.push(fields.data);
    if (fields.id !== undefined && fields.event !== undefined) this.events.push(JSON.parse(fields.data));
    if (fields.id !== undefined) this.last = fields.id;
  }

  stop() {
    this.stopped = true;
    this.cut?.();
    return this.done;
  }
}

const skip = kKinds.map(skipped).find(Boolean) ?? false;
const timeout = 600_000 + 5_000 * kHandovers;
test(`${kHandovers} handovers with ${kKinds} in mid-turn and ${kViewers} viewers`, { skip, timeout }, async (t) => {
  const model = await Model.start(t);
  const daemon = await Daemon.start(t, ['--restart-delay', '0']);
  const agents = kKinds;
  for (const kind of kKinds) {
    await createAgent(daemon, kind, kind, model.port, { permissions: { default: 'allow' } });
  }
  const untilIdle = (id) =>
    until(`${id} to be idle`, async () => (await call(daemon, 'GET', `/agents/${id}`)).state === 'idle', kSlowMs);
  for (const id of agents) await untilIdle(id);
  const pids = new Map();
  for (const id of agents) pids.set(id, (await call(daemon, 'GET', `/agents/${id}`)).pid);
  const viewers = Array.from({ length: kViewers }, (_, i) => new Viewer(daemon, agents[i % agents.length]));
  t.after(() => Promise.all(viewers.map((viewer) => viewer.stop())));
  await until('all viewers to be there', () => viewers.every(({ streams }) => streams === 1));

  const said = new Map(agents.map((id) => [id, []]));
  let inMidTurn = 0;
  for (let i = 0; i < kHandovers; ++i) {
    for (const id of agents) {
      if ((await call(daemon, 'GET', `/agents/${id}`)).state !== 'idle') continue;
      const prompt = prompts[said.get(id).length % prompts.length];
      const { message_id } = await call(daemon, 'POST', `/agents/${id}/message`, { text: prompt });
      said.get(id).push({ prompt, message_id });
    }
    await sleep(upTo(400));
    for (const id of agents) inMidTurn += (await call(daemon, 'GET', `/agents/${id}`)).state === 'running' ? 1 : 0;
    if (kUpgradeEvery > 0 && i % kUpgradeEvery === 0) {
      await call(daemon, 'POST', '/upgrade', {});
    } else {
      await daemon.crash();
    }
    await until(
      () => `handover ${i + 1}\n${daemon.log}`,
      async () => {
        const { handovers, restarts } = await call(daemon, 'GET', '/health').catch(() => ({}));
        return handovers + restarts === i + 1;
      },
    );
  }
  assert.ok(inMidTurn > kHandovers, `agents were in mid-turn ${inMidTurn} times only`);
  t.diagnostic(`agents were in mid-turn ${inMidTurn} times of ${kHandovers * agents.length}`);

  for (const id of agents) {
    await untilIdle(id);
    assert.equal((await call(daemon, 'GET', `/agents/${id}`)).pid, pids.get(id), `${id} is another process`);
    const log = await daemon.events(id);
    checkLog(log);
    assert.equal(log.filter(({ type }) => type === 'agent.starting').length, 1, `${id} was started again`);
    assert.deepEqual(log.filter(({ type, data }) => type === 'agent.error' && data.code !== 'warning'), [], id);
    for (const { prompt, message_id } of said.get(id)) {
      const end = log.filter((event) => isEnd(event) && event.data.message_id === message_id);
      assert.deepEqual(end.map(({ type }) => type), ['run.completed'], `${id}: ${message_id}`);
      const run = log.filter(({ run }) => run === end[0].run);
      const texts = run.filter(({ type }) => type === 'assistant.message').map(({ data }) => data.text.trim());
      assert.equal(texts.at(-1).split(' ').length, kWords, `${id}: ${texts.at(-1)}`);
      const calls = run.filter(({ type }) => type === 'tool.completed').length;
      assert.equal(calls, prompt.includes('TOOL') ? kTools : 0, `${id}: ${prompt}`);
      assert.equal(run.filter(({ type }) => type === 'user.message').length, 1, `${id}: asked twice`);
    }
  }
  for (const viewer of viewers) {
    const log = await daemon.events(viewer.agent);
    await until(
      () => `a viewer of ${viewer.agent} to have all ${log.length} events; it has ${viewer.events.length}`,
      () => viewer.events.length >= log.length,
    );
    assert.deepEqual(viewer.gaps, []);
    assert.ok(viewer.streams > kHandovers / 2, `a viewer was hardly ever cut off: ${viewer.streams} streams`);
    assert.deepEqual(viewer.events, log);
  }
});
