// The stream client against a server that keeps to the contract, or breaks it in one way at a time.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { SseParser, StreamClient, ticketsFrom } from '../../control/dashboard/stream-client.js';
import { ContractServer } from './contract_server.mjs';
import { until } from './wait.mjs';

describe('SseParser', () => {
  const parse = (...pieces) => {
    const blocks = [];
    const parser = new SseParser((block) => blocks.push(block));
    for (const piece of pieces) parser.push(piece);
    return blocks;
  };
  const bytes = (text) => new TextEncoder().encode(text);

  test('a stream means the same wherever it is cut', () => {
    const text =
      '\ufeff: comment\nretry: 2000\n\nid: 1-1\nevent: a.b\ndata: {"t":"zwölf 🦀"}\n\nid: 1-2\n\n' +
      'data:x\r\ndata:  y\r\n\r\ndata\rid: 1-3\r\revent: nothing\n\nid: bad\0id\ndata: last\n\n';
    const whole = bytes(text);
    const expected = [
      { id: '1-1', event: 'a.b', data: '{"t":"zwölf 🦀"}' },
      { id: '1-2' },
      { data: 'x\n y' },
      { data: '', id: '1-3' },
      { data: 'last' },
    ];
    assert.deepEqual(parse(whole), expected);
    for (let i = 0; i <= whole.length; ++i) {
      for (let j = i; j <= whole.length; ++j) {
        assert.deepEqual(parse(whole.subarray(0, i), whole.subarray(i, j), whole.subarray(j)), expected, `${i}, ${j}`);
      }
    }
  });

  test('a block that has not ended is not told', () => {
    assert.deepEqual(parse(bytes('data: whole\n\nid: 1-9\ndata: torn\n')), [{ data: 'whole' }]);
  });

  test('an event without end is refused before it fills the memory', () => {
    const parser = new SseParser(() => {});
    const chunk = new Uint8Array(1 << 20).fill(0x78);
    assert.throws(() => {
      for (let i = 0; i < 64; ++i) parser.push(chunk);
    }, /larger than 16 MiB/);
  });
});

describe('StreamClient', () => {
  let server;
  let client;
  let events;
  let gaps;
  let states;

  beforeEach(async () => {
    server = await new ContractServer().listen();
    [events, gaps, states] = [[], [], []];
  });
  afterEach(async () => {
    client?.stop();
    await server.close();
  });

  const open = (options = {}) => {
    client = new StreamClient({
      tickets: ticketsFrom(server.ticketUrl),
      onEvent: (event) => events.push(event),
      onGap: (gap) => gaps.push(gap),
      onState: (state, detail) => states.push({ state, ...detail }),
      ...options,
      times: { backoffMinMs: 1, backoffMaxMs: 20, ...options.times },
    });
    client.start();
    return client;
  };
  const seqs = () => events.map(({ seq }) => seq);
  const to = (n) => Array.from({ length: n }, (_, i) => i + 1);
  const seen = (n) => until(() => `${n} events; there are ${seqs()}`, () => events.length >= n);
  const reaches = (state) => until(() => `state ${state}; it is ${client.state}`, () => client.state === state);
  const append = (n) => {
    for (let i = 0; i < n; ++i) server.append('agent.output', { stream: 'stdout', text: `line ${i}` });
  };

  test('history, then live', async () => {
    append(3);
    open({ after: '0' });
    await reaches('live');
    append(2);
    await seen(5);
    assert.deepEqual(seqs(), to(5));
    assert.equal(client.cursor, '1-5');
    assert.deepEqual(states.map(({ state }) => state), ['connecting', 'replaying', 'live']);
    assert.deepEqual(events[0].data, { stream: 'stdout', text: 'line 0' });
  });

  test('live only, without `after`; a drop before the first event loses none', async () => {
    append(3);
    open();
    await reaches('live');
    assert.equal(client.cursor, '1-3');
    server.drop();
    append(2);
    await seen(2);
    assert.deepEqual(seqs(), [4, 5]);
  });

  test('cut after any byte, the sequence is whole and nothing comes twice', async () => {
    for (let i = 0; i < 3; ++i) server.append('user.message', { text: `🦀 ${i}` });
    server.bye = 'agent_exited';
    let whole = false; // the cut lies behind the stream's end
    for (let bytes = 1; !whole; ++bytes) {
      events.length = 0;
      server.requests.length = 0;
      server.cutAfter = bytes;
      open({ after: '0' });
      await reaches('ended');
      assert.deepEqual(seqs(), to(3), `cut after ${bytes} bytes`);
      whole = server.requests.length === 2;
      assert.ok(whole || bytes < 2000);
    }
    assert.deepEqual(gaps, []);
  });

  test('a restart of the daemon voids all tickets and is survived', async () => {
    append(2);
    open({ after: '0' });
    await reaches('live');
    const { port } = server;
    server.crash();
    append(1);
    await server.close();
    await reaches('reconnecting');
    await server.listen(port);
    append(1);
    await seen(4);
    assert.deepEqual(events.map(({ epoch, seq }) => `${epoch}-${seq}`), ['1-1', '1-2', '2-3', '2-4']);
    assert.deepEqual(gaps, []);
  });

  test('events that come again are told once', async () => {
    append(3);
    open({ after: '0' });
    await reaches('live');
    server.sendRaw(server.frames.map(({ text }) => text).join(''));
    append(1);
    await seen(4);
    assert.deepEqual(seqs(), to(4));
    assert.deepEqual(gaps, []);
  });

  test('a gap is told, and is not a hole', async () => {
    append(9);
    server.oldest = 6;
    open({ after: '1-2' });
    await seen(3);
    assert.deepEqual(seqs(), [7, 8, 9]);
    assert.deepEqual(gaps, [{ from: '1-2', to: '1-6', reason: 'expired' }]);
  });

  test('a hole that the server did not announce is told as missing', async () => {
    append(1);
    open({ after: '0' });
    await seen(1);
    server.append('agent.output', { text: 'later' }, 5);
    await seen(2);
    assert.deepEqual(gaps, [{ agent: 'a1', from: '1-1', to: '1-4', reason: 'missing' }]);
  });

  test('a filter makes no holes, and its position moves by blocks that hold only an id', async () => {
    append(1);
    open({ after: '0', types: 'agent.*' });
    await seen(1);
    server.append('agent.output', { text: 'later' }, 5);
    await seen(2);
    server.sendRaw('id: 1-9\n\n');
    await until('the position', () => client.cursor === '1-9');
    assert.deepEqual(gaps, []);
    assert.match(server.requests[1], /types=agent\.\*/);
  });

  for (const reason of ['agent_exited', 'agent_deleted']) {
    test(`bye ${reason} ends for good`, async () => {
      append(2);
      server.bye = reason;
      open({ after: '0' });
      await reaches('ended');
      assert.deepEqual(seqs(), to(2));
      assert.equal(states.at(-1).reason, reason);
      assert.equal(server.requests.length, 2);
    });
  }

  for (const reason of ['shutdown', 'too_slow']) {
    test(`bye ${reason} connects again`, async () => {
      append(1);
      open({ after: '0' });
      await reaches('live');
      server.send('stream.bye', { reason });
      await until('a reconnection', () => states.some(({ state }) => state === 'reconnecting'));
      append(1);
      await seen(2);
      assert.deepEqual(seqs(), to(2));
    });
  }

  test('bye replaced stops, without a fight over the stream', async () => {
    open({ after: '0' });
    await reaches('live');
    server.send('stream.bye', { reason: 'replaced' });
    await reaches('replaced');
    await until('the connection to close', () => server.streams === 0);
    assert.equal(server.requests.length, 2);
  });

  test('204 ends', async () => {
    append(1);
    open({ after: '0' });
    await seen(1);
    server.ended = true;
    server.drop();
    await reaches('ended');
  });

  test('401 gets a new ticket', async () => {
    append(1);
    server.refuse = [{ status: 401 }];
    open({ after: '0' });
    await seen(1);
    assert.equal(server.requests.filter((request) => request.startsWith('POST')).length, 2);
  });

  test('401 again and again gives up', async () => {
    server.refuse = Array(9).fill({ status: 401 });
    open({ after: '0' });
    await reaches('error');
    assert.equal(server.requests.length, 6);
    assert.equal(states.at(-1).error.status, 401);
  });

  for (const status of [400, 403, 404, 410]) {
    test(`${status} is for good and says why`, async () => {
      server.refuse = [{ status }];
      open({ after: '0' });
      await reaches('error');
      assert.match(states.at(-1).error.message, new RegExp(`${status} the test said ${status}`));
      assert.equal(server.requests.length, 2);
    });
    test(`${status} where tickets come from is for good`, async () => {
      server.refuseTickets = [{ status }];
      open({ after: '0' });
      await reaches('error');
      assert.equal(server.requests.length, 1);
    });
  }

  for (const status of [429, 500, 502, 503]) {
    test(`${status} is tried again`, async () => {
      append(1);
      server.refuse = [{ status }];
      open({ after: '0' });
      await seen(1);
    });
  }

  test('a provider of tickets that fails is made up for by the resume ticket, once', async () => {
    append(1);
    open({ after: '0' });
    await reaches('live');
    server.refuseTickets = [{ status: 500 }, { status: 500 }];
    server.requests.length = 0;
    server.drop();
    append(1);
    await seen(2);
    assert.deepEqual(server.requests.slice(0, 2), [
      'POST /agents/a1/stream-ticket',
      'GET /agents/a1/stream?after=1-1',
    ]);
  });

  test('a stream that says nothing is left for a new one', async () => {
    append(1);
    server.mute = true;
    open({ after: '0', times: { silenceMs: 50 } });
    await until('a second stream', () => server.requests.length >= 4);
    server.mute = false;
    await seen(1);
    assert.match(states.find(({ error }) => error).error.message, /silent/);
  });

  test('a provider that never answers is asked again', async () => {
    append(1);
    let asked = 0;
    const provider = ticketsFrom(server.ticketUrl);
    const tickets = (options) => (++asked === 1 ? new Promise(() => {}) : provider(options));
    open({ after: '0', tickets, times: { silenceMs: 50 } });
    await seen(1);
    assert.equal(asked, 2);
  });

  test('wake() ends a long wait', async () => {
    append(1);
    server.refuse = [{ status: 503, headers: { 'retry-after': '3600' } }];
    open({ after: '0' });
    await reaches('reconnecting');
    client.wake();
    await seen(1);
  });

  test('stop() closes the connection and tells nothing more; start() goes on', async () => {
    append(1);
    open({ after: '0' });
    await seen(1);
    client.stop();
    await until('the connection to close', () => server.streams === 0);
    const told = states.length;
    append(1);
    assert.equal(states.length, told);
    client.start();
    await seen(2);
    assert.deepEqual(seqs(), to(2));
  });

  test('an error in a handler is reported and does not harm the stream', async (t) => {
    const report = t.mock.method(console, 'error', () => {});
    append(2);
    open({
      after: '0',
      onEvent: (event) => {
        events.push(event);
        if (event.seq === 1) throw new Error('mine');
      },
    });
    await seen(2);
    assert.deepEqual(report.mock.calls.map(({ arguments: [error] }) => error.message), ['mine']);
  });

  test('several agents: a position for each', async () => {
    const asked = [];
    const hello = 'event: stream.hello\ndata: {"agent":"AGENT","epoch":1,"oldest":"0","head":"1-4","resume":"x"}\n\n';
    const frame = (agent, seq) =>
      `id: 1-${seq}\nevent: title.updated\ndata: ${JSON.stringify({ agent, epoch: 1, seq, type: 'title.updated', data: {} })}\n\n`;
    const bodies = [
      hello.replace('AGENT', 'a') +
        hello.replace('AGENT', 'b') +
        frame('a', 2) +
        frame('b', 7) +
        frame('a', 3) +
        'event: stream.synced\ndata: {"agent":"a"}\n\n' +
        'event: stream.bye\ndata: {"agent":"a","reason":"agent_exited"}\n\n' +
        frame('b', 8),
      frame('b', 8) + frame('b', 9) + 'event: stream.bye\ndata: {"reason":"agent_exited"}\n\n',
    ];
    const fake = async (url) => {
      asked.push(new URL(url).searchParams.get('after'));
      return new Response(bodies.shift(), { headers: { 'content-type': 'text/event-stream' } });
    };
    open({ several: true, after: 'a:1-1,b:1-6', tickets: () => 'http://reeve.test/stream?ticket=t', fetch: fake });
    await reaches('ended');
    assert.deepEqual(asked, ['a:1-1,b:1-6', 'a:1-3,b:1-8']);
    assert.deepEqual(events.map(({ agent, seq }) => agent + seq), ['a2', 'b7', 'a3', 'b8', 'b9']);
    assert.deepEqual(gaps, []);
  });

  test('several agents, live only: one that was silent is not forgotten', async () => {
    const asked = [];
    const fake = async (url) => {
      asked.push(new URL(url).searchParams.get('after'));
      const body =
        asked.length > 1
          ? 'event: stream.bye\ndata: {"reason":"agent_exited"}\n\n'
          : 'event: stream.hello\ndata: {"agent":"a","epoch":3,"head":"3-40"}\n\n' +
            'event: stream.synced\ndata: {"agent":"a"}\n\n';
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    };
    open({ several: true, tickets: () => 'http://reeve.test/stream?ticket=t', fetch: fake });
    await reaches('ended');
    assert.deepEqual(asked, [null, 'a:3-40']);
  });

  test('positions of very many agents travel in the ticket, not in the query', async () => {
    const agents = Array.from({ length: 1000 }, (_, i) => [`agent-${i}`, `7-${i + 1}`]);
    const told = [];
    const asked = [];
    const tickets = ({ after }) => {
      told.push(after);
      return 'http://reeve.test/stream?ticket=t';
    };
    const fake = async (url) => {
      asked.push(url);
      return new Response(null, { status: 204 });
    };
    open({ several: true, after: agents.map((pair) => pair.join(':')).join(','), tickets, fetch: fake });
    await reaches('ended');
    assert.deepEqual(told, [Object.fromEntries(agents)]);
    assert.deepEqual(asked, ['http://reeve.test/stream?ticket=t']);
  });

  test('an `after` that is no cursor is refused at once', () => {
    assert.throws(() => new StreamClient({ tickets: () => '', after: '12' }), /not a cursor/);
  });
});
