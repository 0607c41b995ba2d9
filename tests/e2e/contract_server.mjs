// A server that keeps to the live stream's contract (tickets, frames, cursors) and can be told to misbehave, so
// that the client's answer to each kind of trouble can be tested by itself. One agent, "a1".

import { randomBytes } from 'node:crypto';
import http from 'node:http';

export class ContractServer {
  epoch = 1;
  frames = []; // {epoch, seq, text}
  oldest = 0; // sequence numbers up to this one have expired
  bye; // a reason: streams end with it once they have delivered all
  ended = false; // resuming answers 204
  refuse = []; // answers to the next stream requests: {status, headers, body}
  refuseTickets = []; // the same for ticket requests
  cutAfter; // the next stream's connection is destroyed after so many bytes
  mute = false; // streams say nothing at all
  requests = []; // "POST /agents/a1/stream-ticket", "GET /agents/a1/stream?after=1-3"
  #tickets = new Set();
  #streams = new Set();
  #server;

  async listen(port = 0) {
    this.#server = http.createServer((request, response) => this.#answer(request, response));
    await new Promise((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.port = this.#server.address().port;
    this.origin = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async close() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  get ticketUrl() {
    return `${this.origin}/agents/a1/stream-ticket`;
  }
  get streams() {
    return this.#streams.size;
  }
  get head() {
    const last = this.frames.at(-1);
    return last ? `${last.epoch}-${last.seq}` : `${this.epoch}-0`;
  }

  append(type, data, seq = (this.frames.at(-1)?.seq ?? 0) + 1) {
    const { epoch } = this;
    const event = { agent: 'a1', epoch, seq, time: '2024-05-01T10:00:00.000Z', type, run: 'r1', data };
    this.frames.push({ epoch, seq, text: `id: ${epoch}-${seq}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n` });
    for (const stream of this.#streams) this.#deliver(stream);
  }

  send(event, data) {
    for (const stream of this.#streams) this.#write(stream, `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  sendRaw(text) {
    for (const stream of this.#streams) this.#write(stream, text);
  }

  // As after a crash: all connections are gone and all tickets void.
  crash() {
    this.#tickets.clear();
    this.epoch += 1;
    this.drop();
  }

  drop() {
    for (const { response } of this.#streams) response.destroy();
    this.#streams.clear();
  }

  #issue() {
    const ticket = randomBytes(32).toString('base64url');
    this.#tickets.add(ticket);
    return ticket;
  }

  #answer(request, response) {
    const url = new URL(request.url, this.origin);
    const ticket = url.searchParams.get('ticket');
    url.searchParams.delete('ticket');
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    if (request.method === 'POST') {
      const refusal = this.refuseTickets.shift();
      if (refusal) return this.#refuse(response, refusal);
      response.setHeader('content-type', 'application/json');
      const answer = { ticket: this.#issue() };
      return response.end(JSON.stringify({ ...answer, url: `/agents/a1/stream?ticket=${answer.ticket}` }));
    }
    const refusal = this.refuse.shift();
    if (refusal) return this.#refuse(response, refusal);
    if (!this.#tickets.delete(ticket)) return this.#refuse(response, { status: 401, code: 'ticket_invalid' });
    if (this.ended) return response.writeHead(204).end();
    return this.#stream(url.searchParams.get('after'), response);
  }

  #refuse(response, { status, headers, code = 'refused' }) {
    response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
    response.end(JSON.stringify({ title: 'Refused', detail: `the test said ${status}`, status, code }));
  }

  #stream(after, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.flushHeaders();
    const stream = { response, next: 0, left: this.cutAfter ?? Infinity };
    this.cutAfter = undefined;
    this.#streams.add(stream);
    response.on('close', () => this.#streams.delete(stream));
    if (this.mute) return;
    const hello = { epoch: this.epoch, oldest: `1-${this.oldest}`, head: this.head, resume: this.#issue() };
    this.#write(stream, `retry: 2000\nevent: stream.hello\ndata: ${JSON.stringify(hello)}\n\n`);
    const from = this.#seek(stream, after);
    this.#write(stream, `id: ${from}\n\n: keepalive\n\n`);
    this.#history(stream);
    this.#write(stream, 'event: stream.synced\ndata: {}\n\n');
    this.#deliver(stream);
  }

  #seek(stream, after) {
    if (after === null) {
      stream.next = this.frames.length;
      return this.head;
    }
    const seq = Number(after.split('-').at(-1));
    if (after !== '0' && seq < this.oldest) {
      const gap = { from: after, to: `1-${this.oldest}`, reason: 'expired' };
      this.#write(stream, `event: stream.gap\ndata: ${JSON.stringify(gap)}\n\n`);
    }
    const index = this.frames.findIndex((frame) => frame.seq > Math.max(seq, this.oldest));
    stream.next = index < 0 ? this.frames.length : index;
    return after;
  }

  #history(stream) {
    while (stream.next < this.frames.length) this.#write(stream, this.frames[stream.next++].text);
  }

  #deliver(stream) {
    if (this.mute) return;
    this.#history(stream);
    if (this.bye) {
      this.#write(stream, `event: stream.bye\ndata: ${JSON.stringify({ reason: this.bye })}\n\n`);
      stream.response.end();
    }
  }

  #write(stream, text) {
    const bytes = Buffer.from(text);
    const part = bytes.subarray(0, stream.left);
    stream.left -= bytes.length;
    if (stream.left > 0) {
      stream.response.write(part);
    } else if (!stream.cut) {
      stream.cut = true;
      stream.response.write(part, () => stream.response.destroy());
    }
  }
}
