// The town: every agent as a row.

import './town.css';

import { signal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import { look, mayCreate, now } from '../connection.js';
import { bytes, clock, count, duration, money, second } from '../format.js';
import { useKeys } from '../keys.jsx';
import { Badge } from '../parts/badge.jsx';
import { Icon } from '../parts/icon.jsx';
import { Spark } from '../parts/spark.jsx';
import { VirtualList } from '../parts/virtual.jsx';
import { go, paths } from '../router.js';
import { agents, lives, version } from '../town.js';
import { countFilters, groupings, kFilters, rowsOf } from './list.js';

const kGroupKey = 'reeve.group';

// The view remembers these while another one is shown.
const search = signal('');
const filter = signal('all');
const grouping = signal(localStorage.getItem(kGroupKey) ?? '');
const chosen = signal(undefined); // the id of the agent that the keyboard is at

const keyOf = (row) => row.agent?.id ?? `/${row.heading}`;

export function Town() {
  version.value;
  const searchBox = useRef();
  const list = useRef();
  const [picked, setPicked] = useState({}); // {id}: the keyboard went there
  const narrow = useNarrow();
  const all = [...agents.values()];
  const ways = groupings(all);
  const group = ways.includes(grouping.value) ? grouping.value : '';
  const rows = useMemo(
    () => rowsOf(all, lives, { filter: filter.value, search: search.value, grouping: group }),
    [version.value, filter.value, search.value, group],
  );
  const heightOf = useMemo(() => (row) => (row.agent ? (narrow ? 98 : 56) : 38), [narrow]);

  const choose = (id) => {
    chosen.value = id;
    setPicked({ id });
  };
  // With the row itself: Enter would open the one that still has the focus.
  useLayoutEffect(() => {
    if (picked.id === undefined) return;
    const link = list.current?.querySelector('[data-chosen] a');
    if (link) link.focus({ preventScroll: true });
    else if (list.current?.contains(document.activeElement)) document.activeElement.blur();
  }, [picked]);
  const move = (by) => {
    const ids = rows.filter(({ agent }) => agent).map(({ agent }) => agent.id);
    if (ids.length === 0) return false;
    const at = ids.indexOf(chosen.value);
    choose(ids[at < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.max(0, Math.min(ids.length - 1, at + by))]);
  };
  const setGrouping = (way) => {
    grouping.value = way;
    localStorage.setItem(kGroupKey, way);
  };

  useKeys('Town', [
    ['/', 'search', () => searchBox.current.focus()],
    ['j ArrowDown', 'the next agent', () => move(1)],
    ['k ArrowUp', 'the one before', () => move(-1)],
    ['PageDown', '', () => move(10)],
    ['PageUp', '', () => move(-10)],
    ['Home', 'the first one', () => move(-Infinity)],
    ['End', 'the last one', () => move(Infinity)],
    ['Enter', 'open it', () => (chosen.value ? go(paths.agent(chosen.value)) : false)],
    ['a', 'go to its questions', () => go(paths.inbox())],
    ['f', 'the next filter', () => void (filter.value = kFilters[(kFilters.findIndex(({ key }) => key === filter.value) + 1) % kFilters.length].key)],
    ['g', 'the next grouping', () => setGrouping(ways[(ways.indexOf(group) + 1) % ways.length])],
    [
      'Escape',
      'clear search and filter',
      () => {
        search.value = '';
        filter.value = 'all';
        if (document.activeElement === searchBox.current) searchBox.current.blur();
      },
    ],
  ]);

  const counts = countFilters(all);
  return (
    <>
      <div class="bar">
        <h1 tabIndex={-1} class="hidden-words">
          Agents
        </h1>
        <div class="search">
          <Icon name="search" />
          <input
            ref={searchBox}
            type="search"
            value={search.value}
            placeholder="Search"
            aria-label="Search agents"
            spellcheck={false}
            onInput={(event) => (search.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' && event.key !== 'ArrowDown') return;
              event.preventDefault();
              event.stopPropagation();
              chosen.value = undefined;
              move(1);
            }}
          />
          <kbd aria-hidden="true">/</kbd>
        </div>
        <div class="filters" role="group" aria-label="Filter">
          {kFilters.map(({ key, name, tone }) => (
            <button key={key} type="button" class={`chip ${tone ?? ''} ${counts[key] > 0 ? 'some' : ''}`} aria-pressed={filter.value === key} onClick={() => (filter.value = key)}>
              {name} <span class="number">{counts[key]}</span>
            </button>
          ))}
        </div>
        {ways.length > 1 && (
          <label class="grouping">
            <span>Group by</span>
            <select value={group} onChange={(event) => setGrouping(event.currentTarget.value)}>
              {ways.map((way) => (
                <option key={way} value={way}>
                  {way === '' ? 'nothing' : way.replace('label:', '')}
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      {rows.length === 0 ? (
        <Nothing none={all.length === 0} />
      ) : (
        <div ref={list} class="agents">
          {!narrow && <Columns />}
          <VirtualList
            rows={rows}
            heightOf={heightOf}
            keyOf={keyOf}
            reveal={picked.id}
            onShown={(shown) => look(shown.filter(({ agent }) => agent).map(({ agent }) => agent.id))}
          >
            {(row) =>
              row.agent ? (
                <Row agent={row.agent} live={lives.get(row.agent.id)} chosen={chosen.value === row.agent.id} narrow={narrow} />
              ) : (
                <Heading {...row} />
              )
            }
          </VirtualList>
        </div>
      )}
    </>
  );
}

function useNarrow() {
  const query = useMemo(() => matchMedia('(max-width: 900px)'), []);
  const [narrow, setNarrow] = useState(query.matches);
  useEffect(() => {
    const change = () => setNarrow(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, []);
  return narrow;
}

function Nothing({ none }) {
  return (
    <div class="nothing">
      <p>{none ? 'No agents yet.' : 'No agent matches.'}</p>
      {none ? (
        <p class="hint">
          {mayCreate.value && (
            <>
              <a href={paths.start()}>Start one here</a>, or
            </>
          )}{' '}
          in a shell: <code>reeve run -- COMMAND</code>
        </p>
      ) : (
        <button
          type="button"
          onClick={() => {
            search.value = '';
            filter.value = 'all';
          }}
        >
          Show all <kbd>Esc</kbd>
        </button>
      )}
    </div>
  );
}

function Columns() {
  return (
    <div class="row columns" aria-hidden="true">
      <span>State</span>
      <span>Agent</span>
      <span>Activity</span>
      <span>Last minute</span>
      <span class="end">Time</span>
      <span class="end">Tokens</span>
      <span class="end">Memory</span>
    </div>
  );
}

function Heading({ heading, count: size, waiting }) {
  return (
    <h2 class="heading">
      <span class="one-line">{heading || 'others'}</span> <span class="number">{size}</span>
      {waiting > 0 && <span class="count wait">{waiting} waiting</span>}
    </h2>
  );
}

const Row = memo(function Row({ agent, live, chosen, narrow }) {
  const { look: is } = agent;
  const labels = Object.entries(agent.labels ?? {});
  const title = agent.title || agent.id;
  return (
    <div class={`row agent-row ${is.key}`} data-agent={agent.id} data-chosen={chosen ? 'true' : undefined}>
      <span class="state">
        <Badge look={is} />
        {narrow && <span class="kind">{agent.kind}</span>}
      </span>
      <span class="name">
        <a class="one-line" href={paths.agent(agent.id)} title={title}>
          <bdi>{title}</bdi>
        </a>
        <span class="about one-line">
          <span class="kind">{agent.kind}</span>
          {agent.title && agent.title !== agent.id && ` · ${agent.id}`}
          {agent.queue_depth > 0 && ` · ${agent.queue_depth} queued${agent.queue_paused ? ', paused' : ''}`}
          {labels.map(([key, value]) => (
            <span key={key} class="label">
              {key}:{String(value)}
            </span>
          ))}
        </span>
      </span>
      <Does agent={agent} live={live} />
      <Spark spark={live?.spark} />
      <span class="time end">
        <Time agent={agent} />
      </span>
      <span class="tokens end">
        <Tokens usage={agent.usage} />
      </span>
      {!narrow && <span class="memory end">{agent.resources ? bytes(agent.resources.rss_bytes) : ''}</span>}
    </div>
  );
});

function Does({ agent, live }) {
  const call = live?.call?.text ?? agent.open_call?.name;
  const { last, tone } = live?.last ? live : { last: agent.reason, tone: 'failed' };
  const sleeps = agent.look.key === 'asleep' && agent.next_due_at;
  return (
    <span class="does">
      {call && (
        <span class="call one-line">
          <bdi>{call}</bdi>
        </span>
      )}
      {sleeps && <span class="call one-line">wakes {clock(agent.next_due_at)}</span>}
      {last && (
        <span class={`last one-line ${tone} ${tone === 'output' ? 'mono' : ''}`}>
          <bdi>{last}</bdi>
        </span>
      )}
    </span>
  );
}

// How long the present run takes, or how long ago the last one ended.
function Time({ agent }) {
  second.value;
  const began = agent.run?.started_at ?? (agent.look.key === 'running' ? agent.started_at : undefined);
  if (began) return <span title={`since ${clock(began)}`}>{duration(now() - Date.parse(began))}</span>;
  const ended = agent.last_run?.ended_at ?? agent.exited_at;
  if (!ended) return null;
  const ago = now() - Date.parse(ended);
  return (
    <span class="ago" title={`ended ${clock(ended)}`}>
      {ago < 60_000 ? 'just now' : `${short(duration(ago))} ago`}
    </span>
  );
}

const short = (text) => text.split(' ')[0];

function Tokens({ usage }) {
  const tokens = (usage?.input_tokens ?? 0) + (usage?.output_tokens ?? 0);
  if (tokens === 0) return null;
  return (
    <>
      {count(tokens)}
      {usage.cost_usd > 0 && <span class="cost">{money(usage.cost_usd)}</span>}
    </>
  );
}
