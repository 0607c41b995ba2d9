// The worker of the dashboard: one for all tabs of a browser (SharedWorker), or one for each tab where the browser has no
// SharedWorker. It holds the sign-in, the one connection and the picture of the town; tabs talk to it by messages.
//
// tab → worker: hello {credential, explicit, hidden}, hidden {hidden}, lock {lock}, call {id, method, params}, subscribe {id, params}, unsubscribe {id},
//   look {ids}, signOut, check, bye
// worker → tab: state {state}, accepted, refused {reason}, answer {id, result | error}, events {id, batch}, town {…} (town.js)

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
const town = new Town(gateway, (message) => {
  for (const tab of tabs) tab.postTown(message);
});

function broadcast(message) {
  for (const tab of tabs) tab.post(message);
}

class Tab {
  #port;
  #subscriptions = new Map(); // the tab's number → {params, listener, end, batch, timer}; `end` is absent in a pause
  #hidden = false;

  constructor(port) {
    this.#port = port;
    port.onmessage = ({ data }) => this.#take(data);
  }

  post(message) {
    this.#port.postMessage(message);
  }

  // A tab that nobody sees, and which the browser may have stopped, gets no more than its title and notifications need.
  postTown(message) {
    if (!this.#hidden) return this.post(message);
    const { questions, decided, known } = message;
    if (questions) this.post({ kind: 'town', known, agents: town.agentsOf(questions), lives: [], gone: [], questions, decided });
  }

  #take({ kind, ...message }) {
    if (kind === 'hello') this.#hello(message);
    else if (kind === 'hidden') this.#hide(message.hidden);
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
  #hello({ credential, explicit, hidden }) {
    tabs.add(this);
    this.#hidden = hidden;
    if (credential && (explicit || !gateway.signedIn)) {
      gateway.signIn(credential).then(
        () => this.post({ kind: 'accepted' }),
        ({ message }) => this.post({ kind: 'refused', reason: message }),
      );
    }
    this.post({ kind: 'state', state: gateway.state });
    this.post(town.picture());
  }

  #hide(hidden) {
    if (hidden === this.#hidden) return;
    this.#hidden = hidden;
    if (!hidden) this.post(town.picture());
    for (const subscription of this.#subscriptions.values()) {
      if (hidden) this.#pause(subscription);
      else this.#begin(subscription);
    }
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
    const subscription = { params, batch: [] };
    const add = (what, value) => {
      subscription.batch.push([what, value]);
      subscription.timer ??= setTimeout(() => {
        this.post({ kind: 'events', id, batch: subscription.batch });
        subscription.batch = [];
        subscription.timer = undefined;
      }, kBatchMs);
    };
    subscription.listener = {
      event: (envelope) => add('event', envelope),
      synced: (cursor) => {
        add('synced', cursor);
        if (this.#hidden) this.#pause(subscription);
      },
      gap: (gap) => add('gap', gap),
      end: (reason) => add('end', reason),
    };
    this.#subscriptions.set(id, subscription);
    this.#begin(subscription);
  }

  #begin(subscription) {
    subscription.end ??= gateway.subscribe(subscription.params, subscription.listener);
  }

  // A subscription of a hidden tab continues later, after its last event. It pauses once it has a place in the log.
  #pause(subscription) {
    if (subscription.params.after === undefined) return;
    subscription.end?.();
    subscription.end = undefined;
  }

  #unsubscribe(id) {
    const subscription = this.#subscriptions.get(id);
    if (!subscription) return;
    clearTimeout(subscription.timer);
    subscription.end?.();
    this.#subscriptions.delete(id);
  }
}

self.addEventListener('online', () => gateway.check());

if ('SharedWorkerGlobalScope' in self) {
  self.onconnect = ({ ports: [port] }) => new Tab(port);
} else {
  new Tab(self);
}
