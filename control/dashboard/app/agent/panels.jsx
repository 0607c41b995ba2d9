// Beside the log: runs as a timeline, processes with memory and processor time, changed files, and the agent's facts.

import 'uplot/dist/uPlot.min.css';

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

import { call, mayOperate, online } from '../connection.js';
import { bytes, clock, count, money } from '../format.js';
import { Icon } from '../parts/icon.jsx';
import { filesOf } from './diff.js';
import { Counts, Diff } from './pieces.jsx';
import { plainText } from './text.js';
import { took } from './words.js';

const kPollMs = 2000;
const kSamples = 300; // ten minutes
const kClockTicks = (plot, ticks) => ticks.map((s) => new Date(1000 * s).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false }));

// Calls `read` now, whenever `when` changes, and again when the daemon is back. Returns {value, failure, again}.
function useAnswer(read, when) {
  const [state, setState] = useState({});
  const again = async () => {
    try {
      const value = await read();
      setState({ value });
    } catch (error) {
      setState((before) => ({ ...before, failure: error }));
    }
  };
  useEffect(() => void (online.value && again()), [...when, online.value]);
  return { ...state, again };
}

// --- runs

const kRunTones = { completed: 'ok', failed: 'bad', cancelled: 'quiet', running: 'run' };
const kRunIcons = { completed: 'done', failed: 'failed', cancelled: 'stopped', running: 'running' };

export function Runs({ id, version, now, onRun }) {
  const { value, failure } = useAnswer(() => call('runs.list', { id, limit: 100 }), [id, version]);
  const [more, setMore] = useState([]);
  if (failure && !value) return <p class="failure">{failure.message}</p>;
  if (!value) return null;
  const runs = [...value.runs, ...more];
  if (runs.length === 0) return <p class="hint empty">No run yet.</p>;
  const token = more.at(-1)?.run_id ?? value.next_page_token;
  const readMore = async () => setMore([...more, ...(await call('runs.list', { id, limit: 100, page_token: token })).runs]);
  return (
    <>
      <Timeline runs={runs.slice(0, 100)} now={now} onRun={onRun} />
      <ol class="runs">
        {runs.map((run) => (
          <li key={run.run_id} class={kRunTones[run.status]}>
            <button type="button" class="ghost" onClick={() => onRun(run)}>
              <Icon name={kRunIcons[run.status] ?? 'ready'} label={run.status} />
              <b>Run {run.run_id.replace(/^r/, '')}</b>
              <span class="why">
                {run.status === 'failed' ? plainText(run.error?.message ?? run.error?.code ?? '') : run.status}
                {run.limit ? ` (limit ${run.limit})` : ''}
              </span>
              <span class="hint">
                {clock(run.started_at)} · {took(run.duration_ms ?? Math.max(0, now - Date.parse(run.started_at)))}
                {run.usage?.output_tokens ? ` · ${count(run.usage.input_tokens + run.usage.output_tokens)}` : ''}
                {run.usage?.cost_usd > 0 ? ` · ${money(run.usage.cost_usd)}` : ''}
              </span>
            </button>
          </li>
        ))}
      </ol>
      {value.next_page_token && more.length % 100 === 0 && (
        <button type="button" onClick={readMore}>
          Earlier runs
        </button>
      )}
    </>
  );
}

// Each run as a bar from its beginning to its end. Long pauses between runs are drawn short.
function Timeline({ runs, now, onRun }) {
  const bars = useMemo(() => {
    const ordered = [...runs].reverse().map((run) => {
      const begin = Date.parse(run.started_at);
      return { run, begin, end: run.ended_at ? Date.parse(run.ended_at) : now };
    });
    const busy = ordered.reduce((sum, { begin, end }) => sum + Math.max(end - begin, 1), 0);
    const longest = busy / Math.max(ordered.length, 1);
    let at = 0;
    let before;
    for (const bar of ordered) {
      if (before !== undefined) at += Math.min(Math.max(bar.begin - before, 0), longest / 2);
      bar.at = at;
      at += Math.max(bar.end - bar.begin, busy / 200);
      bar.width = at - bar.at;
      before = bar.end;
    }
    return ordered.map(({ run, at: left, width }) => ({ run, left: (100 * left) / at, width: (100 * width) / at }));
  }, [runs, now]);
  return (
    <div class="timeline" role="group" aria-label="Runs in time">
      {bars.map(({ run, left, width }) => (
        <button
          key={run.run_id}
          type="button"
          class={kRunTones[run.status]}
          style={{ left: `${left}%`, width: `${width}%` }}
          onClick={() => onRun(run)}
          title={`Run ${run.run_id.replace(/^r/, '')}: ${run.status}, ${clock(run.started_at)}`}
          aria-label={`Run ${run.run_id.replace(/^r/, '')}, ${run.status}`}
        />
      ))}
    </div>
  );
}

// --- processes

// Samples of all processes of an agent while somebody looks: {processes, samples: [times, memory, processor]}.
function useProcesses(id) {
  const [state, setState] = useState({ samples: [[], [], []] });
  useEffect(() => {
    let timer;
    let gone = false;
    let before; // pid and beginning → cpu_ms, and when
    const samples = [[], [], []];
    const poll = async () => {
      if (online.value && !document.hidden) {
        try {
          const { processes } = await call('processes.list', { id });
          if (gone) return;
          const at = Date.now();
          const cpu = new Map(processes.map(({ pid, started_at, cpu_ms }) => [`${pid} ${started_at}`, cpu_ms]));
          let used = 0;
          for (const [key, ms] of cpu) used += ms - (before?.cpu.get(key) ?? ms);
          samples[0].push(at / 1000);
          samples[1].push(processes.reduce((sum, { rss_bytes }) => sum + rss_bytes, 0));
          samples[2].push(before ? (100 * used) / (at - before.at) : null);
          if (samples[0].length > kSamples) for (const list of samples) list.shift();
          before = { at, cpu };
          setState({ processes, samples: samples.map((list) => [...list]) });
        } catch (error) {
          if (!gone) setState((old) => ({ ...old, failure: error.message }));
        }
      }
      if (!gone) timer = setTimeout(poll, kPollMs);
    };
    poll();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id]);
  return state;
}

function Plot({ title, times, values, format, colour, most }) {
  const box = useRef();
  const plot = useRef();
  useEffect(() => {
    const colourOf = (name) => {
      box.current.style.color = `var(${name})`; // light-dark() has a value only in a property
      return getComputedStyle(box.current).color;
    };
    const axis = { stroke: () => colourOf('--axis'), grid: { stroke: () => colourOf('--grid'), width: 1 }, ticks: { show: false }, font: '11px sans-serif' };
    const stroke = () => colourOf(colour);
    plot.current = new uPlot(
      {
        width: box.current.clientWidth,
        height: 130,
        legend: { show: false },
        cursor: { y: false },
        scales: { y: { range: (u, low, high) => [0, Math.max(high * 1.1, most)] } },
        axes: [{ ...axis, values: kClockTicks, space: 90, size: 24 }, { ...axis, size: 60, values: (u, ticks) => ticks.map(format) }],
        series: [{}, { stroke, fill: () => colourOf(`${colour}-fill`), width: 1.5, points: { show: false } }],
      },
      [times, values],
      box.current,
    );
    const observer = new ResizeObserver(() => plot.current.setSize({ width: box.current.clientWidth, height: 130 }));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, []);
  useEffect(() => plot.current.setData([times, values]), [times, values]);
  const last = values.at(-1);
  return (
    <figure class="plot">
      <figcaption>
        {title} <b>{last === undefined || last === null ? '' : format(last)}</b>
      </figcaption>
      <div ref={box} class="canvas" role="img" aria-label={`${title} in the last minutes; now ${last === undefined || last === null ? 'unknown' : format(last)}`} />
    </figure>
  );
}

export function Processes({ id }) {
  const { processes, samples, failure } = useProcesses(id);
  if (failure && !processes) return <p class="failure">{failure}</p>;
  const [times, memory, processor] = samples;
  return (
    <>
      <div class="plots">
        <Plot title="Memory" times={times} values={memory} format={bytes} colour="--run" most={16 << 20} />
        <Plot title="Processor" times={times} values={processor} format={(percent) => `${Math.round(percent)} %`} colour="--ok" most={10} />
      </div>
      {processes?.length === 0 && <p class="hint empty">No process runs.</p>}
      {processes?.length > 0 && (
        <div class="table" tabIndex={0} role="region" aria-label="Processes">
          <table>
            <thead>
              <tr>
                <th>Process</th>
                <th class="number aside">pid</th>
                <th class="number">Memory</th>
                <th class="number aside">Time</th>
                <th class="aside">State</th>
                <th>
                  <span class="hidden-words">End it</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {processes.map((one) => (
                <Process key={`${one.pid} ${one.started_at}`} id={id} process={one} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function Process({ id, process: { pid, command, cpu_ms, rss_bytes, state, role } }) {
  const [asked, setAsked] = useState(false);
  const [failure, setFailure] = useState();
  const kill = async (signal) => {
    setAsked(false);
    try {
      await call('processes.kill', { id, pid: String(pid), signal });
    } catch (error) {
      setFailure(error.message);
    }
  };
  return (
    <tr>
      <td class="process-command" title={plainText(command)}>
        {role === 'main' && <b class="role">agent</b>} <code>{plainText(command)}</code>
        {failure && <span class="failure">{failure}</span>}
      </td>
      <td class="number aside">{pid}</td>
      <td class="number">{bytes(rss_bytes)}</td>
      <td class="number aside">{took(cpu_ms)}</td>
      <td class="aside">{state}</td>
      <td class="end-it">
        {asked ? (
          <span class="sure" role="group" aria-label={`End process ${pid}?`}>
            <button type="button" class="danger" autofocus onClick={() => kill('TERM')}>TERM</button>
            <button type="button" class="danger" onClick={() => kill('KILL')}>KILL</button>
            <button type="button" onClick={() => setAsked(false)}>Keep</button>
          </span>
        ) : (
          <button type="button" class="ghost" disabled={!mayOperate.value} onClick={() => setAsked(true)} aria-label={`End process ${pid}`}>
            ✕
          </button>
        )}
      </td>
    </tr>
  );
}

// --- changed files

const kLetters = { added: 'A', modified: 'M', deleted: 'D', type_changed: 'T' };

export function Changed({ id, version }) {
  const { value, failure, again } = useAnswer(() => call('agents.changes', { id }), [id, version]);
  const [open, setOpen] = useState(() => new Set());
  const diffs = useMemo(() => new Map(filesOf(value?.diff ?? '').map(({ path, diff }) => [path, diff])), [value]);
  if (!value && failure) {
    return <p class="hint empty">{failure.code === 'repository_not_found' ? 'The agent’s folder is in no git repository.' : failure.message}</p>;
  }
  if (!value) return <p class="hint empty">Comparing…</p>;
  const toggle = (path) => {
    const next = new Set(open);
    if (!next.delete(path)) next.add(path);
    setOpen(next);
  };
  const sum = (name) => value.files.reduce((all, file) => all + (file[name] ?? 0), 0);
  return (
    <>
      <p class="summary">
        <span>
          {value.files.length === 0 ? 'No changes' : `${value.files.length} changed ${value.files.length === 1 ? 'file' : 'files'}`} since the last commit
          {value.branch && <> of <code>{plainText(value.branch)}</code></>}
          {value.commit && <code class="hint"> {value.commit.slice(0, 10)}</code>}
        </span>
        {value.files.length > 0 && <Counts added={sum('added')} removed={sum('removed')} />}
        <button type="button" class="ghost" onClick={again} disabled={!online.value}>
          <Icon name="restarting" /> Compare again
        </button>
      </p>
      {failure && <p class="failure">{failure.message}</p>}
      <ul class="files">
        {value.files.map(({ path, status, added, removed }) => (
          <li key={path}>
            <details open={open.has(path) || (value.files.length <= 3 && !open.has(`-${path}`))}>
              <summary
                onClick={(event) => {
                  event.preventDefault();
                  toggle(value.files.length <= 3 ? `-${path}` : path);
                }}
              >
                <span class={`letter ${status}`} role="img" aria-label={status.replace('_', ' ')}>{kLetters[status]}</span>
                <code>{plainText(path)}</code>
                <Counts added={added} removed={removed} />
              </summary>
              {diffs.has(path) ? <Diff edit={{ path, diff: diffs.get(path) }} lines={400} /> : <p class="hint">Its diff is not shown: it is too long, or not text.</p>}
            </details>
          </li>
        ))}
      </ul>
      {value.truncated && <p class="hint">There is more than this page shows.</p>}
    </>
  );
}

// --- facts

export function Facts({ agent }) {
  const { usage, limits } = agent;
  const facts = [
    ['Id', agent.id],
    ['Kind', agent.kind],
    ['Command', agent.command?.join(' ')],
    ['Model', agent.model],
    ['Folder', agent.cwd],
    ['Repository', agent.workspace?.git],
    ['Branch', agent.workspace?.branch],
    ['Process', agent.pid],
    ['Session', agent.session],
    ['Made', agent.created_at && clock(agent.created_at)],
    ['Restarts', agent.restarts || undefined],
    ['Tokens', usage && usage.input_tokens + usage.output_tokens > 0 ? `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out` : undefined],
    ['Cost', usage?.cost_usd > 0 ? money(usage.cost_usd) : undefined],
    ['Labels', Object.entries(agent.labels ?? {}).map(([key, value]) => `${key}: ${value}`).join(', ') || undefined],
    ['Limits', Object.entries(limits ?? {}).filter(([, value]) => value).map(([key, value]) => (key.endsWith('_ms') ? `${key.slice(0, -3)} ${took(value)}` : `${key} ${value}`)).join(', ') || undefined],
  ];
  return (
    <dl class="facts-list">
      {facts
        .filter(([, value]) => value !== undefined && value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{plainText(String(value))}</dd>
          </div>
        ))}
    </dl>
  );
}
