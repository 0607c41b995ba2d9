// All kinds of agents behave alike: each scenario is written once and run with every kind's real program and
// the mock model. `differences` lists the exceptions, which orchestrator/adapters/KINDS.md explains.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { checkLog, isEnd, outline } from './agent_log.mjs';
import { Daemon, until } from './harness.mjs';
import { createAgent, kinds, Model, skipped } from './kinds.mjs';

const kSlowMs = 90_000; // a cold kilo takes a while to start

const kBegin = ['run.started', 'message.started', 'user.message'];
const kText = ['assistant.delta', 'assistant.message'];
const kAsk = ['tool.started', 'approval.requested', 'approval.resolved'];
const kPlainTool = ['tool.started'];

// The expected events of a run, in order, by scenario; and the kinds that differ.
const outlines = {
  plain: [...kBegin, ...kText, 'run.completed'],
  allowed: [...kBegin, ...kText, ...kAsk, 'tool.completed', ...kText, 'run.completed'],
  failing: [...kBegin, ...kAsk, 'tool.failed', ...kText, 'run.completed'],
  denied: [...kBegin, ...kAsk, 'tool.failed', ...kText, 'run.completed'],
  interrupted: [...kBegin, ...kText, 'run.cancelled'],
  refused: [...kBegin, 'run.failed'],
  failedOnce: [...kBegin, 'agent.error', ...kText, 'run.completed'],
  cutOnce: [...kBegin, 'assistant.delta', 'agent.error', 'assistant.message', ...kText, 'run.completed'],
  hung: [...kBegin, 'run.cancelled'],
  killed: [...kBegin, ...kText, 'run.failed'],
  stopped: [...kBegin, ...kAsk, 'agent.stopping', 'tool.failed', 'run.cancelled'],
  answered: [...kBegin, 'tool.started', 'elicitation.requested', 'elicitation.resolved', 'tool.completed', ...kText, 'run.completed'],
  declined: [...kBegin, 'tool.started', 'elicitation.requested', 'elicitation.resolved', 'tool.failed', ...kText, 'run.completed'],
};
// pi asks for nothing, so its tools just run.
const differences = {
  allowed: {
    pi: [...kBegin, ...kText, ...kPlainTool, 'tool.completed', ...kText, 'run.completed'],
  },
  failing: {
    pi: [...kBegin, ...kPlainTool, 'tool.failed', ...kText, 'run.completed'],
    acp: [...kBegin, ...kAsk, 'tool.completed', ...kText, 'run.completed'], // the protocol has no exit code
  },
  denied: {
    acp: [...kBegin, ...kAsk, 'tool.failed', 'run.completed'], // it has no reason either: kilo then ends its turn
  },
  failedOnce: {
    acp: outlines.plain, // nor any word on retries
    pi: outlines.plain, // its client tries again without a word
  },
  cutOnce: {
    kilo: [...kBegin, ...kText, 'run.failed'], // it asks a model again that refused, not one that broke off
    acp: [...kBegin, ...kText, 'run.failed'],
    pi: [...kBegin, ...kText, 'agent.error', ...kText, 'run.completed'], // it ends the text first
  },
  stopped: {
    acp: [...kBegin, ...kAsk, 'agent.stopping', 'tool.completed', 'run.cancelled'],
    pi: [...kBegin, ...kPlainTool, 'agent.stopping', 'tool.failed', 'run.cancelled'],
  },
  declined: {
    kilo: [...kBegin, 'tool.started', 'elicitation.requested', 'elicitation.resolved', 'tool.failed', 'run.completed'],
  },
};

// One agent, as its viewers see it.
class Subject {
  static async create(daemon, kind, id, model, more) {
    const subject = new Subject();
    Object.assign(subject, { daemon, kind, id, model, events: [], cursor: '0', from: 0 });
    subject.cwd = await createAgent(daemon, kind, id, model.port, more);
    subject.can = await whatCan(daemon, kind);
    await subject.sees(({ type }) => type === 'agent.ready');
    return subject;
  }

  async read() {
    const { events, cursor } = await this.daemon.call('GET', `/agents/${this.id}/events?after=${this.cursor}&limit=1000`);
    this.events.push(...events);
    this.cursor = cursor;
  }

  // The first event that is so since something was last said.
  sees(matches) {
    const what = () =>
      `${matches}; seen: ${this.events.slice(this.from).map(({ type, data }) => `${type} ${JSON.stringify(data)}`.slice(0, 300)).join('\n')}`;
    return until(
      what,
      async () => {
        await this.read();
        return this.events.slice(this.from).find(matches);
      },
      kSlowMs,
    );
  }

  seesType(...types) {
    return this.sees(({ type }) => types.includes(type));
  }

  post(what, body = {}) {
    return this.daemon.call('POST', `/agents/${this.id}/${what}`, body);
  }

  async say(text) {
    await this.read();
    this.from = this.events.length;
    return (await this.post('message', { text })).message_id;
  }

  // All events of the run that this message began, once it has ended.
  async run(message) {
    const end = await this.sees((event) => isEnd(event) && event.data.message_id === message);
    return this.events.filter(({ run }) => run === end.run);
  }

  async turn(text) {
    return this.run(await this.say(text));
  }

  // Says this, decides the approval that comes of it, where the kind asks for one.
  async turnWithApproval(text, decision) {
    const message = await this.say(text);
    if (!this.can.approve) {
      const run = await this.run(message);
      const { name, input } = of(run, 'tool.started')[0].data;
      return { asked: { data: { tool: name, input } }, run };
    }
    const asked = await this.seesType('approval.requested');
    await this.post(`approvals/${asked.data.id}`, decision);
    return { asked, run: await this.run(message) };
  }
}

async function whatCan(daemon, kind) {
  return (await daemon.call('GET', '/kinds')).kinds.find(({ name }) => name === kind).can;
}

function assertOutline(agent, run, name) {
  assert.deepEqual(outline(run), differences[name]?.[agent.kind] ?? outlines[name], JSON.stringify(end(run).data));
}
const end = (run) => run.at(-1);
const ended = (run) => {
  const { type, data } = end(run);
  return data.error ? `${type} ${JSON.stringify(data.error)}` : type;
};
const words = (run) => run.filter(({ type }) => type === 'assistant.message').map(({ data }) => data.text);
const of = (run, type) => run.filter((event) => event.type === type);

// Living processes of this daemon's agents, by the environment they were given, and any whose arguments say `words`.
function processes(daemon, words) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
        if (command === '') return ''; // a zombie
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        const ours = environment.includes('REEVE_AGENT_ID=') && environment.includes(daemon.dir);
        return ours || (words && command.includes(words)) ? `${pid} ${command}` : '';
      } catch {
        return ''; // it has gone, or is not ours
      }
    })
    .filter((command) => command !== '');
}

// Each with an agent that has no run, in this order.
const scenarios = {
  'a plain turn': async (agent) => {
    const run = await agent.turn('hello, LONG=8');
    assertOutline(agent, run, 'plain');
    assert.deepEqual(words(run), ['Mock answer. word2 word3 word4 word5 word6 word7']);
    const usage = of(run, 'usage.updated').at(-1)?.data;
    assert.ok(usage?.input_tokens > 100 && usage.output_tokens > 0, JSON.stringify(usage));
    assert.equal(end(run).data.usage?.input_tokens, usage.input_tokens);
  },

  'a tool that is allowed': async (agent) => {
    const { asked, run } = await agent.turnWithApproval('SAY, then TOOL[touch allowed.txt]', { decision: 'allow_once' });
    assert.equal(asked.data.tool, 'bash');
    assert.match(asked.data.input.command, /touch allowed\.txt/);
    assert.ok(existsSync(path.join(agent.cwd, 'allowed.txt')));
    assert.deepEqual(of(run, 'tool.completed').map(({ data }) => data.name), ['bash']);
    assert.equal(words(run)[0], 'Let me see.');
    assert.match(words(run)[1], /^Tool results seen: 1\./);
    assertOutline(agent, run, 'allowed');
  },

  'a tool that fails': async (agent) => {
    const { run } = await agent.turnWithApproval('TOOL[touch failed.txt; echo oops; exit 3]', { decision: 'allow_once' });
    assertOutline(agent, run, 'failing');
    assert.ok(existsSync(path.join(agent.cwd, 'failed.txt')));
    assert.match(run.find(({ type }) => /^tool\.(completed|failed)$/.test(type)).data.output, /oops/);
  },

  'a tool that is denied': async (agent) => {
    if (!agent.can.approve) return;
    const { run } = await agent.turnWithApproval('TOOL[touch denied.txt]', { decision: 'deny', reason: 'not today' });
    assertOutline(agent, run, 'denied');
    assert.ok(!existsSync(path.join(agent.cwd, 'denied.txt')));
    assert.deepEqual(of(run, 'tool.failed').map(({ data }) => data.name), ['bash']);
  },

  'an interrupt in mid-answer': async (agent) => {
    const message = await agent.say('LONG=1000 DELAY=20');
    await agent.seesType('assistant.delta');
    await agent.post('interrupt');
    const run = await agent.run(message);
    assertOutline(agent, run, 'interrupted');
    assert.match(words(run)[0], /^Mock/);
    assert.ok(!words(run)[0].includes('word999'));
    assert.equal(ended(await agent.turn('hello')), 'run.completed');
  },

  'a model that refuses': async (agent) => {
    const run = await agent.turn('FAIL=400');
    assertOutline(agent, run, 'refused');
    assert.match(end(run).data.error.message, /mock failure 400/);
    assert.equal(ended(await agent.turn('hello')), 'run.completed');
  },

  'a model that fails once': async (agent) => {
    const run = await agent.turn('FAIL=500*1');
    assertOutline(agent, run, 'failedOnce');
    assert.match(words(run).at(-1), /^Mock answer/);
  },

  'a connection that is cut in mid-answer': async (agent) => {
    const run = await agent.turn('LONG=30, CUT*1');
    assertOutline(agent, run, 'cutOnce');
    assert.equal(ended(await agent.turn('hello')), 'run.completed');
  },

  'a model that hangs, and an interrupt': async (agent) => {
    const message = await agent.say('please HANG');
    await until('the model to be asked', async () => (await agent.model.requests('please HANG')).length > 0, kSlowMs);
    await agent.post('interrupt');
    assertOutline(agent, await agent.run(message), 'hung');
    assert.equal(ended(await agent.turn('hello')), 'run.completed');
  },

  'what was said before': async (agent) => {
    await agent.turn('REMEMBER=pelican');
    assert.match(words(await agent.turn('RECALL')).at(-1), /^Remembered:.* pelican /);
  },

  'kill -9 in mid-turn, and a message': async (agent) => {
    await agent.turn('REMEMBER=walrus');
    const message = await agent.say('LONG=1000 DELAY=20');
    await agent.seesType('assistant.delta');
    const before = agent.events.length;
    process.kill((await agent.daemon.call('GET', `/agents/${agent.id}`)).pid, 'SIGKILL');
    assertOutline(agent, await agent.run(message), 'killed');
    await agent.seesType('agent.exited');
    await until(() => `the end of ${processes(agent.daemon)}`, () => processes(agent.daemon).length === 0, kSlowMs);
    const run = await agent.turn('RECALL');
    assert.match(words(run).at(-1), /^Remembered:.* walrus /);
    // The past is not told again.
    const again = agent.events.slice(before).filter(({ type, run: its }) => /^(user|assistant)\.message$/.test(type) && its === end(run).run);
    assert.deepEqual(again.map(({ type }) => type), ['user.message', 'assistant.message']);
  },

  'a stop in mid-tool': async (agent) => {
    const seconds = String(70_000 + (process.pid % 10_000));
    const message = await agent.say(`TOOL[sh -c 'sleep ${seconds}; touch never.txt']`);
    if (agent.can.approve) {
      const asked = await agent.seesType('approval.requested');
      await agent.post(`approvals/${asked.data.id}`, { decision: 'allow_once' });
    }
    await until('the tool', () => processes(agent.daemon).some((command) => command.includes(`sleep ${seconds}`)), kSlowMs);
    await agent.post('stop');
    assertOutline(agent, await agent.run(message), 'stopped');
    await agent.seesType('agent.exited');
    await until(() => `the end of ${processes(agent.daemon, seconds)}`, () => processes(agent.daemon, seconds).length === 0, kSlowMs);
    assert.ok(!existsSync(path.join(agent.cwd, 'never.txt')));
  },
};

// With an agent whose approvals have a deadline and that was told something from the start.
const others = {
  'an approval that nobody answers': async (agent) => {
    if (!agent.can.approve) return;
    const run = await agent.turn('TOOL[touch unanswered.txt]');
    assertOutline(agent, run, 'denied');
    const [resolved] = of(run, 'approval.resolved');
    assert.deepEqual([resolved.data.decision, resolved.data.by], ['expired', 'deadline']);
    assert.ok(!existsSync(path.join(agent.cwd, 'unanswered.txt')));
    assert.equal(ended(await agent.turn('hello')), 'run.completed');
  },

  'a system prompt': async (agent) => {
    if (!agent.can.system_prompt) return;
    assert.match(words(await agent.turn('RECALL')).at(-1), /^Remembered: badger /);
  },

  'a transcript of what passed': async (agent) => {
    await agent.turn('for the transcript');
    const { origin, authorization: headers } = agent.daemon;
    const text = await (await fetch(`${origin}/agents/${agent.id}/transcript`, { headers })).text();
    const lines = text.trim().split('\n').map((line) => JSON.parse(line));
    const passed = (way) => lines.filter(({ dir }) => dir === way).map((line) => line.text).join('\n');
    assert.match(passed('out'), /for the transcript/);
    assert.match(passed('in'), /word11/);
  },

  'another model from this turn on': async (agent) => {
    if (!agent.can.model) return;
    const { models } = await agent.daemon.call('GET', `/agents/${agent.id}/models`);
    assert.ok(models.length > 0 && models.every(({ id }) => typeof id === 'string'), JSON.stringify(models));
    const { message_id } = await agent.post('message', { text: 'the first with it', model: kinds[agent.kind].otherModel });
    assert.equal(ended(await agent.run(message_id)), 'run.completed');
    assert.equal(ended(await agent.turn('the second with it')), 'run.completed');
    for (const prompt of ['the first with it', 'the second with it']) {
      const asked = (await agent.model.requests(prompt)).filter(({ tools }) => tools > 0);
      assert.deepEqual(asked.map(({ model }) => model), ['mock-2'], prompt);
    }
  },

  'a question that is answered': async (agent) => {
    const { question } = kinds[agent.kind];
    assert.ok(agent.can.elicit || !question); // pi asks only for its extensions
    if (!question) return;
    const message = await agent.say(`CALL[${question} ${asksForColour}]`);
    const { data } = await agent.seesType('elicitation.requested');
    assert.equal(data.message, 'Which colour?');
    assert.deepEqual(data.schema.properties['Which colour?'].enum, ['Red', 'Blue']);
    await agent.post(`elicitations/${data.id}`, { action: 'accept', content: { 'Which colour?': 'Blue' } });
    const run = await agent.run(message);
    assertOutline(agent, run, 'answered');
    const [answered] = of(run, 'tool.completed');
    assert.equal(answered.data.name, 'question');
    assert.match(answered.data.output, /Blue/);
    assert.match(words(run).at(-1), /^Tool results seen: 1/);
  },

  'a question that is declined': async (agent) => {
    const { question } = kinds[agent.kind];
    if (!question) return;
    const message = await agent.say(`CALL[${question} ${asksForColour}]`);
    const { data } = await agent.seesType('elicitation.requested');
    await agent.post(`elicitations/${data.id}`, { action: 'decline' });
    const run = await agent.run(message);
    assertOutline(agent, run, 'declined');
    assert.equal(of(run, 'elicitation.resolved')[0].data.action, 'decline');
  },
};
const asksForColour = JSON.stringify({
  questions: [
    {
      id: 'colour', // codex's
      question: 'Which colour?',
      header: 'Colour',
      multiSelect: false, // Claude Code's schema demands it
      options: [
        { label: 'Red', description: 'warm' },
        { label: 'Blue', description: 'cold' },
      ],
    },
  ],
});

async function play(t, agent, scenes) {
  const only = process.env.SCENARIO; // part of a name, to look at one
  for (const [name, scene] of Object.entries(scenes)) {
    if (only && !name.includes(only)) continue;
    await t.test(name, async () => {
      await scene(agent);
      await until('no run', async () => !(await agent.daemon.call('GET', `/agents/${agent.id}`)).run);
      await agent.read();
      checkLog(agent.events);
    });
  }
}

for (const kind of Object.keys(kinds)) {
  test(kind, { skip: skipped(kind) }, async (t) => {
    const daemon = await Daemon.start(t);
    const model = await Model.start(t);
    await play(t, await Subject.create(daemon, kind, 'a', model), scenarios);
    const more = { permissions: { timeout_ms: 2000 }, record: true };
    if ((await whatCan(daemon, kind)).system_prompt) more.system_prompt = 'REMEMBER=badger';
    await play(t, await Subject.create(daemon, kind, 'b', model, more), others);
  });
}
