// StreamClient: reads an agent's live event stream until the stream is over. It continues across dropped
// connections and restarts of the daemon, and delivers every event once and in order. It has no DOM and no
// dependencies, and runs in browsers and in Node 18 or later. <agent-stream> is a view of it.
//
//   const client = new StreamClient({
//     tickets: ticketsFrom('/agents/a1/stream-ticket'),
//     after: '0',                       // from the oldest event; without it: live only
//     onEvent: (event) => console.log(event.seq, event.type, event.data),
//   });
//   client.start();
//
// A connection uses up a one-use ticket, so each one begins with a request to `tickets` for a new one. If that
// fails, the client tries the resume ticket of the last stream. The position is sent as `after` in the query,
// because that needs no CORS preflight, unlike a Last-Event-ID header.

// The longest line is an agent.output of 1 MiB, which is up to six times longer when all of it is escaped in JSON.
const kMaxBlockChars = 16 << 20;

const kTimes = {
  silenceMs: 40_000, // the server sends something every 15 s
  backoffMinMs: 250,
  backoffMaxMs: 10_000,
};

// The longest time to process arrived data before other work of the page gets its turn.
const kSliceMs = 12;

// A server accepts 8 KiB of path and query. If the positions do not fit, they are in the ticket.
const kMaxAfterChars = 6000;

// The number of 401 answers in a row after which no new ticket is requested. One 401 may only mean that a
// restart of the daemon lost the ticket.
const kMaxRefusals = 3;

// The reasons of stream.bye after which nothing follows.
const kFinalByes = new Set(['agent_exited', 'agent_deleted']);

// Splits bytes, which may arrive in any pieces, into the blocks of an event stream (WHATWG HTML, 9.2.6). Each
// block goes to `onBlock` as {id, event, data}; a missing field is undefined.
export class SseParser {
  #onBlock;
  #decoder = new TextDecoder();
  #rest = ''; // the line that has not ended yet
  #afterCr = false; // a following LF belongs to the line end before it
  #block = {};

  constructor(onBlock) {
    this.#onBlock = onBlock;
  }

  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === '') return;
    if (this.#afterCr && text[0] === '\n') text = text.slice(1);
    this.#afterCr = text.endsWith('\r');
    const lines = text.split(/\r\n|\n|\r/);
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line);
    if (this.#rest.length + (this.#block.data?.length ?? 0) > kMaxBlockChars) {
      throw new Error('the server sent an event larger than 16 MiB');
    }
  }

  #line(line) {
    if (line === '') {
      const block = this.#block;
      this.#block = {};
      if (block.id !== undefined || block.data !== undefined) this.#onBlock(block);
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    const block = this.#block;
    if (field === 'data') block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (field === 'event') block.event = value;
    else if (field === 'id' && !value.includes('\0')) block.id = value;
  }
}

// A position, "<epoch>-<seq>" or "0". Undefined for anything else.
export function parseCursor(text) {
  if (text === '0') return { epoch: 0, seq: 0 };
  const match = /^(\d+)-(\d+)$/.exec(text ?? '');
  return match ? { epoch: Number(match[1]), seq: Number(match[2]) } : undefined;
}

export function formatCursor({ epoch, seq }) {
  return epoch === 0 ? '0' : `${epoch}-${seq}`;
}

function isAfter(a, b) {
  return a.epoch === b.epoch ? a.seq > b.seq : a.epoch > b.epoch;
}

// An unexpected answer. `status` decides the reaction: after 401 another ticket is requested, a few times;
// other 4xx are final; everything else is retried.
export class HttpError extends Error {
  constructor(message, status, retryAfterMs) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  static async from(response, what) {
    let reason = response.statusText;
    if (response.headers.get('content-type')?.startsWith('application/problem+json')) {
      const problem = await response.json().catch(() => ({}));
      reason = problem.detail || problem.title || reason;
    }
    const seconds = Number(response.headers.get('retry-after'));
    const wait = seconds > 0 ? Math.min(seconds, 60) * 1000 : undefined;
    return new HttpError(`${what}: ${response.status} ${reason}`.trim(), response.status, wait);
  }
}

// A ticket provider that POSTs to `url`, which answers like POST /agents/{id}/stream-ticket. The `url` in the
// answer is relative to the requested one. `headers` may be a function.
export function ticketsFrom(url, { headers, body, credentials = 'same-origin' } = {}) {
  return async ({ signal, after } = {}) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(typeof headers === 'function' ? headers() : headers) },
      body: JSON.stringify({ ...body, after }),
      cache: 'no-store',
      credentials,
      signal,
    });
    if (!response.ok) throw await HttpError.from(response, 'asking for a ticket');
    const ticket = await response.json();
    return { ...ticket, url: new URL(ticket.url, response.url).href };
  };
}

export class StreamClient {
  #options;
  #times;
  #positions = new Map(); // agent → position; for a stream of one agent '' → position
  #unsynced = new Map(); // agent → head at its hello, until it is synced
  #url; // the URL of the last stream
  #resume; // its resume ticket, which allows one more connection
  #abort; // aborts everything that runs between start() and stop()
  #wake; // ends the current pause
  #state = 'idle';
  #failures = 0; // failures since the last progress; decides the length of the pause
  #refusals = 0; // number of 401 answers in a row

  // tickets    async ({signal, after}) => {url} or a URL. If it throws, it is called again later. An error whose
  //            `status` is a 4xx other than 401, 408, 425 and 429 is final. `after` is present only for several
  //            agents: {a1: "3-10"}, for the ticket. It is needed for hundreds of agents, whose positions do not
  //            fit into a query.
  // after      the start: a cursor, or "0" for the oldest event; for several agents "a1:3-10,b2:1-7".
  // several    the stream shows several agents (GET /stream): positions are kept for each.
  // types      only these types: "tool.*,run.failed". Missing events cannot be detected then.
  // follow     continue when the agent has exited, until it is deleted.
  // base       the base of relative URLs; in a browser it defaults to the page's address.
  // onEvent    (envelope)
  // onGap      ({agent, from, to, reason}): these events are missing. `reason` is "expired", "lost", "damaged", or "missing" if
  //            numbers were skipped without a report from the server, which is an error somewhere.
  // onState    (state, {reason, error}): connecting, replaying, live, reconnecting; and the final states ended,
  //            replaced (another client took this stream over) and error.
  constructor(options) {
    this.#options = { credentials: 'same-origin', fetch: (...args) => fetch(...args), ...options };
    this.#times = { ...kTimes, ...options.times };
    this.#seek(options.after);
  }

  get state() {
    return this.#state;
  }

  // The position of this client, in the form that `after` takes. Undefined before the first position.
  get cursor() {
    if (!this.#options.several) {
      const position = this.#positions.get('');
      return position && formatCursor(position);
    }
    const each = [...this.#positions].map(([agent, position]) => `${agent}:${formatCursor(position)}`);
    return each.length > 0 ? each.join(',') : undefined;
  }

  start() {
    if (this.#abort) return;
    this.#abort = new AbortController();
    this.#run(this.#abort.signal);
  }

  // Ends at once, without another call to any handler. start() continues at the same position.
  stop() {
    this.#abort?.abort();
    this.#abort = undefined;
    this.#state = 'idle';
  }

  // Ends a pause before the next connection, because the network is back or the page is visible again.
  wake() {
    this.#wake?.();
  }

  #seek(after) {
    if (after === undefined || after === null || after === '') return;
    for (const part of this.#options.several ? after.split(',') : [`:${after}`]) {
      const colon = part.indexOf(':');
      const position = parseCursor(part.slice(colon + 1));
      if (!position) throw new TypeError(`not a cursor: ${part}`);
      this.#positions.set(part.slice(0, colon), position);
    }
  }

  #afterEach() {
    if (!this.#options.several || this.#positions.size === 0) return undefined;
    return Object.fromEntries([...this.#positions].map(([agent, position]) => [agent, formatCursor(position)]));
  }

  async #run(signal) {
    this.#enter('connecting');
    while (!signal.aborted) {
      const end = await this.#connection(signal);
      if (signal.aborted) return;
      if (end.state) return this.#enter(end.state, end);
      this.#enter('reconnecting', end);
      await this.#pause(end.error?.retryAfterMs ?? this.#backoff(), signal);
    }
  }

  // One connection from its ticket to its end. Returns the report; it has a `state` if this was the last connection.
  async #connection(signal) {
    const life = new AbortController();
    const stop = () => life.abort(signal.reason);
    signal.addEventListener('abort', stop);
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => life.abort(new Error('the server went silent')), this.#times.silenceMs);
    };
    try {
      heard();
      const response = await this.#open(life.signal);
      if (response.status === 204) return { state: 'ended', reason: 'ended' };
      const reason = await this.#read(response.body.getReader(), life.signal, heard);
      if (kFinalByes.has(reason)) return { state: 'ended', reason };
      if (reason === 'replaced') return { state: 'replaced', reason };
      return { reason: reason ?? 'dropped' };
    } catch (error) {
      return this.#failed(life.signal.aborted ? life.signal.reason : error);
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', stop);
      life.abort();
    }
  }

  #failed(error) {
    const status = error.status ?? 0;
    if (status === 401) return ++this.#refusals < kMaxRefusals ? { error } : { state: 'error', error };
    const passing = status < 400 || status >= 500 || [408, 425, 429].includes(status);
    return passing ? { error } : { state: 'error', error };
  }

  async #open(signal) {
    const url = await this.#nextUrl(signal);
    const { types, follow, credentials } = this.#options;
    const after = this.cursor ?? '';
    if (after !== '' && encodeURIComponent(after).length <= kMaxAfterChars) url.searchParams.set('after', after);
    if (types) url.searchParams.set('types', types);
    if (follow) url.searchParams.set('follow', '1');
    const response = await this.#options.fetch(url.href, {
      headers: { accept: 'text/event-stream' },
      cache: 'no-store',
      credentials,
      signal,
    });
    if (response.status === 204) return response;
    if (response.status !== 200) throw await HttpError.from(response, 'opening the stream');
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      throw new Error('opening the stream: the answer is not an event stream');
    }
    this.#url = url;
    this.#refusals = 0;
    this.#unsynced.clear();
    return response;
  }

  // The URL of the next connection: with a new ticket, otherwise with the resume ticket of the last stream.
  async #nextUrl(signal) {
    const resume = this.#resume;
    this.#resume = undefined;
    try {
      const answer = await unlessAborted(this.#options.tickets({ signal, after: this.#afterEach() }), signal);
      return new URL(answer.url ?? answer, this.#options.base ?? globalThis.document?.baseURI);
    } catch (error) {
      if (signal.aborted || !resume) throw error;
      const url = new URL(this.#url);
      url.searchParams.set('ticket', resume);
      return url;
    }
  }

  // Reads until the server says goodbye and returns its reason; undefined if the stream ended without a goodbye.
  async #read(reader, signal, heard) {
    let goodbye;
    const parser = new SseParser((block) => {
      if (!signal.aborted && goodbye === undefined) goodbye = this.#take(block);
    });
    let begun = performance.now();
    for (;;) {
      if (performance.now() - begun > kSliceMs) {
        await othersTurn();
        begun = performance.now();
      }
      const { done, value } = await reader.read();
      if (done || signal.aborted) return undefined;
      heard();
      parser.push(value);
      if (goodbye !== undefined) return goodbye;
    }
  }

  // Returns the reason if this block is a goodbye.
  #take({ id, event, data }) {
    if (data === undefined) {
      this.#standAt(parseCursor(id));
      return undefined;
    }
    const body = JSON.parse(data);
    if (event?.startsWith('stream.')) return this.#control(event, body);
    this.#event(body);
    return undefined;
  }

  #control(event, frame) {
    const key = this.#key(frame);
    switch (event) {
      case 'stream.hello':
        if (frame.resume) this.#resume = frame.resume;
        if (frame.head) this.#unsynced.set(key, parseCursor(frame.head));
        this.#enter(this.#unsynced.size > 0 ? 'replaying' : 'live'); // a town may have no agents yet
        break;
      case 'stream.synced':
        this.#synced(key);
        break;
      case 'stream.gap':
        this.#positions.set(key, parseCursor(frame.to));
        this.#tell('onGap', frame);
        break;
      case 'stream.heartbeat':
        this.#progress();
        break;
      case 'stream.bye':
        // In a stream of several agents, the goodbye of one agent ends only that agent's part.
        if (this.#options.several && frame.agent && kFinalByes.has(frame.reason)) {
          if (frame.reason === 'agent_deleted') this.#positions.delete(frame.agent);
          break;
        }
        return frame.reason ?? 'dropped';
    }
    return undefined;
  }

  #event(event) {
    const key = this.#key(event);
    const last = this.#positions.get(key);
    const position = { epoch: event.epoch, seq: event.seq };
    if (last && !isAfter(position, last)) return; // already delivered
    const checked = last && last.epoch > 0 && !this.#options.types;
    if (checked && event.seq !== last.seq + 1) {
      const to = formatCursor({ epoch: event.epoch, seq: event.seq - 1 });
      this.#tell('onGap', { agent: event.agent, from: formatCursor(last), to, reason: 'missing' });
    }
    this.#positions.set(key, position);
    this.#progress();
    this.#tell('onEvent', event);
  }

  // The server reports the position without an event: at the start of a stream, or when the filter dropped all
  // events. Otherwise only events move the position, so that missing events are detected.
  #standAt(position) {
    if (!position || this.#options.several) return;
    const last = this.#positions.get('');
    if (!last || (this.#options.types && isAfter(position, last))) this.#positions.set('', position);
  }

  // Everything up to the head in the hello has been delivered, or was not requested.
  #synced(key) {
    const head = this.#unsynced.get(key);
    this.#unsynced.delete(key);
    if (head && !this.#positions.has(key)) this.#positions.set(key, head);
    if (this.#unsynced.size === 0) this.#enter('live');
  }

  #key(frame) {
    return this.#options.several ? frame.agent : '';
  }

  #progress() {
    this.#failures = 0;
  }

  #backoff() {
    const { backoffMinMs, backoffMaxMs } = this.#times;
    const most = Math.min(backoffMaxMs, backoffMinMs * 2 ** this.#failures++);
    return most * (0.5 + Math.random() / 2); // jitter: viewers of a daemon must not reconnect all at once
  }

  #pause(ms, signal) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener('abort', this.#wake, { once: true });
    });
  }

  #enter(state, { reason, error } = {}) {
    if (state === this.#state && !error) return;
    this.#state = state;
    this.#tell('onState', state, { reason, error });
  }

  // An error in a handler must not disturb the stream.
  #tell(handler, ...args) {
    try {
      this.#options[handler]?.(...args);
    } catch (error) {
      (globalThis.reportError ?? console.error)(error);
    }
  }
}

// Resolves in a task of its own. A timer would work too, but hidden pages run timers only once a second.
function othersTurn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    Promise.resolve(promise).then(resolve, reject);
  });
}
