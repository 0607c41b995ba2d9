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
const kAttemptMs = 30_000; // the longest time of an attempt to connect
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
  #retry; // the timer of the next attempt; undefined during an attempt
  #late; // the timer of an attempt that takes too long
  #signingIn; // {resolve, reject} of a first sign-in that the daemon has not answered
  #watch; // the timer that looks for silence
  #heardAt = 0;
  #heartbeatMs = 15_000;
  #nextId = 1;
  #takers = new Map(); // id → function: the answers that this connection alone waits for
  #calls = new Map(); // id → {method, params, resolve, reject, repeatable, sent}
  #subscriptions = new Set();
  #bySubscription = new Map(); // the daemon's number → subscription

  // `base` is the URL of the daemon's root. `onOnline()` is called at each new connection, after subscriptions continue.
  constructor(base, { onState, onOnline }) {
    this.#base = base;
    this.#onState = onState;
    this.#onOnline = onOnline;
  }

  get signedIn() {
    return this.#credential !== undefined;
  }

  // Signs in; the promise tells whether the daemon accepts the credential. If someone is signed in already, that sign-in stays
  // until it does.
  signIn(credential) {
    if (this.signedIn) return this.#change(credential);
    this.#credential = credential;
    this.#drop();
    this.#delayMs = kFirstDelayMs;
    this.#setState({ status: 'connecting' });
    return new Promise((resolve, reject) => {
      this.#signingIn = { resolve, reject };
      this.#connect();
    });
  }

  // Leaves nothing at the daemon with which the same browser may come back.
  signOut() {
    if (this.state.status === 'online') this.#request('gateway.sign_out', {});
    this.#end();
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
  // `params.after` is kept up to date, so that the same params continue a subscription that was ended.
  // `listener` has some of: event(envelope), synced(cursor), gap({from, to, reason}), end(reason).
  subscribe(params, listener) {
    const subscription = { params, listener };
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
    if (this.#retry !== undefined) {
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
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#late = setTimeout(() => this.#lost(), kAttemptMs);
    try {
      const ticket = await ticketFor(this.#base, this.#credential);
      if (attempt === this.#attempt) this.#listen(dial(this.#base, ticket));
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (error.status === 401 || error.status === 403) return this.#end(error.message);
      this.#lost();
    }
  }

  #listen(socket) {
    this.#socket = socket;
    const attempt = this.#attempt;
    let opened = socket.readyState === WebSocket.OPEN;
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
      const { ticket } = this.#credential;
      const refusal = !opened && ticket !== undefined && (await refusalOf(this.#base, ticket));
      if (attempt !== this.#attempt) return;
      if (refusal) this.#end(refusal);
      else this.#lost();
    };
  }

  // Connects with another credential, and only then lets go of the present one.
  async #change(credential) {
    const ticket = await ticketFor(this.#base, credential);
    const socket = dial(this.#base, ticket);
    const first = await new Promise((resolve) => {
      socket.onmessage = ({ data }) => resolve(data);
      socket.onclose = () => resolve();
    });
    if (first === undefined) {
      throw new Error((credential.ticket && (await refusalOf(this.#base, ticket))) || 'The daemon did not answer.');
    }
    this.#drop();
    this.#failCalls(({ method }) => !kReads.test(method));
    this.#credential = credential;
    this.#listen(socket);
    socket.onmessage({ data: first });
  }

  // Ends the sign-in.
  #end(reason) {
    this.#credential = undefined;
    this.#drop();
    this.#setState({ status: 'signed_out', reason });
    for (const call of this.#calls.values()) call.reject(new GatewayError({ code: 'signed_out', message: 'You are signed out.' }));
    this.#calls.clear();
    this.#signingIn?.reject(new Error(reason));
    this.#signingIn = undefined;
  }

  #drop() {
    ++this.#attempt;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    clearTimeout(this.#late);
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
    this.#failCalls((call) => call.sent && !call.repeatable);
    this.#setState({ ...this.state, status: 'away', since: this.state.status === 'away' ? this.state.since : Date.now() });
    this.#retry = setTimeout(() => this.#connect(), this.#delayMs * (0.75 + Math.random() / 2));
    this.#delayMs = Math.min(this.#delayMs * 2, kLongestDelayMs);
  }

  #failCalls(which) {
    for (const [id, call] of this.#calls) {
      if (!which(call)) continue;
      this.#calls.delete(id);
      call.reject(new GatewayError({ code: 'away', message: 'The connection to the daemon was lost.' }));
    }
  }

  #begin({ version, town, scope, heartbeat_ms, resume }) {
    clearTimeout(this.#late);
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
    this.#signingIn?.resolve();
    this.#signingIn = undefined;
    for (const subscription of this.#subscriptions) if (subscription.number === undefined) this.#resume(subscription);
    for (const [id, call] of this.#calls) if (!call.sent || call.repeatable) this.#send(id, call);
    this.#onOnline();
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

// The ticket for the next connection.
async function ticketFor(base, { token, ticket }) {
  if (token === undefined) return ticket;
  for (const mode of kModes) {
    const response = await fetch(new URL('stream-ticket', base), {
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

function dial(base, ticket) {
  const url = new URL('ws', base);
  url.protocol = url.protocol.replace('http', 'ws');
  return new WebSocket(url, ['reeve.v1', `reeve.ticket.${ticket}`]);
}

// A WebSocket that fails does not tell why, so the daemon is asked. Returns its refusal for people; nothing if the ticket is
// valid, or the daemon does not say.
async function refusalOf(base, ticket) {
  try {
    const response = await fetch(new URL('ws/ticket', base), { headers: { 'x-reeve-ticket': ticket }, cache: 'no-store' });
    if (response.status !== 401) return undefined;
    return 'This link was used before, or it is too old. The command “reeve open” makes another one.';
  } catch {
    return undefined;
  }
}

// crypto.randomUUID exists only on pages with TLS and on loopback.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
