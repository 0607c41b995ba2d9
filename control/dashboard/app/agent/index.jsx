// The view of one agent: its log, what waits for a person, the box for messages, and what is beside the log.

import './agent.css';

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import { call, connection, subscribe } from '../connection.js';
import { count, money, second } from '../format.js';
import { useKeys } from '../keys.jsx';
import { Badge } from '../parts/badge.jsx';
import { Icon } from '../parts/icon.jsx';
import { keyOfAsk, Question, questionsMoved } from '../parts/question.jsx';
import { go, paths } from '../router.js';
import { agentOf, questions } from '../town.js';
import { Commands, Composer, Queue } from './controls.jsx';
import { PlanList } from './items.jsx';
import { LogWindow } from './log.js';
import { Changed, Facts, Processes, Runs } from './panels.jsx';
import { Search } from './search.jsx';
import { plainText } from './text.js';
import { TimeTravel } from './time.jsx';
import { Jump, Transcript } from './transcript.jsx';
import { took } from './words.js';

const kTabs = [
  ['log', 'Log'],
  ['changes', 'Changes'],
  ['runs', 'Runs'],
  ['processes', 'Processes'],
  ['facts', 'About'],
];

const kFilters = [
  ['Everything', undefined],
  ['Conversation', ['user.message', 'assistant.*', 'reasoning.*', 'run.*', 'plan.updated']],
  ['Calls and edits', ['tool.*', 'file.edited', 'subagent.*']],
  ['Output', ['agent.output']],
  ['Errors', ['agent.error', 'agent.failed', 'agent.exited', 'agent.stalled', 'run.failed', 'tool.failed']],
  ['Questions', ['approval.*', 'elicitation.*']],
];

const kRefresh = /^(run\.|message\.|file\.edited|agent\.(exited|starting|ready))/; // events that change what is beside the log

let kinds; // GET /kinds, once
const findKinds = () => (kinds ??= call('kinds.list').then(({ kinds: list }) => list, () => ((kinds = undefined), [])));

// The log's window, drawn at most once in a frame.
function useLog(id, at) {
  const [version, setVersion] = useState(0);
  const [changes, setChanges] = useState(0); // grows when a run or a message has begun or ended
  const [plan, setPlan] = useState();
  const log = useMemo(() => {
    let frame;
    const own = { cancel: () => cancelAnimationFrame(frame) };
    const draw = () => {
      frame = undefined;
      setVersion((before) => before + 1);
    };
    const changed = () => {
      if (!document.hidden) frame ??= requestAnimationFrame(draw);
    };
    let counting;
    own.window = new LogWindow({ call, subscribe }, id, changed, ({ type, data }) => {
      if (type === 'plan.updated') setPlan(data.entries);
      if (kRefresh.test(type)) counting ??= setTimeout(() => ((counting = undefined), setChanges((before) => before + 1)), 300);
    });
    own.shown = () => document.hidden || draw();
    return own;
  }, [id]);
  useEffect(() => {
    document.addEventListener('visibilitychange', log.shown);
    call('agents.snapshot', { id }).then(({ open }) => open.plan && setPlan(open.plan.entries), () => {});
    return () => {
      document.removeEventListener('visibilitychange', log.shown);
      log.cancel();
      log.window.close();
    };
  }, [log]);
  useEffect(() => {
    log.window.following = at === undefined;
    if (at === undefined) log.window.toEnd();
    else log.window.toEvent(at);
  }, [log, at]);
  return { log: log.window, version, changes, plan };
}

export function AgentView({ id, query }) {
  const agent = agentOf(id);
  const at = query.has('at') ? Number(query.get('at')) || undefined : undefined;
  const { log, version, changes, plan } = useLog(id, at);
  const [tab, setTab] = useState('log');
  const [filter, setFilter] = useState(0);
  const [searching, setSearching] = useState(false);
  const [travelling, setTravelling] = useState(false);
  const [then, setThen] = useState(); // the state at the moment that is looked at
  const [left, setLeft] = useState(0); // the newest event when the reader left the end
  const [kind, setKind] = useState();
  const [marks, setMarks] = useState(0);
  const [, redraw] = useState(0);
  const box = useRef();
  const shownId = useRef(); // the agent of this view; nothing once it is closed
  useEffect(() => {
    shownId.current = id;
    return () => (shownId.current = undefined);
  }, [id]);

  useEffect(() => void findKinds().then((list) => setKind(list.find(({ name }) => name === agent?.kind))), [agent?.kind]);
  useEffect(() => void (!log.following && left === 0 && setLeft(log.head)), [version]);

  const show = (seq) => {
    setTab('log');
    go(paths.agent(id, seq), { replace: true });
    log.following = false;
    setMarks((before) => before + 1); // also if it is the same event again
  };
  const toEnd = () => {
    setTravelling(false);
    setThen(undefined);
    setLeft(0);
    log.following = true;
    if (at !== undefined) go(paths.agent(id), { replace: true });
    else log.toEnd();
  };
  const onMoved = () => {
    setLeft(log.following ? 0 : log.head);
    redraw((n) => n + 1);
  };
  const findRun = async ({ run_id: run }) => {
    for (let before = Number.MAX_SAFE_INTEGER, more = true; more; ) {
      const page = await call('events.since', { id, before, types: ['run.started'], limit: 1000 });
      if (shownId.current !== id) return; // the reader has left
      const found = page.events.find((event) => event.run === run);
      if (found) return show(found.seq);
      ({ first: before, more } = page);
    }
  };
  const scroll = (pages) => {
    const node = document.querySelector('.agent .log');
    node?.scrollBy({ top: pages * node.clientHeight * 0.9 });
  };

  useKeys('This agent', [
    ['/', 'search the log', () => (setTab('log'), setSearching(true))],
    ['m', 'write a message', () => (box.current ? box.current.focus() : false)],
    ['G End', 'jump to the end', toEnd],
    ['g Home', 'the beginning of the log', () => void log.toStart()],
    ['j ArrowDown', 'down', () => scroll(0.15)],
    ['k ArrowUp', 'up', () => scroll(-0.15)],
    ['PageDown', undefined, () => scroll(1)],
    ['PageUp', undefined, () => scroll(-1)],
    ['f', 'the next filter', () => choose((filter + 1) % kFilters.length)],
    ['h', 'time travel', () => (travelling ? toEnd() : setTravelling(true))],
    ['1 2 3 4 5', 'log, changes, runs, processes, about', ({ key }) => setTab(kTabs[key - 1][0])],
    ['Escape', 'back', () => (searching ? setSearching(false) : log.past ? toEnd() : go(paths.town()))],
  ]);

  const choose = (i) => {
    setFilter(i);
    log.following = !log.past;
    log.setTypes(kFilters[i][1]);
  };

  if (!agent) return <Missing id={id} />;
  const asks = questions.value.filter((ask) => ask.agent === id);
  const shownPlan = then ? then.plan : plan;
  return (
    <div class={`agent-view ${log.past ? 'past' : ''}`}>
      <Header agent={agent} kind={kind} then={then} />
      <div class="tabs">
        <div class="tab-list" role="tablist" aria-label="What is shown of the agent">
          {kTabs.map(([name, words]) => (
            <button key={name} type="button" role="tab" id={`tab-${name}`} aria-controls="agent-panel" aria-selected={tab === name} class="ghost" onClick={() => setTab(name)}>
              {words}
            </button>
          ))}
        </div>
        {tab === 'log' && (
          <span class="log-tools">
            <label class="filter">
              <span class="hidden-words">Kinds of events</span>
              <select value={filter} onChange={(event) => choose(Number(event.target.value))}>
                {kFilters.map(([words], i) => (
                  <option key={words} value={i}>
                    {words}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" class="tool" aria-pressed={searching} onClick={() => setSearching(!searching)} title="Search the log (/)" aria-label="Search the log">
              <Icon name="search" />
            </button>
            <button type="button" class="tool" aria-pressed={travelling} onClick={() => (travelling ? toEnd() : setTravelling(true))} title="Time travel (h)" aria-label="Time travel">
              <Icon name="clock" />
            </button>
          </span>
        )}
      </div>
      <div class="halves">
        <div class="main" id="agent-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
          {tab === 'log' && (
            <>
              {searching && <Search id={id} log={log} onShow={show} onClose={() => setSearching(false)} />}
              {travelling && <TimeTravel id={id} log={log} version={version} onState={setThen} onEnd={toEnd} />}
              <div class="log-frame">
                <Transcript log={log} version={version} id={id} marked={at} marks={marks} onMoved={onMoved} />
                <Jump log={log} unseen={left > 0 ? log.head - left : 0} onJump={toEnd} />
              </div>
            </>
          )}
          {tab !== 'log' && (
            <div class="panel">
              {tab === 'changes' && <Changed id={id} version={changes} />}
              {tab === 'runs' && <Runs id={id} version={changes} now={second.value} onRun={findRun} />}
              {tab === 'processes' && <Processes id={id} />}
              {tab === 'facts' && <Now agent={agent} plan={shownPlan} changes={changes} />}
            </div>
          )}
          {asks.length > 0 && <Asks asks={asks} />}
          <Composer agent={agent} kind={kind} box={box} />
        </div>
        <aside class="side" aria-label="The agent now">
          <Now agent={agent} plan={shownPlan} changes={changes} />
        </aside>
      </div>
    </div>
  );
}

function Header({ agent, kind, then }) {
  const { id, title, run, usage, reason } = agent;
  const started = run?.started_at ?? (agent.state === 'running' && agent.started_at);
  const used = then ? then.usage : usage;
  const tokens = (used?.input_tokens ?? 0) + (used?.output_tokens ?? 0);
  return (
    <header class="agent-head">
      <a class="back" href={paths.town()} aria-label="Back to the town">
        <Icon name="back" />
      </a>
      <div class="names">
        <h1 tabIndex={-1} title={plainText(title || id)}>
          <bdi>{plainText(title || id)}</bdi>
        </h1>
        <p class="about">
          {then ? <Then then={then} /> : <Badge look={agent.look} />}
          <span>{agent.kind}</span>
          {agent.model && <span>{plainText(agent.model)}</span>}
          {started && !then && <span>{took(Math.max(0, second.value - Date.parse(started)))}</span>}
          {tokens > 0 && <span>{count(tokens)} tokens</span>}
          {used?.cost_usd > 0 && <span>{money(used.cost_usd)}</span>}
          {agent.queue_depth > 0 && <span>{agent.queue_depth} queued{agent.queue_paused ? ', paused' : ''}</span>}
          {agent.scheduled > 0 && <span>{agent.scheduled} scheduled</span>}
        </p>
        {reason && !then && ['failed', 'backoff'].includes(agent.state) && <p class="failure">{plainText(reason)}</p>}
      </div>
      <div class="actions">
        <Commands agent={agent} kind={kind} />
        {connection.value.scope === 'admin' && (
          <a class="button" href={paths.start(id)} title="Start another one like this">
            <Icon name="copy" /> <span class="button-words">Again</span>
          </a>
        )}
      </div>
    </header>
  );
}

const kThen = { needs_input: 'waited for a person', running: 'ran', idle: 'was ready', starting: 'started', stopping: 'stopped', exited: 'had ended', failed: 'had failed', backoff: 'was about to restart', stalled: 'printed nothing' };

function Then({ then }) {
  return (
    <span class="badge quiet then">
      <Icon name="clock" /> then: {kThen[then.state] ?? 'unknown'}
    </span>
  );
}

// The agent beside its log.
function Now({ agent, plan, changes }) {
  return (
    <div class="now">
      {plan?.length > 0 && (
        <section>
          <h2>Plan</h2>
          <PlanList entries={plan} />
        </section>
      )}
      <Queue agent={agent} version={changes} />
      <section>
        <h2>About</h2>
        <Facts agent={agent} />
      </section>
    </div>
  );
}

// The questions of the agent. Cards that come or go move the others.
function Asks({ asks }) {
  const keys = asks.map(keyOfAsk).join(' ');
  const before = useRef(keys);
  useLayoutEffect(() => {
    if (before.current !== keys) questionsMoved();
    before.current = keys;
  }, [keys]);
  return (
    <section class="asks" aria-label="Waits for you">
      {asks.map((ask) => (
        <Question key={keyOfAsk(ask)} ask={ask} named={false} />
      ))}
    </section>
  );
}

function Missing({ id }) {
  return (
    <div class="agent-view">
      <header class="agent-head">
        <a class="back" href={paths.town()} aria-label="Back to the town">
          <Icon name="back" />
        </a>
        <div class="names">
          <h1 tabIndex={-1}>{plainText(id)}</h1>
          <p class="about">There is no such agent in this town.</p>
        </div>
      </header>
    </div>
  );
}
