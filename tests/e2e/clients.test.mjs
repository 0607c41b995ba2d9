// The clients of tests/clients, which people copy, against a real daemon that dies under them. The agent is `reeve
// replay` of what Claude Code would say: it asks in both of its turns.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import typescript from 'typescript';
import { WebSocketServer } from 'ws';

import { Daemon, reeveBinary, until } from './harness.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const clients = path.join(here, '../clients');

const python = [process.env.PYTHON ?? '/usr/bin/python3', path.join(clients, 'client.py')];

const commands = ['make', 'make test'];
const turn = (command, i) => [
  ['out', 'a message'],
  ['in', { type: 'system', subtype: 'init', session_id: 's-1' }],
  [
    'in',
    {
      type: 'control_request',
      request_id: `q${i}`,
      request: { subtype: 'can_use_tool', tool_name: 'Bash', tool_use_id: `c${i}`, input: { command } },
    },
  ],
  ['out', 'the decision'],
  ['in', { type: 'result', subtype: 'success', is_error: false, terminal_reason: 'completed', session_id: 's-1' }],
];
const script = [
  ['out', 'initialize'],
  ['in', { type: 'control_response', response: { subtype: 'success', request_id: 'initialize-1', response: {} } }],
  ...commands.flatMap(turn),
];

// A temporary folder that ends with the test.
function folder(t) {
  const made = mkdtempSync(path.join(tmpdir(), 'reeve-clients-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

// Starts a program; `output` is what it has printed so far.
function start(t, [program, ...args], options) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
  const exited = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  t.after(() => {
    child.kill('SIGKILL');
    return exited;
  });
  const running = { child, exited, output: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (running.output += bytes));
  return running;
}

// Starts a client. The program of its agent, if it is not the kind's own, follows `args`.
function startClient(t, command, { origin, token }, args, options) {
  const env = { ...process.env, REEVE_SERVER: origin, REEVE_TOKEN: token };
  return start(t, [...command, ...args], { env, ...options });
}

// Runs a client and answers its questions; the daemon is killed at each.
async function checkClient(t, daemon, command) {
  const recording = path.join(folder(t), 'recording');
  const lines = script.map(([dir, said]) => {
    const text = typeof said === 'string' ? said : JSON.stringify(said);
    return JSON.stringify({ time: '2026-11-20T10:00:00.000Z', dir, text });
  });
  writeFileSync(recording, `${lines.join('\n')}\n`);
  const agent = [reeveBinary(), 'replay', '--fast', recording];
  const args = ['claude', 'fix the build', 'and now the tests', ...agent];
  const client = startClient(t, command, daemon, args, { cwd: daemon.dir });
  for (const command of commands) {
    const question = `use bash with {"command":"${command}"}? [y/n] `;
    const asked = () => client.output.replaceAll('": "', '":"').includes(question);
    await until(() => `the question about ${command}; the client said ${client.output}`, asked);
    const next = daemon.crash();
    client.child.stdin.write('y\n');
    await next;
  }
  assert.deepEqual(await client.exited, { code: 0, signal: null }, client.output);

  const { output } = client;
  // It said each event once, in the order of the log, up to the end of its second message.
  const { agents: [{ id }] } = await daemon.call('GET', '/agents');
  const log = await daemon.events(id);
  const printed = [...output.matchAll(/^(?:.*\[y\/n\] )?(\d+-\d+ \S+) /gm)].map(([, line]) => line);
  const expected = log.map(({ epoch, seq, type }) => `${epoch}-${seq} ${type}`);
  assert.deepEqual(printed, expected.slice(0, printed.length), output);
  assert.match(printed.at(-1), / run\.completed$/);
  assert.match(output, new RegExp(`${id} has done both\n$`));
  assert.equal(output.split('[y/n]').length, 1 + commands.length, `it asked twice: ${output}`);

  // The daemon did once each thing that it said.
  const all = (type, field) => log.filter((event) => event.type === type).map(({ data }) => data[field]);
  assert.deepEqual(all('approval.resolved', 'decision'), ['allow_once', 'allow_once']);
  assert.deepEqual(all('user.message', 'text'), ['fix the build', 'and now the tests']);
  assert.equal((await daemon.call('GET', '/agents')).agents.length, 1);
}

test('the Python client', async (t) => {
  const daemon = await Daemon.start(t, ['--restart-delay', '0']);
  await checkClient(t, daemon, python);
});

// A folder in which programs find the packages of this one.
function packageFolder(t) {
  const made = folder(t);
  symlinkSync(path.join(here, 'node_modules'), path.join(made, 'node_modules'));
  writeFileSync(path.join(made, 'package.json'), '{"type":"module"}');
  return made;
}

test('the TypeScript client', async (t) => {
  const daemon = await Daemon.start(t, ['--restart-delay', '0']);
  const cwd = packageFolder(t);
  const run = (script, ...args) => {
    execFileSync(process.execPath, [path.join(here, 'node_modules', script), ...args], { cwd, stdio: 'pipe' });
  };
  cpSync(path.join(clients, 'client.ts'), path.join(cwd, 'client.ts'));
  writeFileSync(path.join(cwd, 'openapi.json'), JSON.stringify(await daemon.call('GET', '/openapi.json')));
  run('openapi-typescript/bin/cli.js', 'openapi.json', '-o', 'api.ts');
  run('typescript/bin/tsc', '--strict', '--target', 'es2022', '--module', 'esnext', '--moduleResolution', 'bundler',
    '--types', 'node', 'client.ts');
  await checkClient(t, daemon, [process.execPath, path.join(cwd, 'client.js')]);
});

// The TypeScript client without its types, which another test checks.
function bareTypeScript(t) {
  const program = path.join(packageFolder(t), 'client.js');
  const source = readFileSync(path.join(clients, 'client.ts'), 'utf8');
  const compilerOptions = { module: typescript.ModuleKind.ESNext, target: typescript.ScriptTarget.ES2022 };
  writeFileSync(program, typescript.transpileModule(source, { compilerOptions }).outputText);
  return [process.execPath, program];
}

// A wrong token, and one that may not create agents.
async function checkTokens(t, command) {
  const daemon = new Daemon([], reeveBinary());
  t.after(() => daemon.remove());
  const tokens = path.join(daemon.dir, 'tokens');
  writeFileSync(tokens, 'admin an-admin-token-0123456789\nview a-view-token-0123456789\n', { mode: 0o600 });
  writeFileSync(path.join(daemon.dir, 'token'), 'an-admin-token-0123456789\n', { mode: 0o600 });
  daemon.args = ['--token-file', tokens];
  await daemon.spawn();
  const { origin } = daemon;
  const refused = { 'a-wrong-token-0123456789': 'unauthorized', 'a-view-token-0123456789': 'forbidden' };
  for (const [token, code] of Object.entries(refused)) {
    const client = startClient(t, command, { origin, token }, ['process', 'one', 'two', 'cat']);
    assert.deepEqual(await client.exited, { code: 1, signal: null }, client.output);
    assert.match(client.output, new RegExp(`^${code}: [^\n]*\n$`));
  }
}

test('the Python client says that its token does not do', (t) => checkTokens(t, python));
test('the TypeScript client says that its token does not do', (t) => checkTokens(t, bareTypeScript(t)));

// Servers in which the test gives each answer, for those that a real daemon does not give on demand.
async function listen(t, server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  return { origin: `http://127.0.0.1:${server.address().port}`, token: 'any' };
}

const problem = (code, status) => ({ type: 'about:blank', title: code, status, detail: 'the reason', code });
const refusals = [problem('draining', 503), problem('request_under_way', 409)];

// Two requests, of which each was refused twice and then accepted, were the same three times.
function checkKeys(keys) {
  assert.equal(keys.length, 2);
  for (const sent of keys) {
    assert.equal(sent.length, 1 + refusals.length);
    assert.equal(new Set(sent).size, 1);
    assert.ok(sent[0]);
  }
  assert.notEqual(keys[0][0], keys[1][0]);
}

const gap = { from: '1-1', to: '1-4', reason: 'damaged' };
async function checkRefused(client) {
  assert.deepEqual(await client.exited, { code: 0, signal: null }, client.output);
  assert.match(client.output, /^the events from 1-1 to 1-4 are lost: damaged$/m);
  assert.match(client.output, /a1 has done both\n$/);
}

test('the Python client repeats what the daemon does not take now', async (t) => {
  const results = { '/agents': { id: 'a1' }, '/agents/a1/message': { message_id: 'm2' } };
  const keys = { '/agents': [], '/agents/a1/message': [] };
  let stream;
  const tell = (type, data, seq) => {
    const said = seq ? { agent: 'a1', epoch: 1, seq, type, data } : data;
    stream.write(`event: ${type}\ndata: ${JSON.stringify(said)}\n\n`);
  };
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.method === 'GET') {
      stream = response;
      tell('stream.gap', gap);
      return tell('run.completed', { message_id: 'm1' }, 5);
    }
    const sent = keys[request.url];
    const refused = refusals[sent.length];
    sent.push(request.headers['idempotency-key']);
    response.writeHead(refused?.status ?? 200);
    response.end(JSON.stringify(refused ?? results[request.url]));
    if (!refused && stream) tell('run.completed', { message_id: 'm2' }, 6);
  });
  await checkRefused(startClient(t, python, await listen(t, server), ['claude', 'one', 'two']));
  checkKeys(Object.values(keys));
});

// `receive` gets each call, `send` sends an answer, and `tell` an event of the agent a1.
function startGateway(t, receive) {
  const server = http.createServer((request, response) => response.end('{"ticket":"t"}'));
  new WebSocketServer({ server }).on('connection', (socket) => {
    const send = (message) => socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
    const tell = (type, data, seq) => {
      send({ method: 'event', params: { agent: 'a1', ...(seq && { epoch: 1, seq }), type, data } });
    };
    tell('gateway.ready', { resume: 'r' });
    socket.on('message', (text) => receive(JSON.parse(text), send, tell));
  });
  return listen(t, server);
}

test('the TypeScript client repeats what the daemon does not take now', async (t) => {
  const results = { 'agents.create': { id: 'a1' }, 'agents.message': { message_id: 'm2' } };
  const keys = { 'agents.create': [], 'agents.message': [] };
  const daemon = await startGateway(t, ({ id, method, params }, send, tell) => {
    if (method === 'events.subscribe') {
      send({ id, result: { subscription: 1 } });
      tell('stream.gap', gap);
      return tell('run.completed', { message_id: 'm1' }, 5);
    }
    const refused = refusals[keys[method].length];
    keys[method].push(params.idempotency_key);
    if (refused) return send({ id, error: { code: 4009, message: refused.detail, data: refused } });
    send({ id, result: results[method] });
    if (method === 'agents.message') tell('run.completed', { message_id: 'm2' }, 6);
  });
  await checkRefused(startClient(t, bareTypeScript(t), daemon, ['claude', 'one', 'two']));
  checkKeys(Object.values(keys));
});

test('the TypeScript client says why no events follow', async (t) => {
  const command = bareTypeScript(t);
  const refused = problem('agent_not_found', 404);
  const ends = [
    [(id, send) => send({ id, error: { code: 4001, message: '', data: refused } }), 'agent_not_found: the reason'],
    [(id, send, tell) => tell('stream.bye', { reason: 'unreadable' }), 'Error: the events of a1 end: unreadable'],
    [(id, send, tell) => tell('stream.bye', { reason: 'agent_deleted' }), 'Error: a1 was deleted'],
  ];
  for (const [end, said] of ends) {
    const daemon = await startGateway(t, ({ id, method }, send, tell) => {
      if (method === 'agents.create') send({ id, result: { id: 'a1' } });
      else end(id, send, tell);
    });
    const client = startClient(t, command, daemon, ['claude', 'one', 'two']);
    assert.deepEqual(await client.exited, { code: 1, signal: null }, client.output);
    assert.equal(client.output, `${said}\n`);
  }
});

test('the lines of the README show an agent', async (t) => {
  const daemon = await Daemon.start(t);
  await daemon.call('POST', '/agents', { id: 'b1', kind: 'process', command: ['echo', 'hello'] });
  const readme = readFileSync(path.join(here, '../../README.md'), 'utf8');
  const [lines] = /^    import WebSocket from 'ws';\n(?:    .*\n)+/m.exec(readme);
  const program = path.join(packageFolder(t), 'shown.mjs');
  writeFileSync(program, lines.replace('127.0.0.1:8080', `127.0.0.1:${daemon.port}`));
  const shown = start(t, [process.execPath, program], { env: { ...process.env, REEVE_TOKEN: daemon.token } });
  await until(() => `the agent's output; there is ${shown.output}`, () => /text: 'hello'/.test(shown.output));
});
