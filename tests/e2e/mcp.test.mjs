// The Model Context Protocol with the official clients: that of the revisions with a handshake (npm's sdk), and that of
// the stateless one (npm's client), each over HTTP and over `reeve mcp`. They check every answer against the schema of
// its tool. The daemon is killed while a call waits.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as modern from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';

import { Daemon, reeveBinary } from './harness.mjs';

const kInfo = { name: 'test', version: '1' };
const kSpec = { id: 'a1', kind: 'process', command: ['sh', '-c', 'read line; echo "$line, done"'] };

function http(daemon, Transport) {
  const headers = { authorization: `Bearer ${daemon.token}` };
  return new Transport(new URL(`${daemon.origin}/mcp`), { requestInit: { headers } });
}

function stdio(daemon, Transport) {
  return new Transport({ command: reeveBinary(), args: ['mcp'], env: { REEVE_DATA: daemon.dir }, stderr: 'inherit' });
}

const auto = { versionNegotiation: { mode: 'auto' } };
const fronts = [
  ['the sdk over HTTP', (d) => [new Client(kInfo), http(d, StreamableHTTPClientTransport)]],
  ['the sdk over stdio', (d) => [new Client(kInfo), stdio(d, StdioClientTransport)]],
  ['the stateless client over HTTP', (d) => [new modern.Client(kInfo, auto), http(d, modern.StreamableHTTPClientTransport)]],
  ['the stateless client over stdio', (d) => [new modern.Client(kInfo, auto), stdio(d, ModernStdio)]],
];

for (const [name, open] of fronts) {
  const stateless = name.includes('stateless');

  test(`${name}: starts an agent, waits for it and reads its answer`, async (t) => {
    const daemon = await Daemon.start(t);
    const [client, transport] = open(daemon);
    await client.connect(transport);
    t.after(() => client.close());
    assert.equal(client.getServerVersion().name, 'reeve');
    if (stateless) assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');

    const { tools } = await client.listTools();
    const ajv = addFormats(new Ajv({ strict: false }));
    for (const tool of tools) {
      assert.ok(ajv.compile(tool.inputSchema) && ajv.compile(tool.outputSchema), tool.name);
      assert.ok(tool.description.length > 40, tool.name);
    }
    const call = async (tool, args) => {
      const result = await client.callTool({ name: tool, arguments: args });
      assert.ok(!result.isError, JSON.stringify(result.content));
      return result.structuredContent;
    };

    assert.ok((await call('list_kinds', {})).kinds.some((kind) => kind.name === 'process'));
    assert.equal((await call('start_agent', { ...kSpec, kind_options: { stdin: true } })).id, 'a1');
    assert.equal((await call('wait_for_agent', { id: 'a1', until: 'ready' })).id, 'a1');
    assert.deepEqual((await call('list_agents', {})).agents.map((agent) => agent.id), ['a1']);
    assert.equal((await call('agent_status', { id: 'a1' })).id, 'a1');
    assert.deepEqual(await call('wait_for_agent', { id: 'a1', until: 'exited', timeout_ms: 1 }), {});
    assert.deepEqual((await call('list_approvals', {})).approvals, []);
    assert.ok((await call('send_message', { id: 'a1', text: 'hello' })).message_id);
    assert.equal((await call('wait_for_agent', { id: 'a1' })).status, 'completed');
    const { events } = await call('read_events', { id: 'a1', types: 'agent.output' });
    assert.deepEqual(events.map((event) => event.data.text), ['hello, done']);

    const refused = await client.callTool({ name: 'agent_status', arguments: { id: 'nobody' } });
    assert.ok(refused.isError);
    assert.match(refused.content[0].text, /^agent_not_found: /);
    await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), /no_such_tool/);
  });
}

test('a wait over stdio outlives two crashes of the daemon, and tells its progress', async (t) => {
  const daemon = await Daemon.start(t, ['--restart-delay', '0']);
  const client = new Client(kInfo);
  await client.connect(stdio(daemon, StdioClientTransport));
  t.after(() => client.close());
  await client.callTool({ name: 'start_agent', arguments: { ...kSpec, kind_options: { stdin: true } } });
  let progress = 0;
  let begun;
  const first = new Promise((resolve) => (begun = resolve));
  const options = { onprogress: () => begun(++progress), resetTimeoutOnProgress: true, timeout: 60_000 };
  const args = { id: 'a1', until: 'exited', timeout_ms: 3_600_000 };
  const wait = client.callTool({ name: 'wait_for_agent', arguments: args }, undefined, options);
  await first;
  await daemon.crash();
  await daemon.crash();
  await client.callTool({ name: 'send_message', arguments: { id: 'a1', text: 'go' } });
  assert.equal((await wait).structuredContent.id, 'a1');
  assert.ok(progress >= 1);
});

test('a cancelled wait ends, and a hundred calls at once are answered', async (t) => {
  const daemon = await Daemon.start(t);
  const client = new Client(kInfo);
  await client.connect(http(daemon, StreamableHTTPClientTransport));
  t.after(() => client.close());
  await client.callTool({ name: 'start_agent', arguments: { ...kSpec, command: ['sleep', '600'] } });
  const controller = new AbortController();
  const args = { id: 'a1', until: 'exited' };
  const wait = client.callTool({ name: 'wait_for_agent', arguments: args }, undefined, {
    signal: controller.signal,
    onprogress: () => controller.abort(),
  });
  await assert.rejects(wait, /abort/i);
  const status = { name: 'agent_status', arguments: { id: 'a1' } };
  const answers = await Promise.all(Array.from({ length: 100 }, () => client.callTool(status)));
  assert.ok(answers.every((answer) => answer.structuredContent.id === 'a1'));
});
