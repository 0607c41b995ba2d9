// Gateway: the one connection to the daemon (control/api/API.md, "The gateway"), with its calls and subscriptions. It
// reconnects by itself: calls that may be repeated are sent again, and each subscription continues after its last event,
// so that nothing is missing and nothing comes twice.
//
// It knows neither tabs nor agents. `onState(state)` hears of each change of `state`:
//   status   'signed_out', 'connecting' (for the first time), 'online' or 'away'
//   reason   why there is no connection, for people
//   since    since when the daemon is away (ms)
//   scope, version, town, offset (the daemon's clock minus ours, in ms)
//   resume   after a sign-in by a link, the ticket with which the same browser may come back

const kFirstDelayMs = 250;
const kLongestDelayMs = 8000;
const kPingMs = 5000; // the longest wait for an answer to a ping after a sleep
const kModes = ['terminal', 'operate', 'view']; // of tickets: the most powerful first
const kReads =
  /\.(list|get|status|snapshot|since|changes|models|transcript|health|ready|metrics|openapi|drain_status|strays|ping|wait|wait_any)$/;

export class GatewayError extends Error {
  constructor({ code, message, data }) {
    super(message);
    this.code = data?.code ?? code;
    this.status = data?.status;
    this.data = data;
  }
}

export class Gateway {
  state = { status: 'signed_out' };
  #base;
  #onState;
  #onOnline;
  #credential; // {token} or {ticket}, the latter replaced by each resume ticket
  #socket;
  #attempt = 0; // counts, so that an attempt that is overtaken ends
  #delayMs = kFirstDelayMs;
  #retry; // the timer of the next attempt
  #watch; // the timer that looks for silence
  #heardAt = 0;
  #heartbeatMs = 15_000;
  #nextId = 1;
  #takers = new Map(); // id → function: the answers that this connection alone waits for
  #calls = new Map(); // id → {method, params, resolve, reject, repeatable, sent}
  #subscriptions = new Set();
  #bySubscription = new Map(); // the daemon's number → subscription

  // `base` is the URL of the daemon's root. `onOnline()` is called at each new connection, before subscriptions continue.
  constructor(base, { onState, onOnline }) {
    this.#base = base;
    this.#onState = onState;
    this.#onOnline = onOnline;
  }

  get signedIn() {
    return this.#credential !== undefined;
  }

  signIn(credential) {
    this.#credential = credential;
    this.#drop();
    this.#delayMs = kFirstDelayMs;
    this.#setState({ status: 'connecting' });
    this.#connect();
  }

  signOut(reason) {
    this.#credential = undefined;
    this.#drop();
    this.#setState({ status: 'signed_out', reason });
    for (const call of this.#calls.values()) call.reject(new GatewayError({ code: 'signed_out', message: 'You are signed out.' }));
    this.#calls.clear();
  }

  // A call that changes something is refused while the daemon is away; other calls wait for it.
  call(method, params = {}) {
    const reads = kReads.test(method);
    if (this.state.status === 'signed_out' || (!reads && this.state.status !== 'online')) {
      return Promise.reject(new GatewayError({ code: 'away', message: 'The daemon is away.' }));
    }
    // With a key the daemon recognises a repetition. It takes none for tickets, which are not repeated.
    const keyed = !reads && !/^(tickets|events)\./.test(method) && params.idempotency_key === undefined;
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const call = { method, params: keyed ? { ...params, idempotency_key: randomKey() } : params, resolve, reject };
      call.repeatable = reads || call.params.idempotency_key !== undefined;
      this.#calls.set(id, call);
      if (this.state.status === 'online') this.#send(id, call);
    });
  }

  // Subscribes as events.subscribe does, and stays subscribed over all connections until the returned function is called.
  // `listener` has some of: event(envelope), synced(cursor), gap({from, to, reason}), end(reason).
  subscribe(params, listener) {
    const subscription = { params: { ...params }, listener };
    this.#subscriptions.add(subscription);
    if (this.state.status === 'online') this.#resume(subscription);
    return () => {
      this.#subscriptions.delete(subscription);
      if (subscription.number === undefined) return;
      this.#bySubscription.delete(subscription.number);
      if (this.state.status === 'online') this.#request('events.unsubscribe', { subscription: subscription.number });
    };
  }

  // Someone looks at the page again, or the network is back: a connection that is dead is found at once.
  check() {
    if (this.state.status === 'away') {
      clearTimeout(this.#retry);
      this.#connect();
    } else if (this.state.status === 'online' && Date.now() - this.#heardAt > this.#heartbeatMs) {
      const socket = this.#socket;
      this.#request('gateway.ping', {});
      setTimeout(() => {
        if (socket === this.#socket && Date.now() - this.#heardAt > kPingMs) this.#lost();
      }, kPingMs);
    }
  }

  // --- connecting

  async #connect() {
    const attempt = ++this.#attempt;
    try {
      const ticket = await this.#ticket();
      if (attempt === this.#attempt) this.#open(ticket, attempt);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error.status === 401 || error.status === 403) return this.signOut(error.message);
      this.#lost();
    }
  }

  async #ticket() {
    const { token, ticket } = this.#credential;
    if (token === undefined) return ticket;
    for (const mode of kModes) {
      const response = await fetch(new URL('stream-ticket', this.#base), {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ agents: '*', mode }),
        cache: 'no-store',
      });
      if (response.status === 403 && mode !== kModes.at(-1)) continue;
      if (response.status === 401) throw Object.assign(new Error('The daemon does not accept this token.'), { status: 401 });
      if (!response.ok) throw Object.assign(new Error(`The daemon answers ${response.status}.`), { status: response.status });
      return (await response.json()).ticket;
    }
  }

  #open(ticket, attempt) {
    const url = new URL('ws', this.#base);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url, ['reeve.v1', `reeve.ticket.${ticket}`]);
    this.#socket = socket;
    let opened = false;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heardAt = Date.now();
      const message = JSON.parse(data);
      if (message.method === 'event') this.#takeEvent(message.params);
      else this.#takeAnswer(message);
    };
    socket.onopen = () => (opened = true);
    socket.onclose = async () => {
      if (socket !== this.#socket) return;
      if (!opened && this.#credential.token === undefined && (await this.#refuses(attempt))) return;
      if (socket === this.#socket) this.#lost();
    };
  }

  // A WebSocket that fails does not tell why. If the daemon answers otherwise, and still refuses the ticket at a second
  // attempt, the ticket was used or is too old.
  async #refuses(attempt) {
    try {
      const response = await fetch(new URL('ready', this.#base), { cache: 'no-store' });
      if (!response.ok || attempt !== this.#attempt) return false;
    } catch {
      return false;
    }
    if (!this.#credential.suspect) {
      this.#credential.suspect = true;
      return false;
    }
    this.signOut('This link was used before, or it is too old. The command “reeve open” makes another one.');
    return true;
  }

  #drop() {
    ++this.#attempt;
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    this.#takers.clear();
    this.#bySubscription.clear();
    for (const subscription of this.#subscriptions) subscription.number = undefined;
  }

  #lost() {
    this.#drop();
    for (const [id, call] of this.#calls) {
      if (call.repeatable || !call.sent) continue;
      this.#calls.delete(id);
      call.reject(new GatewayError({ code: 'away', message: 'The connection to the daemon was lost.' }));
    }
    this.#setState({ ...this.state, status: 'away', since: this.state.status === 'away' ? this.state.since : Date.now() });
    this.#retry = setTimeout(() => this.#connect(), this.#delayMs * (0.75 + Math.random() / 2));
    this.#delayMs = Math.min(this.#delayMs * 2, kLongestDelayMs);
  }

  #begin({ version, town, scope, heartbeat_ms, resume }) {
    this.#heartbeatMs = heartbeat_ms;
    this.#delayMs = kFirstDelayMs;
    if (this.#credential.token === undefined) this.#credential = { ticket: resume };
    clearInterval(this.#watch);
    this.#watch = setInterval(() => {
      if (Date.now() - this.#heardAt > 3 * this.#heartbeatMs) this.#lost();
    }, this.#heartbeatMs / 3);
    const offset = this.state.offset ?? 0;
    this.#setState({ status: 'online', version, town, scope, offset, ...(this.#credential.ticket && { resume }) });
    this.#request('gateway.ping', {}, ({ result }) => {
      if (result) this.#setState({ ...this.state, offset: Date.parse(result.time) - Date.now() });
    });
    this.#onOnline();
    for (const subscription of this.#subscriptions) if (subscription.number === undefined) this.#resume(subscription);
    for (const [id, call] of this.#calls) if (!call.sent || call.repeatable) this.#send(id, call);
  }

  // --- messages

  #setState(state) {
    this.state = state;
    this.#onState(state);
  }

  #send(id, call) {
    call.sent = true;
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method: call.method, params: call.params }));
  }

  // A call that belongs to this connection alone; `take(message)` is called before any later message.
  #request(method, params, take = () => {}) {
    const id = `c${this.#nextId++}`;
    this.#takers.set(id, take);
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
  }
  #takeAnswer(message) {
    const take = this.#takers.get(message.id);
    if (take) {
      this.#takers.delete(message.id);
      return take(message);
    }
    const call = this.#calls.get(message.id);
    if (!call) return;
    this.#calls.delete(message.id);
    if (message.error) call.reject(new GatewayError(message.error));
    else call.resolve(message.result);
  }

  #resume(subscription) {
    const socket = this.#socket;
    this.#request('events.subscribe', subscription.params, ({ result, error }) => {
      if (socket !== this.#socket) return;
      if (error) {
        this.#subscriptions.delete(subscription);
        return subscription.listener.end?.(error.data?.code ?? 'refused');
      }
      if (!this.#subscriptions.has(subscription)) {
        return this.#request('events.unsubscribe', { subscription: result.subscription });
      }
      subscription.number = result.subscription;
      this.#bySubscription.set(result.subscription, subscription);
    });
  }

  #takeEvent(envelope) {
    const { type, data } = envelope;
    if (type === 'gateway.ready') return this.#begin(data);
    const subscription = this.#bySubscription.get(envelope.subscription);
    if (!subscription) return;
    const { listener, params } = subscription;
    const single = params.agent !== '*';
    if (type === 'stream.synced') {
      if (single) params.after = data.cursor;
      listener.synced?.(data.cursor, envelope.agent);
    } else if (type === 'stream.gap') {
      if (single) params.after = data.to;
      listener.gap?.(data, envelope.agent);
    } else if (type === 'stream.bye') {
      if (single) this.#subscriptions.delete(subscription);
      listener.end?.(data.reason, envelope.agent);
    } else if (envelope.seq !== undefined || data?.pending) {
      if (single && envelope.seq !== undefined) params.after = `${envelope.epoch}-${envelope.seq}`;
      listener.event?.(envelope);
    }
  }
}

// crypto.randomUUID exists only on pages with TLS and on loopback.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
