// GET /ws with the WebSockets that people use: npm's, Chromium's, and Python's. Each stays on an agent while the daemon
// is killed again and again. Messages in many frames, with pings in between, and messages that are refused.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import WebSocket from 'ws';

import { openViewer } from './gateway_viewer.mjs';
import { assertSameSequence, complaints, Daemon, startBrowser, ticker, until } from './harness.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const kCrashes = 5;
const kLongest = 1 << 20; // bytes of a message

// --- viewers

async function startTicker(t) {
  const daemon = await Daemon.start(t, ['--restart-delay', '0']);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ticker() });
  const { ticket } = await daemon.call('POST', '/stream-ticket', { agents: ['a1'] });
  return { daemon, url: `${daemon.origin.replace('http', 'ws')}/ws`, ticket };
}

// Kills the daemon `kCrashes` times, each time once the viewer has heard an event and the answer to its call on the
// newest connection; `look` returns the viewer as it is now. Then ends the agent, and expects that the viewer has the
// whole log.
async function crashAndCompare(daemon, look) {
  for (let opened = 1; opened <= kCrashes + 1; ++opened) {
    const reached = (what, condition) =>
      until(`${what} of connection ${opened}`, async () => condition(await look()));
    await reached('the begin', (viewer) => viewer.opened === opened);
    await reached('the answer', (viewer) => viewer.answered === opened);
    const last = Number((await daemon.call('GET', '/agents/a1')).cursor.split('-')[1]);
    await reached('events', (viewer) => viewer.events.at(-1)?.seq > last);
    if (opened <= kCrashes) await daemon.crash();
  }
  await daemon.call('POST', '/agents/a1/stop', {});
  await until('the last event', async () => (await look()).events.at(-1).type === 'agent.exited');
  const viewer = await look();
  assertSameSequence(viewer.events, await daemon.events('a1'), 'the viewer');
  assert.deepEqual(viewer.codes, Array(kCrashes).fill(1006));
}

test("npm's ws stays on an agent over crashes of the daemon", async (t) => {
  const { daemon, url, ticket } = await startTicker(t);
  const viewer = openViewer(WebSocket, url, ticket, 'a1');
  await crashAndCompare(daemon, () => viewer);
  await daemon.kill(); // the viewer has no daemon to come back to, and ends
});

test("Chromium's WebSocket stays on an agent over crashes of the daemon", async (t) => {
  const { daemon, url, ticket } = await startTicker(t);
  const page = await (await startBrowser(t)).newPage();
  const complained = complaints(page);
  await page.goto(`${daemon.origin}/`);
  await page.evaluate(`window.viewer = (${openViewer})(WebSocket, '${url}', '${ticket}', 'a1')`);
  await crashAndCompare(daemon, () => page.evaluate(() => window.viewer));
  assert.deepEqual(complained, []);
});

test("Python's websockets stays on an agent over crashes of the daemon", async (t) => {
  const { daemon, url, ticket } = await startTicker(t);
  const program = path.join(here, 'gateway_viewer.py');
  const python = spawn(process.env.PYTHON ?? '/usr/bin/python3', [program, url, ticket, 'a1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => python.once('exit', resolve));
  const kill = () => {
    python.kill('SIGKILL');
    return exited;
  };
  t.after(kill);
  const viewer = { opened: 0, answered: 0, events: [], codes: [] };
  createInterface(python.stdout).on('line', (line) => {
    const { closed, id, result, params } = JSON.parse(line);
    if (closed) viewer.codes.push(closed);
    else if (id === 2 && result?.id === 'a1') viewer.answered += 1;
    else if (params?.type === 'gateway.ready') viewer.opened += 1;
    else if (params?.seq) {
      const { subscription, ...event } = params;
      viewer.events.push(event);
    }
  });
  await crashAndCompare(daemon, () => viewer);
  await kill(); // before its daemon, which it would miss loudly
});

// --- frames

// A connection with the daemon's token.
class Connection {
  static async open(t, daemon) {
    const connection = new Connection();
    const socket = new WebSocket(`${daemon.origin.replace('http', 'ws')}/ws`, { headers: daemon.authorization });
    t.after(() => socket.terminate());
    connection.socket = socket;
    connection.answers = [];
    connection.pongs = [];
    connection.closed = new Promise((resolve) => socket.once('close', (code) => resolve(code)));
    socket.on('pong', (data) => connection.pongs.push(String(data)));
    const ready = new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (data) => {
        const message = JSON.parse(data);
        if (message.params?.type === 'gateway.ready') resolve();
        if (message.id !== undefined) connection.answers.push(message);
      });
    });
    await ready;
    return connection;
  }

  // Sends a text in pieces of `size` bytes, each a frame, with a ping after each one.
  sendInPieces(text, size) {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) {
      const fin = at + size >= bytes.length;
      this.socket.send(bytes.subarray(at, at + size), { binary: false, fin });
      if (!fin) this.socket.ping(`${at}`);
    }
  }

  async answer(id) {
    const found = () => this.answers.find((answer) => answer.id === id);
    return until(() => `answer ${id}; there are ${JSON.stringify(this.answers)}`, found);
  }
}

const call = (id, method, params) => JSON.stringify({ jsonrpc: '2.0', id, method, params });

// A call that writes to the stdin of agent a1 and is exactly `size` bytes long; the number of bytes that it writes.
function longCall(size) {
  const empty = call(1, 'agents.stdin', { id: 'a1', bytes: '' });
  const written = size - empty.length;
  return { text: call(1, 'agents.stdin', { id: 'a1', bytes: 'x'.repeat(written) }), written };
}

async function startReader(t) {
  const daemon = await Daemon.start(t);
  await daemon.call('POST', '/agents', { id: 'a1', kind: 'process', command: ['sh', '-c', 'wc -c'] });
  return { daemon, connection: await Connection.open(t, daemon) };
}

test('a message may come in many frames, with pings in between', async (t) => {
  const { connection } = await startReader(t);
  const title = 'Jürgen, 日本語, 😀'; // the frames end within characters, too
  for (const size of [1, 2, 3, 7, 50]) {
    const text = call(size, 'agents.update', { id: 'a1', patch: { title: `${title} ${size}` } });
    connection.pongs = [];
    connection.sendInPieces(text, size);
    assert.equal((await connection.answer(size)).result.title, `${title} ${size}`);
    // A pong may answer all pings before it (RFC 6455 section 5.5.3).
    const last = size * (Math.ceil(Buffer.byteLength(text) / size) - 2);
    await until('the last pong', () => connection.pongs.at(-1) === `${last}`);
    assert.ok(connection.pongs.every((at, i, all) => i === 0 || Number(at) > Number(all[i - 1])), 'in order');
  }
});

for (const [how, send] of [
  ['one frame', (connection, text) => connection.socket.send(text)],
  ['many frames', (connection, text) => connection.sendInPieces(text, 50_000)],
]) {
  test(`a message of 1 MiB in ${how} is taken, and one more byte is not`, async (t) => {
    const { daemon, connection } = await startReader(t);
    const { text, written } = longCall(kLongest);
    assert.equal(Buffer.byteLength(text), kLongest);
    send(connection, text);
    assert.deepEqual((await connection.answer(1)).result, { offset: written });

    send(connection, longCall(kLongest + 1).text);
    assert.equal(await connection.closed, 1009);
    await daemon.call('POST', '/agents/a1/stdin?close=true');
    await daemon.untilState('a1', 'exited');
    const [output] = (await daemon.events('a1')).filter(({ type }) => type === 'agent.output');
    assert.equal(Number(output.data.text), written); // nothing of the refused one arrived
  });
}

test('a binary message closes the connection, and no other one', async (t) => {
  const { daemon, connection } = await startReader(t);
  const other = await Connection.open(t, daemon);
  connection.socket.send(Buffer.from(call(1, 'gateway.ping', {})));
  assert.equal(await connection.closed, 1003);
  assert.deepEqual(connection.answers, []);
  other.socket.send(call(1, 'gateway.ping', {}));
  assert.match((await other.answer(1)).result.time, /^\d{4}-/);
});
