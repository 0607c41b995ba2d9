// The worker of the dashboard: one for all tabs of a browser (SharedWorker), or one for each tab where the browser has no
// SharedWorker. It holds the sign-in, the one connection and the picture of the town; tabs talk to it by messages.
//
// tab → worker: hello {credential, explicit}, lock {lock}, call {id, method, params}, subscribe {id, params}, unsubscribe {id},
//   look {ids}, signOut, check, bye
// worker → tab: state {state}, answer {id, result | error}, events {id, batch}, town {…} (town.js)

import { Gateway } from './gateway.js';
import { Town } from './town.js';

const kBatchMs = 16; // events of a subscription that arrive within this time reach a tab in one message

const tabs = new Set();
const base = new URL('../', self.location.href); // this file is BASE/assets/worker-HASH.js

const gateway = new Gateway(base, {
  onState(state) {
    if (state.status === 'signed_out') town.forget();
    broadcast({ kind: 'state', state });
  },
  onOnline: () => town.begin(),
});
const town = new Town(gateway, broadcast);

function broadcast(message) {
  for (const tab of tabs) tab.post(message);
}

class Tab {
  #port;
  #subscriptions = new Map(); // the tab's number → {end, batch, timer}

  constructor(port) {
    this.#port = port;
    port.onmessage = ({ data }) => this.#take(data);
  }

  post(message) {
    this.#port.postMessage(message);
  }

  #take({ kind, ...message }) {
    if (kind === 'hello') this.#hello(message);
    else if (kind === 'lock') self.navigator.locks.request(message.lock, () => this.#bye()); // a tab that crashes says no goodbye
    else if (kind === 'call') this.#call(message);
    else if (kind === 'subscribe') this.#subscribe(message);
    else if (kind === 'unsubscribe') this.#unsubscribe(message.id);
    else if (kind === 'look') town.look(message.ids);
    else if (kind === 'check') gateway.check();
    else if (kind === 'signOut') gateway.signOut();
    else if (kind === 'bye') this.#bye();
  }

  // An explicit sign-in replaces that of the browser. One that a tab remembers counts only if there is no other.
  #hello({ credential, explicit }) {
    tabs.add(this);
    if (credential && (explicit || !gateway.signedIn)) gateway.signIn(credential);
    this.post({ kind: 'state', state: gateway.state });
    this.post(town.picture());
  }

  #bye() {
    tabs.delete(this);
    for (const id of [...this.#subscriptions.keys()]) this.#unsubscribe(id);
  }

  async #call({ id, method, params }) {
    try {
      this.post({ kind: 'answer', id, result: await gateway.call(method, params) });
    } catch ({ code, message, status, data }) {
      this.post({ kind: 'answer', id, error: { code, message, status, data } });
    }
  }

  #subscribe({ id, params }) {
    const subscription = { batch: [] };
    const add = (what, value) => {
      subscription.batch.push([what, value]);
      subscription.timer ??= setTimeout(() => {
        this.post({ kind: 'events', id, batch: subscription.batch });
        subscription.batch = [];
        subscription.timer = undefined;
      }, kBatchMs);
    };
    subscription.end = gateway.subscribe(params, {
      event: (envelope) => add('event', envelope),
      synced: (cursor) => add('synced', cursor),
      gap: (gap) => add('gap', gap),
      end: (reason) => add('end', reason),
    });
    this.#subscriptions.set(id, subscription);
  }

  #unsubscribe(id) {
    const subscription = this.#subscriptions.get(id);
    if (!subscription) return;
    clearTimeout(subscription.timer);
    subscription.end();
    this.#subscriptions.delete(id);
  }
}

self.addEventListener('online', () => gateway.check());

if ('SharedWorkerGlobalScope' in self) {
  self.onconnect = ({ ports: [port] }) => new Tab(port);
} else {
  new Tab(self);
}
