// The plain page at GET /plain, and at GET / of a build without the dashboard: lists the town's agents and shows one of them.
//
// Its address may contain a token once, as #token=…, and contains the id of the shown agent, as #agent=…. The
// token is kept in the session storage of this tab and is sent only as a header.

import './agent-stream.js';
import { HttpError } from './stream-client.js';

const kPollMs = 2000;
const kMaxPages = 20; // pages of agents, for a town with many

// The daemon may be served under a prefix, so all URLs are relative to the URL of this file.
const base = new URL('../', import.meta.url);

// Agents that need a person come first, ended agents last.
const kStates = [
  'needs_input',
  'failed',
  'stalled',
  'running',
  'starting',
  'stopping',
  'backoff',
  'idle',
  'exited',
];

const find = (selector) => document.querySelector(selector);
const login = find('#login');
const main = find('#agent');
const message = find('#message');

let token;
let agents = [];
let chosen; // the id of the shown agent
let stream; // the <agent-stream> of that agent
let polling; // the timer of the next poll
let polls = 0;
const rows = new Map(); // agent id → its row in the list

// --- the daemon

async function call(method, path, body) {
  const response = await fetch(new URL(path, base), {
    method,
    headers: { ...authorization(), ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
    cache: 'no-store',
  });
  if (!response.ok) throw await HttpError.from(response, `${method} /${path}`);
  return response.status === 204 ? undefined : response.json();
}

function authorization() {
  return { authorization: `Bearer ${token}` };
}

function agentPath(id, rest = '') {
  return `agents/${encodeURIComponent(id)}${rest}`;
}

async function listAgents() {
  const all = [];
  let next = '';
  for (let page = 0; page < kMaxPages && next !== undefined; ++page) {
    const answer = await call('GET', `agents${next && `?page_token=${encodeURIComponent(next)}`}`);
    all.push(...answer.agents);
    next = answer.next_page_token || undefined;
  }
  return all;
}

// --- the token

function useToken(text) {
  token = text;
  sessionStorage.setItem('reeve.token', text);
}

function askForToken(why = '') {
  clearTimeout(polling);
  token = undefined;
  sessionStorage.removeItem('reeve.token');
  find('#town').hidden = true;
  login.hidden = false;
  login.querySelector('.failure').textContent = why;
  login.elements.token.focus();
}

login.addEventListener('submit', (event) => {
  event.preventDefault();
  useToken(login.elements.token.value.trim());
  login.reset();
  enter();
});

// --- the address

function readAddress() {
  const hash = new URLSearchParams(location.hash.slice(1));
  if (hash.has('token')) {
    useToken(hash.get('token'));
    hash.delete('token');
    history.replaceState(null, '', `${location.pathname}${location.search}${`${hash}` && `#${hash}`}`);
  }
  return hash.get('agent') ?? undefined;
}

window.addEventListener('hashchange', () => {
  const brought = location.hash.includes('token=');
  const id = readAddress();
  if (brought) enter();
  else choose(id);
});

// --- the list

async function poll() {
  clearTimeout(polling);
  if (document.hidden || token === undefined) return;
  const turn = ++polls;
  try {
    const listed = await listAgents();
    if (turn !== polls) return; // a later poll has newer answers
    agents = listed;
    find('#trouble').textContent = '';
  } catch (error) {
    if (turn !== polls) return;
    if (error.status === 401) return askForToken('The daemon does not accept this token.');
    find('#trouble').textContent = error.status ? error.message : 'The daemon does not answer.';
  }
  showList();
  showAgent();
  clearTimeout(polling);
  polling = setTimeout(poll, kPollMs);
}

document.addEventListener('visibilitychange', poll);

function urgency(agent) {
  return kStates.indexOf(agent.state);
}

function showList() {
  agents.sort((a, b) => urgency(a) - urgency(b) || a.id.localeCompare(b.id));
  const list = find('#agents');
  const present = new Set(agents.map(({ id }) => id));
  for (const [id, row] of rows) {
    if (present.has(id)) continue;
    row.item.remove();
    rows.delete(id);
  }
  agents.forEach((agent, i) => {
    if (!rows.has(agent.id)) rows.set(agent.id, makeRow(agent.id));
    const row = rows.get(agent.id);
    row.update(agent);
    if (list.children[i] !== row.item) list.insertBefore(row.item, list.children[i] ?? null);
  });
  find('#count').textContent = agents.length || '';
  find('#none').hidden = agents.length > 0;
}

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function makeRow(id) {
  const title = element('span', 'title');
  const facts = element('span', 'facts');
  const badge = element('span', 'badge');
  const link = element('a', '', title, badge, facts);
  link.href = `#agent=${encodeURIComponent(id)}`;
  return {
    item: element('li', '', link),
    update(agent) {
      title.textContent = agent.title || agent.id;
      facts.textContent = describe(agent);
      showState(badge, agent);
      if (agent.id === chosen) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    },
  };
}

function showState(badge, { state }) {
  badge.textContent = state.replace('_', ' ');
  badge.dataset.state = state;
}

function describe(agent) {
  const facts = [agent.kind];
  if (agent.title) facts.push(agent.id);
  if (agent.pending_approvals > 0) facts.push(`${agent.pending_approvals} to answer`);
  if (agent.queue_depth > 0) facts.push(`${agent.queue_depth} queued${agent.queue_paused ? ', paused' : ''}`);
  if (agent.restarts > 0) facts.push(`${agent.restarts} restarts`);
  return facts.join(' · ');
}

// --- the agent

function choose(id) {
  if (id === chosen) return;
  chosen = id;
  stream?.remove();
  stream = undefined;
  message.reset();
  message.querySelector('output').textContent = '';
  if (id !== undefined) {
    stream = document.createElement('agent-stream');
    stream.setAttribute('ticket-url', new URL(agentPath(id, '/stream-ticket'), base));
    stream.setAttribute('decide-url', new URL(agentPath(id, '/approvals'), base));
    stream.setAttribute('answer-url', new URL(agentPath(id, '/elicitations'), base));
    stream.setAttribute('after', '0');
    stream.setAttribute('follow', ''); // a person may start the agent again from here
    stream.headers = authorization;
    stream.addEventListener('agent-event', onEvent);
    find('#stream').append(stream);
  }
  document.body.classList.toggle('chosen', id !== undefined);
  find('#choose').hidden = id !== undefined;
  showList();
  showAgent();
}

// An event that changes the agent's state is shown at once, not at the next poll.
let soon;
function onEvent({ detail: { type } }) {
  if (!/^(agent|run|approval|elicitation|message)\./.test(type) || type === 'agent.output') return;
  clearTimeout(soon);
  soon = setTimeout(poll, 100);
}

function showAgent() {
  const agent = agents.find(({ id }) => id === chosen);
  main.hidden = chosen === undefined;
  document.title = agent ? `${agent.title || agent.id} – reeve` : 'reeve';
  main.querySelector('h2').textContent = agent?.title || chosen || '';
  main.querySelector('.facts').textContent = agent ? describe(agent) : '';
  main.querySelector('.badge').hidden = !agent;
  message.hidden = !agent;
  const reason = find('#reason');
  reason.hidden = !agent?.reason;
  reason.textContent = agent?.reason ?? '';
  if (agent) showState(main.querySelector('.badge'), agent);
  const over = !agent || ['exited', 'failed', 'backoff'].includes(agent.state);
  showAction('interrupt', agent && ['running', 'needs_input', 'stalled'].includes(agent.state));
  showAction('start', agent && (over || agent.queue_paused));
  showAction('stop', agent && !['exited', 'failed', 'stopping'].includes(agent.state));
}

function showAction(action, possible) {
  main.querySelector(`[data-action=${action}]`).disabled = !possible;
}

// Runs a command for the chosen agent and shows the result, unless another agent has been chosen since.
async function act(what, path, body) {
  const id = chosen;
  const output = message.querySelector('output');
  const say = (text, failed) => {
    if (id !== chosen) return;
    output.textContent = text;
    output.classList.toggle('failure', failed);
  };
  try {
    const answer = await call('POST', agentPath(id, path), body);
    say(what(answer), false);
    return true;
  } catch (error) {
    if (error.status === 401) askForToken('The daemon no longer accepts this token.');
    else say(error.message, true);
    return false;
  } finally {
    poll();
  }
}

main.querySelector('.actions').addEventListener('click', ({ target }) => {
  const { action } = target.dataset;
  if (action) act(() => '', `/${action}`, {});
});

find('#back').addEventListener('click', () => (location.hash = ''));

message.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { text, mode } = message.elements;
  const sent = text.value;
  const said = ({ disposition }) => (disposition ? `Message ${disposition}` : 'Sent');
  if (await act(said, '/message', { text: sent, mode: mode.value })) {
    if (text.value === sent) text.value = '';
  }
});

message.elements.text.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  message.requestSubmit();
});

// --- start

async function enter() {
  login.hidden = true;
  find('#town').hidden = false;
  await poll();
  if (token !== undefined) choose(readAddress());
}

readAddress();
token ??= sessionStorage.getItem('reeve.token') ?? undefined;
if (token === undefined) askForToken();
else enter();
