// The tab's side of the worker (worker/main.js): calls, subscriptions, and the state of the connection as signals.

import { batch, computed, signal } from '@preact/signals';

/* global WORKER_FILE */

const kRemembered = 'reeve.credential'; // in the session storage of this tab

// The state of the gateway (worker/gateway.js), as this tab knows it.
export const connection = signal({ status: 'connecting' });
export const online = computed(() => connection.value.status === 'online');
export const refusal = signal(); // why the daemon did not accept a link, while an earlier sign-in goes on
export const mayOperate = computed(() => online.value && connection.value.scope !== 'view');
export const mayCreate = computed(() => online.value && connection.value.scope === 'admin');

const calls = new Map(); // id → {resolve, reject}
const subscriptions = new Map(); // id → handlers
let nextId = 1;
let port;
let explicit; // a credential with which this tab has just signed in, until the daemon accepts or refuses it
let onTown = () => {};

// The daemon's time now, in ms.
export function now() {
  return Date.now() + (connection.value.offset ?? 0);
}

// Connects this tab; `takeTown(message)` gets the messages about the town. Called once.
export function connect(credential, takeTown) {
  onTown = takeTown;
  explicit = credential;
  const url = new URL(WORKER_FILE, import.meta.url);
  if ('SharedWorker' in globalThis) {
    port = new SharedWorker(url, { type: 'module', name: 'reeve' }).port;
  } else {
    port = new Worker(url, { type: 'module', name: 'reeve' });
  }
  port.onmessage = ({ data }) => take(data);
  hello();
  addEventListener('pagehide', () => port.postMessage({ kind: 'bye' }));
  addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
  document.addEventListener('visibilitychange', () => {
    port.postMessage({ kind: 'hidden', hidden: document.hidden });
    if (!document.hidden) port.postMessage({ kind: 'check' });
  });
}

function hello() {
  const credential = explicit ?? JSON.parse(sessionStorage.getItem(kRemembered) ?? 'null') ?? undefined;
  port.postMessage({ kind: 'hello', credential, explicit: explicit !== undefined, hidden: document.hidden });
  // The worker learns from this lock that the tab has gone, however it went. Locks need TLS or loopback. The tab must have it
  // before the worker waits for it.
  const lock = `reeve.tab.${crypto.getRandomValues(new Uint32Array(4)).join('.')}`;
  navigator.locks?.request(lock, () => {
    port.postMessage({ kind: 'lock', lock });
    return new Promise(() => {});
  });
}

function remember(credential) {
  if (credential) sessionStorage.setItem(kRemembered, JSON.stringify(credential));
  else sessionStorage.removeItem(kRemembered);
}

export function signIn(credential) {
  explicit = credential;
  port.postMessage({ kind: 'hello', credential, explicit: true, hidden: document.hidden });
}

export function signOut() {
  port.postMessage({ kind: 'signOut' });
}

// Calls a method of the daemon (control/api/API.md, "JSON-RPC"). A change is sent once, and again under the same key
// if the connection is lost before its answer; while the daemon is away it is refused. Errors have `code` (such as
// 'agent_not_found'), `status`, and a message for people.
export function call(method, params = {}) {
  return new Promise((resolve, reject) => {
    const id = nextId++;
    calls.set(id, { resolve, reject });
    port.postMessage({ kind: 'call', id, method, params });
  });
}

// Subscribes to the log of an agent, as events.subscribe does: {agent, after?, types?, coalesce?}. `onEvent(envelope)` is
// called for each event, once and in order, over all connections; `onSynced(cursor)`, `onGap({from, to, reason})` and
// `onEnd(reason)` are optional, and `onBatch()` follows the last of the events that arrived together. Returns a function that
// ends the subscription.
export function subscribe(params, onEvent, { onSynced, onGap, onEnd, onBatch } = {}) {
  const id = nextId++;
  subscriptions.set(id, { event: onEvent, synced: onSynced, gap: onGap, end: onEnd, onBatch });
  port.postMessage({ kind: 'subscribe', id, params });
  return () => {
    subscriptions.delete(id);
    port.postMessage({ kind: 'unsubscribe', id });
  };
}

// Asks for the last lines of agents that this tab shows.
export function look(ids) {
  port.postMessage({ kind: 'look', ids });
}

function take(message) {
  if (message.kind === 'state') takeState(message.state);
  else if (message.kind === 'accepted') takeAccepted();
  else if (message.kind === 'refused') takeRefused(message.reason);
  else if (message.kind === 'town') onTown(message);
  else if (message.kind === 'answer') takeAnswer(message);
  else if (message.kind === 'events') takeEvents(message);
}

function takeState(state) {
  // The resume ticket replaces the one that it came for. A token stays as it is.
  if (state.resume) remember({ ticket: state.resume });
  if (state.status === 'signed_out') remember(undefined);
  connection.value = state;
}

// A token is remembered as it is; a ticket was used up.
function takeAccepted() {
  if (explicit?.token) remember(explicit);
  explicit = undefined;
  refusal.value = undefined;
}

function takeRefused(reason) {
  explicit = undefined;
  if (connection.value.status !== 'signed_out') refusal.value = reason;
}

function takeAnswer({ id, result, error }) {
  const { resolve, reject } = calls.get(id);
  calls.delete(id);
  if (error) reject(Object.assign(new Error(error.message), error));
  else resolve(result);
}

function takeEvents({ id, batch: events }) {
  const handlers = subscriptions.get(id);
  if (!handlers) return;
  batch(() => {
    for (const [kind, value] of events) handlers[kind]?.(value);
    handlers.onBatch?.();
  });
}
