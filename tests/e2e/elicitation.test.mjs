// A question of the agent becomes a form on the page, and the answer reaches the agent. The agent is `reeve
// replay` of a recording of Claude Code, so that it asks at the moment that the test chooses.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { complaints, Daemon, outDir, reeveBinary, startBrowser, until } from './harness.mjs';

const questions = [
  {
    question: 'Which colour shall the button have?',
    header: 'Colour',
    multiSelect: false,
    options: [
      { label: 'red', description: 'loud' },
      { label: 'blue', description: 'calm' },
    ],
  },
  {
    question: 'Which files?',
    header: 'Files',
    multiSelect: true,
    options: [
      { label: 'a.txt', description: '' },
      { label: 'b.txt', description: '' },
    ],
  },
];

const script = [
  ['out', 'initialize'],
  ['in', { type: 'control_response', response: { subtype: 'success', request_id: 'initialize-1', response: {} } }],
  ['out', 'prompt'],
  ['in', { type: 'system', subtype: 'init', session_id: 's-1' }],
  [
    'in',
    {
      type: 'control_request',
      request_id: 'q1',
      request: { subtype: 'can_use_tool', tool_name: 'AskUserQuestion', tool_use_id: 'c1', input: { questions } },
    },
  ],
  ['out', 'answer'],
  ['in', { type: 'result', subtype: 'success', is_error: false, terminal_reason: 'completed', session_id: 's-1' }],
];

test('a question of an agent is a form, answered once', async (t) => {
  const daemon = await Daemon.start(t);
  const recording = path.join(daemon.dir, 'recording');
  const lines = script.map(([dir, text]) => {
    const said = typeof text === 'string' ? text : JSON.stringify(text);
    return JSON.stringify({ time: '2026-11-20T10:00:00.000Z', dir, text: said });
  });
  writeFileSync(recording, `${lines.join('\n')}\n`);
  await daemon.call('POST', '/agents', {
    id: 'a1',
    kind: 'claude',
    prompt: 'go',
    record: true,
    command: [reeveBinary(), 'replay', '--fast', recording],
  });
  await daemon.untilState('a1', 'needs_input');

  const page = await (await startBrowser(t)).newPage();
  const complained = complaints(page);
  await page.goto(`${daemon.origin}/plain#token=${daemon.token}&agent=a1`);
  const form = page.locator('agent-stream .elicitation');
  await form.getByText('Which colour shall the button have?').waitFor();
  await form.getByLabel('Colour').selectOption('blue');
  await form.getByLabel('Files').selectOption(['a.txt', 'b.txt']);
  await page.screenshot({ path: path.join(outDir, 'elicitation.png') });
  await form.getByRole('button', { name: 'Answer' }).click();
  await form.getByText('Accepted').waitFor();
  await daemon.untilState('a1', 'idle');
  assert.equal(await form.getByRole('button', { name: 'Answer' }).isVisible(), false);
  assert.deepEqual(complained, []);

  await until('the answer to have been told', async () => {
    const response = await fetch(`${daemon.origin}/agents/a1/transcript`, { headers: daemon.authorization });
    const told = (await response.text()).trimEnd().split('\n').map((line) => JSON.parse(line));
    const answer = told.find(({ dir, text }) => dir === 'out' && text.includes('"answers"'));
    if (!answer) return false;
    assert.deepEqual(JSON.parse(answer.text).response.response.updatedInput.answers, {
      'Which colour shall the button have?': 'blue',
      'Which files?': 'a.txt, b.txt',
    });
    return true;
  });
});
