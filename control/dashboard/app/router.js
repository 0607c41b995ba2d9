// The address: #/ (town), #/inbox, #/start?like=ID, #/agents/ID?at=SEQ. `route` is {view, id?, query}.

import { signal } from '@preact/signals';

export const route = signal(read());

export const paths = {
  town: () => '#/',
  inbox: () => '#/inbox',
  start: (like) => (like ? `#/start?like=${encodeURIComponent(like)}` : '#/start'),
  agent: (id, at) => `#/agents/${encodeURIComponent(id)}${at === undefined ? '' : `?at=${at}`}`,
};

export function go(path, { replace = false } = {}) {
  if (!replace) return void (location.hash = path);
  history.replaceState(null, '', path);
  route.value = read();
}

function read() {
  const hash = location.hash.slice(1);
  const old = new URLSearchParams(hash).get('agent'); // the address of the plain page
  if (old && !hash.startsWith('/')) return { view: 'agent', id: old, query: new URLSearchParams() };
  const [path, query] = hash.split('?');
  const [view = '', id] = path.split('/').slice(1).map(decode);
  const of = new URLSearchParams(query);
  if (view === 'agents' && id) return { view: 'agent', id, query: of };
  if (view === 'inbox' || view === 'start') return { view, query: of };
  return { view: 'town', query: of };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

addEventListener('hashchange', () => (route.value = read()));

// The credential that the address may bring once, {token} or {ticket}; it leaves the address and the history at once.
export function takeCredential() {
  const [, query = ''] = location.hash.split('?');
  const plain = new URLSearchParams(location.hash.startsWith('#/') ? query : location.hash.slice(1));
  const credential = plain.get('token') ? { token: plain.get('token') } : plain.get('ticket') ? { ticket: plain.get('ticket') } : undefined;
  if (!credential) return undefined;
  const agent = plain.get('agent');
  const path = location.hash.startsWith('#/') ? location.hash.split('?')[0] : agent ? paths.agent(agent) : paths.town();
  history.replaceState(null, '', path);
  route.value = read();
  return credential;
}
