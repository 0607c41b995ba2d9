// A scripted agent that speaks the Agent Client Protocol: node acp_agent.mjs SCRIPT. SCRIPT is JSON, or a file of it:
// {say?, plan?, calls?: [{title, kind, input, say?, output?, ask?, hang?}]}. In each turn it says the text, makes the
// calls, asks for those with `ask`, never ends one with `hang`, and reports how a request was decided.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [, , script] = process.argv;
const { say, plan, calls = [] } = JSON.parse(script.startsWith('{') ? script : readFileSync(script, 'utf8'));
const waiting = new Map(); // id of a request → the function that takes its result
let requests = 0;

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const update = (what) => send({ method: 'session/update', params: { sessionId: 's1', update: what } });
const tell = (text) => update({ sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } });

const options = [
  { optionId: 'once', name: 'Allow', kind: 'allow_once' },
  { optionId: 'always', name: 'Always', kind: 'allow_always' },
  { optionId: 'reject', name: 'Reject', kind: 'reject_once' },
];

function ask(toolCall) {
  const id = `p${++requests}`;
  send({ id, method: 'session/request_permission', params: { sessionId: 's1', toolCall, options } });
  return new Promise((resolve) => waiting.set(id, resolve));
}

async function turn() {
  if (say) tell(say);
  if (plan) update({ sessionUpdate: 'plan', entries: plan });
  for (const [i, { title, kind, input, say: before, output, ask: asks, hang }] of calls.entries()) {
    if (before) tell(before);
    const call = { toolCallId: `c${i + 1}`, title, kind, rawInput: input };
    update({ sessionUpdate: 'tool_call', status: 'pending', ...call });
    const { outcome } = asks ? await ask(call) : {};
    if (hang) return new Promise(() => {});
    const status = outcome?.optionId === 'reject' ? 'failed' : 'completed';
    const content = output && [{ type: 'content', content: { type: 'text', text: output } }];
    update({ sessionUpdate: 'tool_call_update', toolCallId: call.toolCallId, status, ...(content && { content }) });
    if (outcome) tell(`decided: ${outcome.optionId ?? outcome.outcome}`);
  }
  return undefined;
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, method, result } = JSON.parse(line);
  if (method === 'initialize') send({ id, result: { protocolVersion: 1, agentCapabilities: {}, authMethods: [] } });
  else if (method === 'session/new') send({ id, result: { sessionId: 's1' } });
  else if (method === 'session/prompt') {
    await turn();
    send({ id, result: { stopReason: 'end_turn' } });
  } else waiting.get(id)?.(result);
});
