// The worker of the dashboard without a browser: its connection to a daemon that fails in all ways, and its picture of the
// town.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Gateway } from '../../control/dashboard/app/worker/gateway.js';
import { Town } from '../../control/dashboard/app/worker/town.js';
import { until } from './wait.mjs';

// --- a daemon

class FakeSocket {
  static OPEN = 1;
  static made = [];
  readyState = 0;
  sent = [];

  constructor(url, protocols) {
    this.ticket = protocols[1].replace('reeve.ticket.', '');
    FakeSocket.made.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.();
  }

  accept(resume) {
    this.readyState = 1;
    this.onopen?.();
    const data = { version: '1', town: 'town', scope: 'admin', heartbeat_ms: 15_000, resume };
    this.say({ method: 'event', params: { type: 'gateway.ready', data } });
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

// A gateway whose daemon answers to checks of tickets with `checks.status`; an Error: it does not answer.
function makeGateway(t, onOnline = () => {}) {
  FakeSocket.made = [];
  const before = { fetch: globalThis.fetch, WebSocket: globalThis.WebSocket };
  const checks = { status: 204, asked: [] };
  globalThis.WebSocket = FakeSocket;
  globalThis.fetch = async (url, { headers }) => {
    assert.equal(String(url), 'http://daemon/ws/ticket');
    checks.asked.push(headers['x-reeve-ticket']);
    if (checks.status instanceof Error) throw checks.status;
    return { status: checks.status };
  };
  const states = [];
  const gateway = new Gateway(new URL('http://daemon/'), { onState: ({ status }) => states.push(status), onOnline: () => onOnline(gateway) });
  t.after(() => {
    gateway.signOut();
    Object.assign(globalThis, before);
  });
  return { gateway, states, checks, sockets: FakeSocket.made };
}

const socket = async (sockets, n) => {
  await until(`connection ${n}`, () => sockets.length >= n);
  return sockets[n - 1];
};
const isOpen = ({ readyState }) => readyState < 2;

test('checks while the daemon is away open one connection, and use a ticket once', async (t) => {
  const { gateway, states, sockets } = makeGateway(t);
  gateway.signIn({ ticket: 'first' });
  (await socket(sockets, 1)).accept('second');
  sockets[0].close();
  await until('the loss', () => states.at(-1) === 'away');
  gateway.check();
  gateway.check();
  (await socket(sockets, 2)).readyState = 0;
  gateway.check();
  await new Promise(setImmediate);
  assert.deepEqual(sockets.map(({ ticket }) => ticket), ['first', 'second']);
  sockets[1].accept('third');
  assert.equal(gateway.state.status, 'online');
  assert.equal(sockets.filter(isOpen).length, 1);
});

test('handshakes that fail end no sign-in, unless the daemon says that the ticket is void', async (t) => {
  const { gateway, states, checks, sockets } = makeGateway(t);
  gateway.signIn({ ticket: 'first' });
  (await socket(sockets, 1)).accept('second');
  sockets[0].close();
  for (const [n, status] of [[2, 204], [3, 503], [4, new Error('no network')], [5, 204]]) {
    checks.status = status;
    gateway.check();
    (await socket(sockets, n)).close();
    const asked = n - 1;
    await until('the question', () => checks.asked.length === asked);
    await new Promise(setImmediate);
    assert.equal(states.at(-1), 'away');
  }
  assert.deepEqual(checks.asked, Array(4).fill('second'));
  checks.status = 401;
  gateway.check();
  (await socket(sockets, 6)).close();
  await until('the end', () => states.at(-1) === 'signed_out');
  assert.match(gateway.state.reason, /used before/);
});

test('another sign-in takes the place of the present one when the daemon has accepted it, and not before', async (t) => {
  const { gateway, states, checks, sockets } = makeGateway(t);
  const first = gateway.signIn({ ticket: 'first' });
  (await socket(sockets, 1)).accept('second');
  await first;
  checks.status = 401;
  const bad = gateway.signIn({ ticket: 'bad' });
  (await socket(sockets, 2)).close();
  await assert.rejects(bad, /used before/);
  assert.deepEqual(states.filter((status) => status !== 'online'), ['connecting']);
  assert.ok(isOpen(sockets[0]));

  const good = gateway.signIn({ ticket: 'good' });
  const other = await socket(sockets, 3);
  assert.ok(isOpen(sockets[0]));
  other.accept('third');
  await good;
  assert.ok(!isOpen(sockets[0]));
  assert.equal(gateway.state.resume, 'third');
  other.close();
  gateway.check();
  assert.equal((await socket(sockets, 4)).ticket, 'third');
});

test('a new connection is asked for everything once', async (t) => {
  const begun = [];
  const { gateway, sockets } = makeGateway(t, (online) => {
    if (begun.length === 0) online.subscribe({ agent: '*' }, {});
    begun.push(online.call('agents.list').catch(() => {}));
  });
  gateway.signIn({ ticket: 'first' });
  (await socket(sockets, 1)).accept('second');
  sockets[0].close();
  gateway.check();
  (await socket(sockets, 2)).accept('third');
  const asked = ({ sent }) => sent.map(({ method }) => method).sort();
  assert.deepEqual(asked(sockets[0]), ['agents.list', 'events.subscribe', 'gateway.ping']);
  assert.deepEqual(asked(sockets[1]), ['agents.list', 'agents.list', 'events.subscribe', 'gateway.ping']);
});

test('signing out leaves nothing at the daemon', async (t) => {
  const { gateway, sockets } = makeGateway(t);
  gateway.signIn({ ticket: 'first' });
  (await socket(sockets, 1)).accept('second');
  gateway.signOut();
  assert.equal(sockets[0].sent.at(-1).method, 'gateway.sign_out');
  assert.ok(!isOpen(sockets[0]));
});

// --- the town

// A town of the agents `agents`, with a daemon that answers from `agents`, `logs` (id → envelopes) and `approvals`.
function makeTown(t, { agents = [], logs = {}, approvals = [] } = {}) {
  const daemon = { agents, logs, approvals };
  const page = (page_token) => ({ agents: daemon.agents.slice(Number(page_token ?? 0), Number(page_token ?? 0) + 2) });
  const matches = (type, types) => !types || types.some((one) => type === one || (one.endsWith('.*') && type.startsWith(one.slice(0, -1))));
  const gateway = {
    subscribe: (params, { event }) => ((daemon.event = event), () => {}),
    async call(method, { id, types, page_token, tail } = {}) {
      if (method === 'agents.list') {
        await daemon.beforePage?.(page_token);
        const next = Number(page_token ?? 0) + 2;
        return { ...page(page_token), ...(next < daemon.agents.length && { next_page_token: String(next) }) };
      }
      if (method === 'approvals.list') return { approvals: structuredClone(daemon.approvals) };
      if (method === 'events.since') return { events: (daemon.logs[id] ?? []).filter(({ type }) => matches(type, types)).slice(-tail) };
      return daemon.agents.find((agent) => agent.id === id);
    },
  };
  const town = new Town(gateway, () => {});
  t.after(() => town.forget());
  return { town, daemon };
}

const agent = (id, seq) => ({ id, state: 'running', cursor: `1-${seq}` });
const log = (id, ...events) => events.map(([type, data], i) => ({ agent: id, epoch: 1, seq: i + 1, time: `2026-01-31T08:00:0${i}.000Z`, type, data }));
const liveOf = (town, id) => new Map(town.picture().lives).get(id);

test('an agent that is made while the list is read stays in the town', async (t) => {
  const agents = ['a1', 'a2', 'a3'].map((id) => agent(id, 1));
  const { town, daemon } = makeTown(t, { agents });
  daemon.beforePage = async (token) => {
    if (token === undefined) return;
    daemon.beforePage = undefined;
    const made = agent('a0', 1); // before the first page
    daemon.agents = [...agents, made];
    daemon.event({ agent: 'a0', epoch: 1, seq: 1, type: 'agent.created', data: {} });
    await until('the new agent', () => town.picture().agents.some(({ id }) => id === 'a0'));
    daemon.agents = agents;
  };
  town.begin();
  await until('the list', () => town.picture().known);
  assert.deepEqual(town.picture().agents.map(({ id }) => id).sort(), ['a0', 'a1', 'a2', 'a3']);
});

test('after the daemon was away the town is what the logs say', async (t) => {
  const call = ['tool.started', { call_id: 'c1', name: 'bash', input: { command: 'make' } }];
  const { town, daemon } = makeTown(t, {
    agents: [agent('a1', 2), agent('quiet', 1)],
    logs: { a1: log('a1', ['run.started', {}], call), quiet: log('quiet', ['agent.output', { text: 'hello' }]) },
    approvals: [{ agent: 'a1', id: 'q1', tool: 'bash', requested_at: '2026-01-31T08:00:01.000Z' }],
  });
  town.begin();
  await until('the list', () => town.picture().known);
  town.look(['a1', 'quiet']);
  await until('the call', () => liveOf(town, 'a1').call?.text === 'bash  make');
  await until('the line', () => liveOf(town, 'quiet').last === 'hello');

  const lines = Array.from({ length: 50 }, (_, i) => ['agent.output', { text: `line ${i}` }]);
  daemon.logs.a1 = log('a1', ['run.started', {}], call, ['approval.resolved', { id: 'q1', decision: 'deny', by: 'person' }],
    ['tool.failed', { call_id: 'c1' }], ['agent.stopping', { by: 'person' }], ...lines);
  daemon.agents = [{ ...agent('a1', 55), state: 'exited' }, agent('quiet', 1)];
  daemon.approvals = [];
  town.begin();
  await until('the last line', () => liveOf(town, 'a1').last === 'line 49');
  assert.equal(liveOf(town, 'a1').call, undefined);
  assert.equal(liveOf(town, 'a1').stoppedBy, 'person');
  await until('the decision', () => town.picture().decided.length === 1);
  const [{ decision, question }] = town.picture().decided;
  assert.equal(decision, 'deny');
  assert.equal(question.tool, 'bash');

  // An event that the look has already shown changes nothing, and a later one does.
  daemon.event(daemon.logs.a1.find(({ type }) => type === 'tool.started'));
  assert.equal(liveOf(town, 'a1').call, undefined);
  daemon.event({ agent: 'a1', epoch: 1, seq: 56, type: 'agent.output', data: { text: 'later' } });
  assert.equal(liveOf(town, 'a1').last, 'later');
});

test('a sign-out leaves no work behind', async (t) => {
  const { town, daemon } = makeTown(t, { agents: [agent('a1', 1)] });
  town.begin();
  await until('the list', () => town.picture().known);
  daemon.event({ agent: 'a1', epoch: 1, seq: 2, type: 'run.started', data: {} });
  daemon.event({ agent: 'a1', epoch: 1, seq: 3, type: 'usage.updated', data: {} });
  town.forget();
  assert.deepEqual(town.picture().agents, []);
  let looks = 0;
  daemon.agents = { find: () => ++looks, slice: () => [], length: 0 };
  town.begin();
  await until('the list', () => town.picture().known);
  daemon.event({ agent: 'a2', epoch: 1, seq: 1, type: 'run.started', data: {} });
  await until('a look', () => looks > 0);
  assert.equal(looks, 1, 'the changes from before the sign-out are looked at');
});
