// Draws the items of a log (model.js). An item is drawn again only when it has changed.

import { Component } from 'preact';
import { useState } from 'preact/hooks';

import { count, money } from '../format.js';
import { Arguments } from '../parts/arguments.jsx';
import { Icon } from '../parts/icon.jsx';
import { paths } from '../router.js';
import { gistOf } from '../worker/words.js';
import { asText } from './model.js';
import { Counts, Diff, Markdown, OutputLines, Terminal } from './pieces.jsx';
import { plainText } from './text.js';
import { describeAgent, describeNote, kDecisions, took } from './words.js';

const opened = new Map(); // agent and key of an item → whether the reader has unfolded it; survives the item's being read again
const kMostOpened = 2000;

export class Item extends Component {
  // An item that was read again from the same events is the same.
  shouldComponentUpdate({ item, id, marked }) {
    const { seq, last, version } = this.drawn;
    return item.seq !== seq || item.last !== last || item.version !== version || marked !== this.props.marked || id !== this.props.id;
  }

  render({ item, id, marked }) {
    this.drawn = { seq: item.seq, last: item.last, version: item.version };
    const View = kViews[item.kind] ?? Other;
    return (
      <article class={`item kind-${item.kind} ${marked ? 'marked' : ''}`} data-key={item.key} data-seq={item.seq} data-last={item.last}>
        <div class="content">
          <View item={item} id={id} />
        </div>
        {item.seq > 0 && <Handles item={item} id={id} />}
      </article>
    );
  }
}

function Handles({ item, id }) {
  const [copied, setCopied] = useState(false);
  const text = textOf(item);
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1200);
  };
  const time = new Date(item.time);
  return (
    <span class="handles">
      {text && navigator.clipboard && (
        <button type="button" class="ghost" onClick={copy} aria-label={copied ? 'Copied' : 'Copy the text'} title="Copy the text">
          <Icon name={copied ? 'done' : 'copy'} />
        </button>
      )}
      <a href={paths.agent(id, item.seq)} title={`Event ${item.seq}, ${time.toLocaleString()}`} aria-label={`Link to event ${item.seq}`}>
        {time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })}
      </a>
    </span>
  );
}

// The text of an item, to be copied.
function textOf(item) {
  if (item.text !== undefined) return item.text;
  if (item.lines) return item.lines.map(({ text }) => text).join('\n');
  if (item.kind === 'tool') return [gistOf(item.input), item.output].filter(Boolean).join('\n');
  return item.edit?.diff;
}

// Something that is folded, unless the reader has opened it. `open` is for those who have not touched it.
function Fold({ name, open = false, class: className, summary, children }) {
  const [, redraw] = useState(0);
  const current = opened.get(name) ?? open;
  const toggle = (event) => {
    event.preventDefault();
    if (opened.size > kMostOpened) opened.clear();
    opened.set(name, !current);
    redraw((n) => n + 1);
  };
  return (
    <details class={className} open={current}>
      <summary onClick={toggle}>{summary}</summary>
      {current && <div class="body">{children}</div>}
    </details>
  );
}

function User({ item }) {
  return (
    <div class="bubble">
      {item.by && item.by !== 'person' && <span class="by">{item.by}</span>}
      {item.steer && <span class="by">steered</span>}
      <div class="said">{plainText(item.text)}</div>
    </div>
  );
}

function Assistant({ item }) {
  return (
    <div class={item.done ? '' : 'growing'} aria-busy={!item.done}>
      <Markdown text={item.text} done={item.done} />
    </div>
  );
}

function Reasoning({ item, id }) {
  const ms = item.done && item.until ? Date.parse(item.until) - Date.parse(item.time) : undefined;
  const words = !item.done ? 'Thinking…' : ms >= 1000 ? `Thought for ${took(ms)}` : 'Thought';
  return (
    <Fold name={`${id} ${item.key}`} class="thought" summary={<span class="words">{words}</span>}>
      <Markdown text={item.text} done={item.done} />
    </Fold>
  );
}

const kOutcomes = { running: 'running', completed: 'done', failed: 'failed', unfinished: 'cut' };
const kOutcomeWords = { running: 'running', completed: 'completed', failed: 'failed', unfinished: 'not finished' };

function Tool({ item, id }) {
  const { tool, input, output, outcome, error, edits = [], decision, by } = item;
  const changes = edits.length > 0;
  const counted = edits.reduce((sum, { additions = 0, deletions = 0 }) => [sum[0] + additions, sum[1] + deletions], [0, 0]);
  const summary = (
    <>
      <Icon name={kOutcomes[outcome]} label={kOutcomeWords[outcome]} />
      <b class="name">{plainText(tool || 'tool')}</b>
      <code class="gist">{plainText(gistOf(input).slice(0, 400)).replaceAll('\n', ' ⏎ ')}</code>
      {changes && <Counts added={counted[0]} removed={counted[1]} />}
      <span class="facts">
        {[decision === 'deny' && 'denied', item.exitCode && `code ${item.exitCode}`, item.durationMs >= 100 && took(item.durationMs)]
          .filter(Boolean)
          .join(' · ')}
      </span>
    </>
  );
  return (
    <Fold name={`${id} ${item.key}`} open={changes && counted[0] + counted[1] <= 40} class={`card ${outcome}`} summary={summary}>
      {changes
        ? edits.map(({ path, diff }) => (
            <figure key={path} class="edited">
              <figcaption>{plainText(path)}</figcaption>
              <Diff edit={{ path, diff }} />
            </figure>
          ))
        : <Arguments tool={tool} input={input} />}
      {decision && <p class="hint">{kDecisions[decision] ?? decision}{by ? ` by ${by}` : ''}</p>}
      {output && !changes && <Terminal text={output} tail={outcome === 'running'} label="Output of the call" />}
      {error && <p class="failure">{plainText(error)}</p>}
    </Fold>
  );
}

function Edit({ item: { key, edit }, id }) {
  const summary = (
    <>
      <Icon name="done" />
      <b class="name">edited</b>
      <code class="gist">{plainText(edit.path)}</code>
      <Counts added={edit.additions} removed={edit.deletions} />
    </>
  );
  return (
    <Fold name={`${id} ${key}`} open={edit.diff.length < 3000} class="card" summary={summary}>
      <Diff edit={edit} />
    </Fold>
  );
}

const kPlanIcons = { completed: 'done', in_progress: 'running', cancelled: 'stopped' };

export function PlanList({ entries }) {
  if (!Array.isArray(entries)) return null;
  return (
    <ul class="plan-list">
      {entries.map((entry, i) => (
        <li key={i} data-status={entry?.status}>
          <Icon name={kPlanIcons[entry?.status] ?? 'ready'} label={entry?.status?.replace('_', ' ')} />
          <span>{plainText(asText(entry?.content ?? entry?.text ?? entry?.title ?? entry))}</span>
        </li>
      ))}
    </ul>
  );
}

function Plan({ item }) {
  return (
    <div class="card">
      <h3>Plan</h3>
      <PlanList entries={item.entries} />
    </div>
  );
}

function Run({ item: { word, run, data } }) {
  const usage = data.usage;
  const tokens = (usage?.input_tokens ?? 0) + (usage?.output_tokens ?? 0);
  const reason = data.error?.message ?? data.error?.code;
  return (
    <>
      <div class={`rule ${word}`}>
        <span>
          Run {run?.replace(/^r/, '')} {word}
          {data.limit && ` by the limit ${data.limit}`}
          {data.exit_code ? ` with code ${data.exit_code}` : ''}
          {data.duration_ms !== undefined && ` · ${took(data.duration_ms)}`}
          {tokens > 0 && ` · ${count(tokens)} tokens`}
          {usage?.cost_usd > 0 && ` · ${money(usage.cost_usd)}`}
        </span>
      </div>
      {reason && <p class="alert">{plainText(asText(reason))}</p>}
    </>
  );
}

function Approval({ item: { state, tool, decision, by, reason, message, input } }) {
  if (state === 'pending') {
    return (
      <p class="line asked">
        <Icon name="waiting" /> Asks to use <b>{plainText(tool ?? 'a tool')}</b> <code>{plainText(gistOf(input ?? message)).slice(0, 300)}</code>
      </p>
    );
  }
  const words = [kDecisions[decision] ?? decision, by && `by ${by}`, reason].filter(Boolean).join(' · ');
  return (
    <p class="line">
      <Icon name={decision === 'deny' ? 'failed' : /^allow/.test(decision) ? 'done' : 'stopped'} /> {plainText(tool ?? '')} {plainText(words)}
    </p>
  );
}

function Question({ item: { state, message, decision, by } }) {
  return (
    <p class={`line ${state === 'pending' ? 'asked' : ''}`}>
      <Icon name={state === 'pending' ? 'waiting' : 'done'} /> {plainText(message ?? 'A question')}{' '}
      {state !== 'pending' && <b>{[kDecisions[decision] ?? decision, by && `by ${by}`].filter(Boolean).join(' ')}</b>}
    </p>
  );
}

function Subagent({ item, id }) {
  const summary = (
    <>
      <Icon name={item.done ? 'done' : 'running'} label={item.done ? 'completed' : 'running'} />
      <b class="name">sub-agent</b>
      <span class="gist">{plainText(item.title ?? item.session)}</span>
      <span class="facts">{item.children.length} {item.children.length === 1 ? 'step' : 'steps'}</span>
    </>
  );
  return (
    <Fold name={`${id} ${item.key}`} open={!item.done} class="card nested" summary={summary}>
      {item.children.map((child) => (
        <Item key={child.key} item={child} id={id} />
      ))}
    </Fold>
  );
}

function AgentLine({ item }) {
  const { words, bad } = describeAgent(item);
  return (
    <>
      <p class={`line ${bad ? 'bad-line' : ''}`}>{plainText(words)}</p>
      {item.data.output && <Terminal text={asText(item.data.output)} tail label="Last output" />}
    </>
  );
}

function ErrorLine({ item: { data } }) {
  return (
    <p class={data.fatal ? 'alert' : 'line warn'}>
      <Icon name="failed" /> {plainText([data.code, data.message].filter(Boolean).map(asText).join(': '))}
    </p>
  );
}

const kGaps = { expired: 'the daemon no longer keeps them', lost: 'a crash of the machine destroyed them', damaged: 'they were changed on the disk' };

function Gap({ item: { from, to, reason } }) {
  return <p class="alert gap">Events {from} to {to} are missing: {kGaps[reason] ?? reason}.</p>;
}

function Other({ item: { type, data } }) {
  return <p class="line"><b>{type}</b> <code>{plainText(JSON.stringify(data) ?? '').slice(0, 1000)}</code></p>;
}

const kViews = {
  user: User,
  assistant: Assistant,
  reasoning: Reasoning,
  tool: Tool,
  edit: Edit,
  plan: Plan,
  run: Run,
  approval: Approval,
  question: Question,
  subagent: Subagent,
  agent: AgentLine,
  error: ErrorLine,
  gap: Gap,
  note: ({ item }) => <p class="line">{plainText(describeNote(item))}</p>,
  output: ({ item }) => <OutputLines lines={item.lines} version={item.version} />,
};
