// Checks that every agent's log must pass, for each kind and in each situation.

import assert from 'node:assert/strict';

export const isEnd = ({ type }) => /^run\.(completed|failed|cancelled)$/.test(type);
const isToolEnd = ({ type }) => /^tool\.(completed|failed)$/.test(type);

// `log`: all of it, of an agent that has no run.
export function checkLog(log) {
  assert.deepEqual(log.map(({ seq }) => seq), log.map((_, i) => i + 1), 'a hole in the log');
  const runs = new Map();
  let open; // the run
  for (const event of log) {
    const where = `seq ${event.seq}, ${event.type} ${JSON.stringify(event.data).slice(0, 200)}`;
    if (event.type === 'run.started') {
      assert.equal(open, undefined, `${where}: the run before it has not ended`);
      assert.ok(!runs.has(event.run), `${where}: begun twice`);
      open = { texts: new Map(), calls: new Map(), asked: new Map() };
      runs.set(event.run, open);
      continue;
    }
    if (isEnd(event)) {
      assert.ok(open && runs.get(event.run) === open, `${where}: not of the run that is open`);
      for (const what of ['texts', 'calls', 'asked']) {
        for (const [id, state] of open[what]) assert.equal(state.open, false, `${where}: ${id} (${what}) is open`);
      }
      open = undefined;
      continue;
    }
    if (event.run !== undefined) assert.equal(runs.get(event.run), open, `${where}: of a run that is not open`);
    const { data } = event;
    if (/^(assistant|reasoning|tool|approval|elicitation)\./.test(event.type)) assert.ok(open, `${where}: outside of any run`);
    if (/^(assistant|reasoning)\./.test(event.type)) checkText(open.texts, event, where);
    if (/^tool\./.test(event.type)) checkTool(open.calls, event, where);
    if (/^(approval|elicitation)\.requested$/.test(event.type)) {
      assert.ok(!open.asked.has(data.id), `${where}: asked twice`);
      open.asked.set(data.id, { open: true });
      if (data.call_id) {
        const call = open.calls.get(data.call_id);
        assert.ok(call?.open, `${where}: its call has not begun`);
        if (data.tool === call.name && data.input) assert.deepEqual(data.input, call.input, `${where}: not its call's input`);
      }
    }
    if (/^(approval|elicitation)\.resolved$/.test(event.type)) {
      assert.equal(open.asked.get(data.id)?.open, true, `${where}: not asked, or resolved before`);
      open.asked.get(data.id).open = false;
    }
  }
  assert.equal(open, undefined, 'the last run has not ended');
}

function checkText(texts, { type, data }, where) {
  const id = `${type.split('.')[0]} ${data.message_id}`;
  const text = texts.get(id) ?? { open: true, said: '' };
  texts.set(id, text);
  assert.ok(text.open, `${where}: after its whole`);
  assert.notEqual(data.text, '', `${where}: empty`);
  if (type.endsWith('.delta')) {
    text.said += data.text;
  } else {
    text.open = false;
    assert.equal(text.said.trim(), data.text.trim(), `${where}: not its deltas joined`);
  }
}

function checkTool(calls, event, where) {
  const { type, data } = event;
  assert.ok(data.call_id, `${where}: no call_id`);
  if (type === 'tool.started') {
    assert.ok(!calls.has(data.call_id), `${where}: begun twice`);
    assert.equal(typeof data.input, 'object', where);
    calls.set(data.call_id, { open: true, name: data.name, input: data.input });
    return;
  }
  const call = calls.get(data.call_id);
  assert.ok(call?.open, `${where}: has not begun, or has ended`);
  if (!isToolEnd(event)) return;
  call.open = false;
  assert.equal(data.name, call.name, where);
  assert.equal(typeof data.output, 'string', where);
}

// The types of a run's events in order: runs of deltas as one, without what comes when it likes.
export function outline(run) {
  const passing = ['usage.updated', 'tool.output', 'title.updated', 'agent.output'];
  return run
    .filter(({ type, data }) => !passing.includes(type) && data.code !== 'warning')
    .map(({ type }) => type)
    .filter((type, i, all) => !(type.endsWith('.delta') && type === all[i - 1]));
}
