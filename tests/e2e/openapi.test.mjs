// GET /openapi.json: it is valid, real answers and events are as it says, a client can be generated from it, and
// requests that are made from it at random never find a fault in the daemon.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import jsf from 'json-schema-faker';

import { Daemon, until } from './harness.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const kMethods = ['get', 'post', 'put', 'patch', 'delete'];
const kRounds = Number(process.env.OPENAPI_ROUNDS ?? 40);

async function startWithDocument(t) {
  const daemon = await Daemon.start(t);
  return { daemon, document: await daemon.call('GET', '/openapi.json') };
}

// A function that throws if a value is not what the schema says.
function checker(document) {
  const ajv = new Ajv.default({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema({ $id: 'doc', ...document });
  return (schema, value, what) => {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"doc#/components');
    const validate = ajv.compile(JSON.parse(text));
    assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value).slice(0, 2000)}`);
  };
}

function operations(document) {
  return Object.entries(document.paths).flatMap(([pattern, methods]) =>
    kMethods.filter((method) => methods[method]).map((method) => ({ pattern, method, ...methods[method] })),
  );
}

test('the document is valid', async (t) => {
  const { document } = await startWithDocument(t);
  const result = await new Validator().validate(structuredClone(document));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
});

test('each example is what its schema says', async (t) => {
  const { document } = await startWithDocument(t);
  const check = checker(document);
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    for (const example of schema.examples ?? []) check({ $ref: `#/components/schemas/${name}` }, example, name);
  }
  for (const one of operations(document)) {
    for (const [status, response] of Object.entries(one.responses)) {
      for (const { schema, example, examples } of Object.values(response.content ?? {})) {
        const what = `${one.operationId} ${status}`;
        if (example !== undefined) check(schema, example, what);
        for (const { value } of Object.values(examples ?? {})) check(schema, value, what);
      }
    }
  }
});

test('real answers and events are as the document says', async (t) => {
  const { daemon, document } = await startWithDocument(t);
  const check = checker(document);
  const said = async (operationId, target, body) => {
    const one = operations(document).find((candidate) => candidate.operationId === operationId);
    const response = await fetch(daemon.origin + target, {
      method: one.method.toUpperCase(),
      headers: { ...daemon.authorization, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    const described = one.responses[response.status];
    assert.ok(described, `${operationId} answered ${response.status}: ${text}`);
    const type = response.headers.get('content-type')?.split(';')[0];
    if (text === '') return undefined;
    const { schema } = described.content[type];
    if (type.endsWith('json') && type !== 'application/x-ndjson') check(schema, JSON.parse(text), operationId);
    if (type === 'application/x-ndjson') {
      for (const line of text.trimEnd().split('\n')) check(schema, JSON.parse(line), operationId);
    }
    return type.endsWith('json') && type !== 'application/x-ndjson' ? JSON.parse(text) : text;
  };
  const script = [
    'read line',
    `echo '{"type":"assistant.delta","message_id":"m1","text":"I"}'`,
    `echo '{"type":"tool.started","call_id":"c1","name":"bash","input":{"command":"ls"}}'`,
    `echo '{"type":"tool.completed","call_id":"c1","name":"bash","output":"a"}'`,
    `echo '{"type":"plan.updated","entries":[{"content":"x"}]}'`,
    `echo '{"other":1}'; echo plain; echo wrong >&2; exit 3`,
  ].join('\n');
  await said('agents.create', '/agents', {
    id: 'a1', kind: 'jsonl', command: ['sh', '-c', script], env: { A: 'b' }, labels: { team: 'web' }, record: true,
    files: { key: 'secret' }, limits: { wall_ms: 60_000 },
  });
  await said('agents.create', '/agents', { id: 'a1', kind: 'process' });
  await said('agents.create', '/agents', { id: 'a2', kind: 'process', command: ['cat'] });
  await daemon.untilState('a1', 'running');
  await said('agents.list', '/agents?resources=true&limit=1');
  await said('agents.snapshot', '/agents/a1/snapshot');
  await said('agents.message', '/agents/a1/message', { text: 'go' });
  await said('agents.wait', '/agents/a1/wait');
  await daemon.untilState('a1', 'exited', 'failed');
  await said('agents.message', '/agents/a2/message', { messages: [{ text: 'x' }, { text: 'y', delay_ms: 60_000 }] });
  await said('queue.list', '/agents/a2/queue');
  await said('agents.stdin', '/agents/a2/stdin', { any: 'bytes' });
  await said('agents.get', '/agents/a1');
  await said('agents.status', '/agents/nobody/status');
  await said('agents.update', '/agents/a1', { title: 'new', labels: { team: null } });
  await said('agents.update', '/agents/a1', { id: 'other' });
  await said('agents.models', '/agents/a2/models');
  await said('agents.transcript', '/agents/a1/transcript');
  await said('agents.export', '/agents/a1/export');
  await said('agents.batch', '/agents/batch', { action: 'start', ids: ['a1', 'nobody'] });
  await said('runs.list', '/agents/a1/runs?limit=1');
  const { last_run } = await said('agents.get', '/agents/a1');
  await said('runs.get', `/agents/a1/runs/${last_run.run_id}`);
  await said('runs.get', '/agents/a1/runs/r999');
  const { processes } = await said('processes.list', '/agents/a2/processes');
  await said('processes.kill', `/agents/a2/processes/${processes[0].pid}/kill`, { signal: 'CONT' });
  await said('processes.kill', '/agents/a2/processes/1/kill', {});
  await said('processes.strays', '/processes/strays');
  await said('agents.interrupt', '/agents/a2/interrupt');
  await said('approvals.list', '/approvals?id=0');
  await said('approvals.decide', '/agents/a1/approvals/0', { decision: 'deny' });
  await said('elicitations.answer', '/agents/a1/elicitations/0', { action: 'decline' });
  await said('events.since', '/agents/a1/events?tail=1000');
  await said('agents.wait_any', '/wait?until=terminal&timeout_ms=10');
  await said('tickets.issue', '/agents/a1/stream-ticket', { mode: 'operate', after: '0' });
  await said('tickets.issue_several', '/stream-ticket', { agents: '*' });
  await said('agents.stop', '/agents/a2/stop', { grace_ms: 100 });
  await said('agents.restart', '/agents/a2/restart');
  await said('files.put', '/agents/a2/files/key', { any: 'bytes' });
  await said('files.delete', '/agents/a2/files/key');
  await said('kinds.list', '/kinds');
  await said('town.health', '/health');
  await said('town.ready', '/ready');
  await said('town.metrics', '/metrics');
  await said('town.drain_status', '/drain');
  await said('town.reload', '/reload');
  await said('agents.delete', '/agents/a2');
  await until('the process to end', async () => !(await daemon.call('GET', '/agents?deleted=true')).agents[0]?.pid);
  for (const event of [...(await daemon.events('a1')), ...(await daemon.events('a2'))]) {
    check({ $ref: '#/components/schemas/KnownEvent' }, event, event.type);
  }
});

test('a TypeScript client can be generated from the document', async (t) => {
  const { document } = await startWithDocument(t);
  const folder = mkdtempSync(path.join(tmpdir(), 'reeve-openapi-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const run = (script, ...args) => execFileSync(process.execPath, [path.join(here, 'node_modules', script), ...args]);
  writeFileSync(path.join(folder, 'openapi.json'), JSON.stringify(document));
  run('openapi-typescript/bin/cli.js', path.join(folder, 'openapi.json'), '-o', path.join(folder, 'api.ts'));
  writeFileSync(path.join(folder, 'client.ts'), `
    import type { components, operations } from './api';
    type Agent = components['schemas']['Agent'];
    const created: operations['agents.create']['requestBody']['content']['application/json'] =
      { kind: 'process', command: ['true'] };
    export function describe(agent: Agent, event: components['schemas']['KnownEvent']): string {
      const command: string = event.type === 'tool.started' ? event.data.name ?? '' : '';
      return agent.id + agent.state + agent.queue_depth.toFixed() + command + created.kind;
    }
    // @ts-expect-error there is no such decision
    export const wrong: components['schemas']['Decided'] = { id: '0', decision: 'perhaps', by: 'person' };
  `);
  run('typescript/bin/tsc', '--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'esnext',
    '--moduleResolution', 'bundler', path.join(folder, 'client.ts'));
});

// OpenAPI Generator reads OpenAPI 3.0 at most in the version whose npm package brings the program along.
test('a Python client can be generated from the document', async (t) => {
  const { daemon, document } = await startWithDocument(t);
  const folder = mkdtempSync(path.join(tmpdir(), 'reeve-openapi-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name) => path.join(folder, name);
  const modules = path.join(here, 'node_modules');
  const run = (program, ...args) => execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  writeFileSync(file('openapi.json'), JSON.stringify(document));
  run(process.execPath, path.join(modules, '@apiture/openapi-down-convert/lib/src/cli.js'),
    '--input', file('openapi.json'), '--output', file('openapi30.json'));
  run('java', '-jar', path.join(modules, '@openapitools/openapi-generator-cli/bin/openapi-generator.jar'), 'generate',
    '--generator-name', 'python', '--input-spec', file('openapi30.json'), '--output', folder);
  writeFileSync(file('smoke.py'), `
import sys
import openapi_client as reeve

configuration = reeve.Configuration(host=sys.argv[1])
configuration.access_token = sys.argv[2]
client = reeve.ApiClient(configuration)
api = reeve.DefaultApi(client)

made = api.agents_create(reeve.AgentSpec(id='a1', kind='process', command=['cat'], labels={'team': 'web'}))
assert isinstance(made, reeve.Agent) and made.id == 'a1', made
[agent] = api.agents_list(kind='process').agents
assert isinstance(agent, reeve.Agent) and agent.id == 'a1' and agent.labels == {'team': 'web'}, agent
assert agent.created_at.utcoffset() is not None, agent
try:
    api.agents_get('nobody')
    sys.exit('there is an agent nobody')
except reeve.ApiException as error:
    error.data = error.body
    problem = client.deserialize(error, 'Problem')
assert isinstance(problem, reeve.Problem), problem
print(problem.status, problem.code, problem.detail)
`);
  const said = run(process.env.PYTHON ?? '/usr/bin/python3', file('smoke.py'), daemon.origin, daemon.token);
  assert.equal(String(said), '404 agent_not_found there is no agent nobody\n');
});

// Numbers that depend on the seed alone.
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('requests made from the document at random find no fault', async (t) => {
  const { daemon, document } = await startWithDocument(t);
  const seed = Number(process.env.OPENAPI_SEED ?? 1);
  const next = random(seed);
  const pick = (list) => list[Math.floor(next() * list.length)];
  jsf.format('binary', () => 'bytes');
  jsf.option({ random: next, alwaysFakeOptionals: false, optionalsProbability: 0.4, failOnInvalidTypes: false });
  const kWrong = [null, true, -1, 1e300, '', 'x'.repeat(300), '\u0000', '\ud83d\ude00', [], {}, [[]], { a: { b: 1 } }];
  const make = (schema) => {
    if (next() < 0.25) return pick(kWrong);
    const { components } = document;
    return jsf.generate({ ...structuredClone(schema), components: structuredClone(components) });
  };
  // These end or replace the daemon, and a stream has no end.
  const kSkipped = ['town.drain', 'town.upgrade', 'agents.stream', 'town.stream'];
  const kLast = ['agents.batch', 'agents.delete'];  // these delete the agent of the round
  const order = operations(document).filter(({ operationId }) => !kSkipped.includes(operationId));
  order.sort((a, b) => kLast.indexOf(a.operationId) - kLast.indexOf(b.operationId));
  const answers = {};
  for (let round = 0; round < kRounds; ++round) {
    const id = `a${round}`;
    await daemon.call('POST', '/agents', { id, kind: 'process', command: ['cat'], record: true });
    for (const one of order) {
      let target = one.pattern;
      const query = new URLSearchParams();
      for (const parameter of one.parameters ?? []) {
        const own = parameter.schema.$ref?.endsWith('/AgentId') && next() < 0.9 ? id : make(parameter.schema);
        const text = typeof own === 'string' ? own : JSON.stringify(own);
        if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(text) || '%20');
        else if (parameter.in === 'query' && next() < 0.5) query.append(parameter.name, text);
      }
      if ('wait' === target.split('/').pop()) query.set('timeout_ms', '1');
      const content = one.requestBody?.content ?? {};
      const [media] = Object.keys(content);
      let body;
      if (media) body = make(content[media].schema);
      if (one.operationId === 'agents.create' && body?.command) Object.assign(body, { command: ['true'] });
      const text = media === 'application/json' ? JSON.stringify(body) : body && String(body);
      const where = `seed ${seed}, round ${round}: ${one.method} ${target}?${query} ${text}`;
      const response = await fetch(`${daemon.origin}${target}${query.size ? `?${query}` : ''}`, {
        method: one.method.toUpperCase(),
        headers: { ...daemon.authorization, ...(text && { 'content-type': media }) },
        body: text,
      });
      const answer = await response.text();
      assert.ok(response.status < 500, `${where}\n${response.status} ${answer}`);
      assert.ok(one.responses[response.status], `${where}\nis not described: ${response.status} ${answer}`);
      const key = `${one.operationId} ${Math.floor(response.status / 100)}xx`;
      answers[key] = (answers[key] ?? 0) + 1;
    }
  }
  // The requests are no noise: most operations have also been carried out.
  const done = Object.keys(answers).filter((key) => key.endsWith('2xx'));
  t.diagnostic(`${done.length} operations have succeeded`);
  assert.ok(done.length > 20, JSON.stringify(answers));
  await daemon.call('GET', '/health');
});
