// <agent-stream>: shows an agent's live event stream. README.md describes its attributes, properties, events
// and parts. It only draws: a StreamClient reads the stream, and a Transcript decides which items there are.
//
// Text from an agent is never parsed as HTML: it is always put into text nodes.

import { HttpError, StreamClient, ticketsFrom } from './stream-client.js';
import { styleSheet } from './stream-style.js';
import { Transcript } from './transcript.js';
import { h, kViews } from './views.js';
import { describeState } from './words.js';

const kAtBottomPx = 32; // this close to the end the view follows new items

export class AgentStream extends HTMLElement {
  static observedAttributes = ['ticket-url', 'agents', 'after', 'types', 'follow', 'max-items'];

  #client;
  #transcript;
  #nodes = new Map(); // item → {node, update}, in the order of the page
  #drawing = false; // a draw is scheduled
  #starting = false; // a start is scheduled
  #headers;
  #tickets;
  #decide;
  #answer;
  #wake = () => this.#client?.wake();
  #parts;

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets = [styleSheet()];
    const log = h('div', { class: 'log', part: 'log', role: 'log', tabindex: '0', 'aria-label': 'Agent events' });
    const dropped = h('div', { class: 'line', part: 'dropped', hidden: '' });
    const items = h('div', { class: 'items' });
    const jump = h('button', { class: 'jump', part: 'jump', type: 'button', hidden: '' }, 'Newest ↓');
    const status = h('span', { class: 'text' });
    const retry = h('button', { class: 'retry', part: 'retry', type: 'button', hidden: '' }, 'Reconnect');
    const bar = h('div', { class: 'status', part: 'status', role: 'status' }, h('i', { class: 'dot' }), status, retry);
    log.append(dropped, items);
    this.shadowRoot.append(log, jump, bar);
    this.#parts = { log, dropped, items, jump, status, retry, bar };
    jump.addEventListener('click', () => this.#toEnd());
    retry.addEventListener('click', () => this.restart());
    log.addEventListener('scroll', () => this.#atEnd() && (jump.hidden = true), { passive: true });
  }

  // --- properties for the page

  // async ({signal}) => {url}: instead of the attribute ticket-url.
  get tickets() {
    return this.#tickets;
  }
  set tickets(provider) {
    this.#tickets = provider;
    this.#startSoon();
  }
  // Headers of the requests to ticket-url, decide-url and answer-url: an object, or a function that returns one.
  get headers() {
    return this.#headers;
  }
  set headers(headers) {
    this.#headers = headers;
  }
  // async (approvalId, decision, reason, agent): instead of the attribute decide-url.
  get decide() {
    return this.#decide;
  }
  set decide(decide) {
    this.#decide = decide;
  }

  // async (elicitationId, action, content, agent): instead of the attribute answer-url.
  get answer() {
    return this.#answer;
  }
  set answer(answer) {
    this.#answer = answer;
  }

  get state() {
    return this.#client?.state ?? 'idle';
  }
  get cursor() {
    return this.#client?.cursor;
  }

  // Starts again, as if the element were just put into the page.
  restart() {
    this.#stop();
    this.#transcript = undefined;
    this.#startSoon();
  }

  // --- life cycle

  connectedCallback() {
    window.addEventListener('online', this.#wake);
    document.addEventListener('visibilitychange', this.#wake);
    this.#startSoon();
  }

  // An element that is removed from the page releases everything. When it is put back, it continues at its position.
  disconnectedCallback() {
    window.removeEventListener('online', this.#wake);
    document.removeEventListener('visibilitychange', this.#wake);
    this.#client?.stop();
  }

  attributeChangedCallback(name, before, after) {
    if (this.isConnected && before !== after) this.restart();
  }

  // Runs in a microtask, so that the page can set several properties in any order after it makes the element.
  #startSoon() {
    if (this.#starting) return;
    this.#starting = true;
    queueMicrotask(() => {
      this.#starting = false;
      if (this.isConnected) this.#start();
    });
  }

  #start() {
    const tickets = this.#tickets ?? this.#ticketsFromAttributes();
    if (!tickets) return;
    if (!this.#transcript) {
      this.#stop();
      this.#transcript = new Transcript(Number(this.getAttribute('max-items')) || undefined);
      this.#nodes.clear();
      this.#parts.items.replaceChildren();
      this.#client = new StreamClient({
        tickets,
        after: this.getAttribute('after'),
        types: this.getAttribute('types'),
        follow: this.hasAttribute('follow'),
        several: this.hasAttribute('agents'),
        onEvent: (event) => this.#onEvent(event),
        onGap: (gap) => this.#onGap(gap),
        onState: (state, detail) => this.#onState(state, detail),
      });
    }
    this.#client.start();
  }

  #stop() {
    this.#client?.stop();
    this.#client = undefined;
  }

  #ticketsFromAttributes() {
    const url = this.getAttribute('ticket-url');
    if (!url) return undefined;
    const agents = this.getAttribute('agents');
    const body = agents ? { agents: agents === '*' ? '*' : agents.split(',') } : {};
    return ticketsFrom(new URL(url, document.baseURI), { headers: () => this.#requestHeaders(), body });
  }

  #requestHeaders() {
    return typeof this.#headers === 'function' ? this.#headers() : this.#headers;
  }

  // --- reports of the stream

  #onEvent(event) {
    this.#transcript.add(event);
    this.#drawSoon();
    this.#dispatch('agent-event', event);
  }

  #onGap(gap) {
    this.#transcript.addGap(gap);
    this.#drawSoon();
    this.#dispatch('agent-gap', gap);
  }

  #onState(state, { reason, error }) {
    const { bar, status, retry } = this.#parts;
    bar.dataset.state = state;
    status.textContent = describeState(state, reason, error);
    retry.hidden = state !== 'error' && state !== 'replaced';
    this.#dispatch('agent-state', { state, reason, error });
  }

  #dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  // --- drawing

  // Draws as much as fits into a frame. A hidden page gets no frames and must not fall behind without bound.
  #drawSoon() {
    if (this.#drawing) return;
    this.#drawing = true;
    const draw = () => {
      this.#drawing = false;
      this.#draw();
    };
    if (document.hidden) setTimeout(draw, 250);
    else requestAnimationFrame(draw);
  }

  #draw() {
    if (!this.#transcript) return;
    const { items, changed, dropped } = this.#transcript;
    const follow = this.#atEnd();
    for (const [item, { node }] of this.#nodes) {
      if (items.has(item)) break; // the oldest items are dropped first
      node.remove();
      this.#nodes.delete(item);
    }
    for (const item of changed) this.#drawItem(item);
    changed.clear();
    this.#parts.dropped.hidden = dropped === 0;
    this.#parts.dropped.textContent = `${dropped.toLocaleString()} earlier items are not shown`;
    if (follow) this.#toEnd();
    else this.#parts.jump.hidden = false;
  }

  // An item that its view cannot show is shown as it is: one bad item must not keep the others from the page.
  #drawItem(item) {
    try {
      this.#drawAs(item.kind, item);
    } catch {
      this.#nodes.get(item)?.node.remove();
      this.#nodes.delete(item);
      this.#drawAs('bad', item);
    }
  }

  #drawAs(view, item) {
    let drawn = this.#nodes.get(item);
    if (!drawn) {
      drawn = kViews[view](item, this);
      drawn.node.classList.add('item', item.kind);
      drawn.node.setAttribute('part', `item ${item.kind}`);
      if (item.time) drawn.node.title = new Date(item.time).toLocaleString();
      if (item.agent && this.hasAttribute('agents')) {
        const front = drawn.node.querySelector('summary, .words') ?? drawn.node; // the visible part of closed details
        front.prepend(h('span', { class: 'agent-id' }, item.agent));
      }
      this.#nodes.set(item, drawn);
      this.#parts.items.append(drawn.node);
    }
    drawn.update?.();
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#parts.log;
    return scrollHeight - scrollTop - clientHeight < kAtBottomPx;
  }

  #toEnd() {
    this.#parts.log.scrollTop = this.#parts.log.scrollHeight;
    this.#parts.jump.hidden = true;
  }

  // --- approvals and elicitations

  get canDecide() {
    return Boolean(this.#decide ?? this.getAttribute('decide-url'));
  }

  get canAnswer() {
    return Boolean(this.#answer ?? this.getAttribute('answer-url'));
  }

  async sendDecision({ id, agent }, decision, reason) {
    if (this.#decide) return this.#decide(id, decision, reason, agent);
    return this.#post('decide-url', agent, id, { decision, reason });
  }

  async sendAnswer({ id, agent }, action, content) {
    if (this.#answer) return this.#answer(id, action, content, agent);
    return this.#post('answer-url', agent, id, { action, content });
  }

  async #post(attribute, agent, id, body) {
    const folder = this.getAttribute(attribute).replace('{agent}', encodeURIComponent(agent));
    const response = await fetch(new URL(`${folder}/${encodeURIComponent(id)}`, document.baseURI), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.#requestHeaders() },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw await HttpError.from(response, 'answering');
  }
}

customElements.define('agent-stream', AgentStream);
