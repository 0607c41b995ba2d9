// A client of reeve's gateway (GET /ws): all calls and events on one WebSocket.
//
//     client.ts KIND PROMPT FOLLOW_UP [PROGRAM ARGUMENT...]
//
// It starts an agent, shows the agent's events, asks you whether the agent may use a tool, sends the second message
// when the first one is done, and ends with the second one. REEVE_TOKEN is a token of scope admin, and REEVE_SERVER
// the address of the daemon, http://127.0.0.1:8080 if it is not set. The daemon may go away at any time: the client
// waits for it.

import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { setTimeout as pause } from 'node:timers/promises';

import WebSocket from 'ws'; // browsers have their own, and so has Node since version 22

// The types are made from GET /openapi.json; the program itself does not need them.
import type { components, operations } from './api';

type Event = components['schemas']['KnownEvent'];
type Content<T> = T extends { content: { 'application/json': infer Body } } ? Body : {};
type Path<T> = T extends { parameters: { path: infer Names } } ? Names : {};
// The parameters of a method are those of the path and the members of the body; the result is the body of the answer.
type Params<M extends keyof operations> = Path<operations[M]> & Content<operations[M]['requestBody']>;
type Result<M extends keyof operations> = { [S in keyof operations[M]['responses']]:
  S extends 200 | 201 | 202 ? Content<operations[M]['responses'][S]> : never }[keyof operations[M]['responses']];

// An error that the daemon answers. Its name is the `code`, which is stable; its message is for people.
class Problem extends Error {
  constructor(problem: components['schemas']['Problem']) {
    super(problem.detail);
    this.name = problem.code;
  }
}
// With these codes the daemon asks for the same call again, a little later: it is about to stop, or still at work on
// the call that the connection before sent.
const NOT_NOW = ['draining', 'request_under_way'];

type Call = { text: string; resolve: (result: any) => void; reject: (problem: Problem) => void };

// A connection that comes back by itself: calls without an answer are sent again, and the events continue after the
// last one that arrived.
class Gateway {
  #server: string;
  #token: string;
  #socket?: WebSocket;
  #resume = ''; // the ticket for the next connection
  #calls = new Map<number, Call>();
  #last = 0; // the id of the last call
  #agent = '';
  #cursor = '0';
  #events: Event[] = []; // those that arrived and nobody took
  #subscribing = 0; // the id of the last call that subscribed
  #deleted = false; // no further events follow
  #failure?: Error; // why it gave up
  #arrived = () => {};
  #closed = false;

  constructor(server: string, token: string) {
    this.#server = server;
    this.#token = token;
    this.#run().catch((error) => this.#fail(error));
  }

  // A call that changes something takes a key, so that it happens once even if it is sent twice.
  call<M extends keyof operations>(method: M, params: Params<M>, idempotency_key?: string): Promise<Result<M>> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const id = ++this.#last;
      const text = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, idempotency_key } });
      this.#calls.set(id, { text, resolve, reject });
      this.#socket?.send(text);
    });
  }

  // All events of the agent, from the first one on, each once and in order, until the agent is deleted.
  async *events(agent: string): AsyncGenerator<Event> {
    this.#agent = agent;
    this.#subscribe();
    for (;;) {
      while (this.#events.length > 0) yield this.#events.shift()!;
      if (this.#failure) throw this.#failure;
      if (this.#deleted) return;
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }

  close() {
    this.#closed = true;
    this.#socket?.close();
  }

  // One connection after the other.
  async #run() {
    while (!this.#closed) {
      const ticket = this.#resume || (await this.#ticket());
      this.#resume = ''; // it works once
      if (ticket) await this.#connect(ticket);
      await pause(500);
    }
  }

  // Returns at the end of the connection.
  #connect(ticket: string): Promise<void> {
    const socket = new WebSocket(`${this.#server.replace('http', 'ws')}/ws`, ['reeve.v1', `reeve.ticket.${ticket}`]);
    // close() would wait for an answer. A browser's WebSocket has only that.
    const silence = setTimeout(() => socket.terminate(), 45_000);
    socket.onmessage = ({ data }) => {
      silence.refresh(); // the daemon says something at least every 15 s
      this.#take(socket, JSON.parse(String(data)));
    };
    socket.onerror = () => {}; // onclose follows
    return new Promise((resolve) => {
      socket.onclose = () => {
        clearTimeout(silence);
        this.#socket = undefined;
        resolve();
      };
    });
  }

  // Returns nothing while the daemon is away.
  async #ticket(): Promise<string | undefined> {
    const answer = await fetch(`${this.#server}/stream-ticket`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}` },
      body: JSON.stringify({ agents: '*', mode: 'terminal' }), // of scope admin, which may create agents
    }).catch(() => undefined);
    if (answer?.ok) return ((await answer.json()) as Result<'tickets.issue_several'>).ticket;
    if (answer && answer.status !== 503) throw new Problem(await answer.json());
  }

  // Gives up, because another attempt would fail too.
  #fail(error: Error) {
    this.#failure = error;
    for (const { reject } of this.#calls.values()) reject(error);
    this.#arrived();
  }

  #subscribe() {
    const id = (this.#subscribing = ++this.#last);
    const params = { agent: this.#agent, after: this.#cursor };
    this.#socket?.send(JSON.stringify({ jsonrpc: '2.0', id, method: 'events.subscribe', params }));
  }

  #take(socket: WebSocket, { method, params, id, result, error }: any) {
    const call = this.#calls.get(id);
    if (method === 'event') {
      this.#takeEvent(socket, params);
    } else if (call && NOT_NOW.includes(error?.data.code)) {
      setTimeout(() => this.#calls.has(id) && this.#socket?.send(call.text), 500);
    } else if (call) {
      this.#calls.delete(id);
      if (error) call.reject(new Problem(error.data));
      else call.resolve(result);
    } else if (error && id === this.#subscribing) {
      this.#fail(new Problem(error.data));
    }
  }

  #takeEvent(socket: WebSocket, event: any) {
    const { type, data } = event;
    if (type === 'gateway.ready') {
      if (this.#closed) return socket.close();
      this.#resume = data.resume;
      this.#socket = socket;
      for (const { text } of this.#calls.values()) socket.send(text);
      if (this.#agent) this.#subscribe();
    } else if (type === 'stream.gap') {
      console.log(`the events from ${data.from} to ${data.to} are lost: ${data.reason}`);
    } else if (type === 'stream.bye' && data.reason !== 'agent_deleted') {
      this.#fail(new Error(`the events of ${event.agent} end: ${data.reason}`));
    } else if (type === 'stream.bye') {
      this.#deleted = true;
      this.#arrived();
    } else if (event.seq) {
      // Events of the log have a number. Questions that wait are also told again without one, to new clients.
      this.#cursor = `${event.epoch}-${event.seq}`;
      this.#events.push(event);
      this.#arrived();
    }
  }
}

const person = createInterface({ input: process.stdin, output: process.stdout });

// Asks you. Somebody else may have answered meanwhile: the first answer counts.
async function decide(gateway: Gateway, { agent, data }: components['schemas']['EventApprovalRequested']) {
  const answer = await person.question(`May ${agent} use ${data.tool} with ${JSON.stringify(data.input)}? [y/n] `);
  const decision = answer === 'y' ? 'allow_once' : 'deny';
  await gateway.call('approvals.decide', { id: agent, approval: data.id!, decision }, randomUUID()).catch((problem) => {
    if (problem.name !== 'already_resolved') throw problem;
  });
}

async function main(gateway: Gateway, [kind, prompt, follow_up, ...command]: string[]): Promise<string> {
  const program = command.length > 0 ? { command } : {};
  const spec = { kind, prompt, cwd: process.cwd(), ...program };
  const { id } = await gateway.call('agents.create', spec, randomUUID());
  let second: string | undefined; // the id of the second message
  for await (const event of gateway.events(id)) {
    console.log(`${event.epoch}-${event.seq} ${event.type} ${JSON.stringify(event.data).slice(0, 200)}`);
    if (event.type === 'approval.requested') {
      await decide(gateway, event);
    } else if (event.type === 'run.completed' && !second) {
      const accepted = await gateway.call('agents.message', { id, text: follow_up }, randomUUID());
      if ('message_id' in accepted) second = accepted.message_id;
    } else if (event.type === 'run.completed' && (event.data.message_id ?? second) === second) {
      return `${id} has done both`; // a plain program's run has no message_id
    } else if (event.type === 'run.failed' || event.type === 'run.cancelled' || event.type === 'agent.failed') {
      throw new Error(`${id}: ${event.type}`);
    }
  }
  throw new Error(`${id} was deleted`);
}

const { REEVE_SERVER = 'http://127.0.0.1:8080', REEVE_TOKEN = '' } = process.env;
if (process.argv.length < 5) throw new Error('usage: client.ts KIND PROMPT FOLLOW_UP [PROGRAM ARGUMENT...]');
const gateway = new Gateway(REEVE_SERVER, REEVE_TOKEN);
main(gateway, process.argv.slice(2))
  .then(console.log, (error) => {
    console.error(String(error));
    process.exitCode = 1;
  })
  .finally(() => {
    gateway.close();
    person.close();
  });
