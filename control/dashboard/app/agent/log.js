// LogWindow: the part of an agent's log that a reader looks at, as a model (model.js). It is read from the end in pages,
// as they are looked at, and holds few of them: reading further drops pages at the other end. While the reader follows
// the end, new events are added; otherwise they are only counted, so nothing that is looked at is dropped or moved.
//
// `connection` has call() and subscribe() (../connection.js). `onChange()` is called when anything below has changed, and
// `onEvent(event)` with each live event, whatever is looked at.

import { Model } from './model.js';

export const kPageBytes = 192 << 10;
const kPageEvents = 1500;
const kMostBytes = 4 * kPageBytes; // of the window; a page is dropped if this many are left without it
const kSlices = 64; // pages that one request for more may read behind a filter
const kEnd = Number.MAX_SAFE_INTEGER;

export class LogWindow {
  model = new Model();
  first = 0; // the number of the first event of the window; everything before it is not loaded
  more = false; // the log has events before the window
  end = 0; // the number of its last event
  head = 0; // the newest event of the log, as far as it is known
  oldest = 1; // the oldest event that the log keeps, as far as it is known
  live = false; // the window ends with the log
  past = false; // the window shows a moment of the past, and ends there
  following = true; // set by the view: the reader looks at the end
  busy; // 'older', 'newer' or 'opening' while a page is being read
  error; // why the last page could not be read
  fetched = 0; // bytes that were read since the window went to its place
  #connection;
  #id;
  #onChange;
  #onEvent;
  #types; // a filter; undefined: all
  #pages = []; // [{first, end, cursor, events, bytes, gap?}], in order, without a hole; `cursor` is behind the page
  #cursor = '0'; // after the last event
  #turn = 0; // grows when the window goes elsewhere, so that an answer that is late is dropped
  #unsubscribe;

  constructor(connection, id, onChange, onEvent = () => {}) {
    this.#connection = connection;
    this.#id = id;
    this.#onChange = onChange;
    this.#onEvent = onEvent;
    this.#unsubscribe = connection.subscribe({ agent: id, coalesce: true }, (event) => this.#take(event), {
      onGap: (gap) => this.#gap(gap),
      onBatch: () => onChange(),
      onEnd: () => onChange(),
    });
  }

  close() {
    ++this.#turn;
    this.#unsubscribe();
  }

  get types() {
    return this.#types;
  }

  // --- places

  toEnd() {
    return this.#open(kEnd, { past: false });
  }

  // The window around an event; the present one if it has the event.
  async toEvent(seq) {
    if (!this.past && this.#hasEvents() && seq >= this.first && seq <= this.end) return;
    const turn = this.#leave();
    const before = await this.#read(turn, { before: seq + 1 });
    const after = before && (await this.#read(turn, { after: before.cursor }));
    if (!after) return;
    this.#pages = [];
    this.past = false;
    this.#setCursor(before.cursor);
    this.#prepend(before);
    this.#addGap(after.gap);
    this.#append(after);
    this.live = !after.more && this.end >= this.head;
    this.#rebuild();
    this.busy = undefined;
    this.#onChange();
  }

  // The beginning of the log. The cursor of a page before its first event is where that is.
  async toStart() {
    const turn = this.#leave();
    const page = await this.#read(turn, { before: 1 });
    if (!page) return undefined;
    this.busy = undefined;
    this.following = false;
    return this.toEvent(Number(page.cursor.split('-')[1] ?? 0) + 1);
  }

  // The window that ends with an event, as the log was then.
  toMoment(seq) {
    return this.#open(seq + 1, { past: true });
  }

  setTypes(types) {
    this.#types = types;
    return this.past ? this.toMoment(this.end) : this.toEnd();
  }

  // The window goes elsewhere: what is being read for its present place is dropped.
  #leave() {
    this.busy = 'opening';
    this.fetched = 0;
    this.#onChange();
    return ++this.#turn;
  }

  async #open(before, { past }) {
    const turn = this.#leave();
    const page = await this.#read(turn, { before });
    if (!page) return;
    this.#pages = [];
    this.past = past;
    this.#setCursor(page.cursor);
    this.live = before === kEnd && this.end >= this.head;
    this.#prepend(page);
    this.#rebuild();
    this.busy = undefined;
    this.#onChange();
    if (!this.#hasEvents() && this.more) await this.older();
    if (turn === this.#turn && !past && before === kEnd && !this.live) await this.#catchUp(turn);
  }

  // Reads the page before the window.
  async older() {
    if (this.busy || !this.more) return;
    const turn = this.#turn;
    this.busy = 'older';
    this.#onChange();
    for (let i = 0; i < kSlices && this.more; ++i) {
      const page = await this.#read(turn, { before: this.first });
      if (!page) return;
      this.#prepend(page);
      if (page.events.length > 0) break;
    }
    this.#dropNewest();
    this.#rebuild();
    this.busy = undefined;
    this.#onChange();
  }

  // Reads the page behind the window.
  async newer() {
    if (this.busy || this.live || this.past) return;
    const turn = this.#turn;
    this.busy = 'newer';
    this.#onChange();
    await this.#catchUp(turn, 1);
  }

  // Reads until the window ends with the log, or `pages` with events.
  async #catchUp(turn, pages = kSlices) {
    for (let i = 0, filled = 0; i < kSlices && filled < pages; ++i) {
      const page = await this.#read(turn, { after: this.#cursor });
      if (!page) return;
      this.#addGap(page.gap);
      this.#append(page);
      if (page.events.length > 0) ++filled;
      if (!page.more && this.end >= this.head) {
        this.live = true;
        break;
      }
    }
    this.#dropOldest();
    this.#rebuild();
    this.busy = undefined;
    this.#onChange();
  }

  async #read(turn, range) {
    try {
      const page = await this.#connection.call('events.since', {
        id: this.#id,
        limit: kPageEvents,
        max_bytes: kPageBytes,
        ...(this.#types && { types: this.#types }),
        ...range,
      });
      if (turn !== this.#turn) return undefined;
      this.error = undefined;
      const bytes = JSON.stringify(page.events).length;
      this.fetched += bytes;
      return { ...page, bytes };
    } catch (error) {
      if (turn !== this.#turn) return undefined;
      this.error = error.message;
      this.busy = undefined;
      this.#onChange();
      return undefined;
    }
  }

  // --- pages

  #hasEvents() {
    return this.#pages.some(({ events }) => events.length > 0);
  }

  #setCursor(cursor) {
    this.#cursor = cursor;
    this.end = Number(cursor.split('-')[1] ?? 0);
    this.head = Math.max(this.head, this.end);
  }

  #prepend({ events, first, cursor, more, bytes }) {
    const next = this.#pages[0];
    if (next && events.length === 0) next.first = first;
    else this.#pages.unshift({ first, end: next ? this.first - 1 : this.end, cursor, events, bytes });
    this.first = first;
    this.more = more;
    if (!more) this.oldest = first;
  }

  #append({ events, first, cursor, bytes }) {
    this.#setCursor(cursor);
    const before = this.#pages.at(-1);
    if (before && events.length === 0 && !before.gap) Object.assign(before, { end: this.end, cursor });
    else this.#pages.push({ first, end: this.end, cursor, events, bytes });
    if (this.#pages.length === 1) this.first = this.#pages[0].first;
  }

  #addGap(gap) {
    if (gap) this.#pages.push({ first: this.end + 1, end: this.end, cursor: this.#cursor, events: [], bytes: 0, gap });
  }

  // How many of these pages, in this order, are not needed.
  #spare(pages) {
    let left = pages.reduce((sum, { bytes }) => sum + bytes, 0);
    let spare = 0;
    while (spare < pages.length - 1 && left - pages[spare].bytes >= kMostBytes) left -= pages[spare++].bytes;
    return spare;
  }

  // Leaves the end of the log, which is read again when the reader goes there.
  #dropNewest() {
    const spare = this.#spare([...this.#pages].reverse());
    if (spare === 0) return;
    this.#pages.length -= spare;
    while (this.#pages.length > 1 && this.#pages.at(-1).gap) this.#pages.pop(); // the next page reports it again
    this.#setCursor(this.#pages.at(-1).cursor);
    this.live = false;
  }

  #dropOldest() {
    const spare = this.#spare(this.#pages);
    if (spare === 0) return false;
    this.#pages.splice(0, spare);
    this.first = this.#pages[0].first;
    this.more = true;
    return true;
  }

  #rebuild() {
    this.model = new Model();
    let before;
    for (const { events, gap } of this.#pages) {
      if (gap) {
        this.model.addGap(gap);
        before = undefined; // the gap says what is missing
      }
      for (const event of events) {
        if (before && !this.#types && event.seq - ((event.joined ?? 1) - 1) > before.seq + 1) {
          const to = `${event.epoch}-${event.seq - 1}`;
          this.model.addGap({ from: `${before.epoch}-${before.seq}`, to, reason: 'damaged' });
        }
        this.model.add(event);
        before = event;
      }
    }
  }

  // --- live events

  #take(event) {
    if (event.seq === undefined) return; // a question that is told again
    this.#onEvent(event);
    const begin = event.seq - ((event.joined ?? 1) - 1);
    this.head = Math.max(this.head, event.seq);
    if (!this.live || event.seq <= this.end) return;
    if (begin !== this.end + 1) {
      // A joined event overlaps with a page, or events were skipped: the page has them.
      this.live = false;
      if (this.following) this.newer();
      return;
    }
    if (!this.following && this.#pages.reduce((sum, { bytes }) => sum + bytes, 0) >= kMostBytes) {
      this.live = false;
      return;
    }
    this.#cursor = `${event.epoch}-${event.seq}`;
    this.end = event.seq;
    if (this.#types && !matches(this.#types, event.type)) return;
    let page = this.#pages.at(-1);
    if (!page || page.bytes >= kPageBytes || page.gap) {
      page = { first: begin, events: [], bytes: 0 };
      this.#pages.push(page);
      if (this.following && this.#dropOldest()) this.#rebuild();
    }
    page.end = event.seq;
    page.cursor = this.#cursor;
    page.events.push(event);
    page.bytes += JSON.stringify(event).length;
    this.model.add(event);
  }

  // The connection missed events for good.
  #gap(gap) {
    if (!this.live) return;
    this.#addGap(gap);
    this.#setCursor(gap.to);
    this.model.addGap(gap);
    this.#onChange();
  }
}

export function matches(types, type) {
  return types.some((one) => one === type || (one.endsWith('.*') && type.startsWith(one.slice(0, -1))));
}

// Searches the log from its end: calls onPage({hits, from, done}) for each slice, until `signal` is aborted or the
// beginning is reached. `from` is the number of the oldest event that was searched.
export async function searchLog(connection, id, { text, types, signal }, onPage) {
  let before = kEnd;
  for (;;) {
    const page = await connection.call('events.since', { id, before, text, limit: 100, max_bytes: kPageBytes, ...(types && { types }) });
    if (signal.aborted) return;
    before = page.first;
    // The daemon also finds the names of members.
    const hits = page.events.filter(({ data }) => textWith(data, text.toLowerCase()) !== undefined).reverse();
    onPage({ hits, from: page.first, done: !page.more });
    if (!page.more) return;
  }
}

// The first text within a value that contains `wanted`, which is in lower case.
export function textWith(value, wanted) {
  if (typeof value === 'string') return value.toLowerCase().includes(wanted) ? value : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const one of Object.values(value)) {
    const found = textWith(one, wanted);
    if (found !== undefined) return found;
  }
  return undefined;
}
