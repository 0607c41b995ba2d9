// The inbox: everything in the town that waits for a person, the oldest first, and the last decisions.

import './inbox.css';

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { now } from '../connection.js';
import { clock, second } from '../format.js';
import { useKeys } from '../keys.jsx';
import { gistOf } from '../worker/words.js';
import { Icon } from '../parts/icon.jsx';
import { isRefusal, keyOfAsk, outcomeOf, Question, questionsMoved } from '../parts/question.jsx';
import { visible } from '../parts/text.js';
import { go, paths } from '../router.js';
import { decided, nameOf, questions, version } from '../town.js';
import { mayNotify, askToNotify } from './notify.js';

const kLingerMs = 4000; // a decided question stays in its place for so long, and says who decided

export function Inbox() {
  version.value; // titles may change
  const [chosen, setChosen] = useState();
  const handles = useRef(new Map());
  const list = useRef();
  const [opened] = useState(now);

  second.value;
  const lingering = decided.value.filter(({ question, time }) => question && Date.parse(time) > opened && now() - Date.parse(time) < kLingerMs);
  const shown = [
    ...questions.value.map((ask) => ({ ask })),
    ...lingering.map((outcome) => ({ ask: outcome.question, outcome })),
  ].sort((a, b) => a.ask.requested_at.localeCompare(b.ask.requested_at) || keyOfAsk(a.ask).localeCompare(keyOfAsk(b.ask)));
  const keys = shown.map(({ ask }) => keyOfAsk(ask));
  for (const key of handles.current.keys()) if (!keys.includes(key)) handles.current.delete(key);
  const open = shown.filter(({ outcome }) => !outcome).map(({ ask }) => keyOfAsk(ask));

  // When a card goes, those below it move up.
  const before = useRef(keys);
  useLayoutEffect(() => {
    if (before.current.some((key) => !keys.includes(key))) questionsMoved();
    before.current = keys;
  }, [keys.join('\n')]);

  useEffect(() => {
    if (chosen !== undefined) list.current?.querySelector('[data-chosen]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);

  const move = (by) => {
    if (open.length === 0) return false;
    const at = open.indexOf(chosen);
    setChosen(open[at < 0 ? (by > 0 ? 0 : open.length - 1) : Math.max(0, Math.min(open.length - 1, at + by))]);
  };
  const act = (name) => {
    if (!open.includes(chosen)) return false;
    const action = handles.current.get(chosen)?.current?.[name];
    if (!action) return false;
    action();
    if (name === 'denyWithReason' || name === 'focus') return undefined;
    const at = open.indexOf(chosen);
    setChosen(open[at + 1] ?? open[at - 1]);
  };
  useKeys('Inbox', [
    ['j ArrowDown', 'the next question', () => move(1)],
    ['k ArrowUp', 'the one before', () => move(-1)],
    ['a', 'allow once', () => act('allow')],
    ['d', 'deny, or decline', () => act('deny')],
    ['r', 'deny with a reason', () => act('denyWithReason')],
    ['e', 'fill in the form', () => act('focus')],
    ['Enter o', 'open the agent', () => (chosen ? go(paths.agent(chosen.split('/')[0])) : false)],
    ['Escape', 'choose none', () => setChosen(undefined)],
  ]);

  return (
    <div class="inbox">
      <div class="column">
        <div class="head">
          <h1 tabIndex={-1}>Inbox</h1>
          <p class="hint" role="status">
            {open.length === 0 ? 'Nothing waits for you.' : open.length === 1 ? 'One question waits.' : `${open.length} questions wait, the oldest first.`}
          </p>
          {mayNotify.value === 'default' && (
            <button type="button" class="notify" aria-label="Notify me" onClick={askToNotify}>
              <Icon name="bell" /> <span>Notify me</span>
            </button>
          )}
        </div>
        {shown.length === 0 && (
          <div class="clear" aria-hidden="true">
            <Icon name="done" />
          </div>
        )}
        <ul ref={list} class="cards">
          {shown.map(({ ask, outcome }) => {
            const key = keyOfAsk(ask);
            if (!handles.current.has(key)) handles.current.set(key, { current: undefined });
            return (
              <li key={key}>
                <Question ask={ask} outcome={outcome} chosen={!outcome && chosen === key} handle={handles.current.get(key)} />
              </li>
            );
          })}
        </ul>
        <Decided hidden={lingering} />
      </div>
    </div>
  );
}

function Decided({ hidden }) {
  const past = decided.value.filter((entry) => !hidden.includes(entry));
  if (past.length === 0) return null;
  return (
    <section class="decided">
      <h2>Decided</h2>
      <ul>
        {past.map((entry) => (
          <li key={`${entry.agent}/${entry.id}/${entry.time}`}>
            <span class="time">{clock(entry.time)}</span>
            <a class="one-line" href={paths.agent(entry.agent)}>
              <bdi>{nameOf(entry.agent)}</bdi>
            </a>
            <span class="gist one-line mono">
              <bdi>{visible(entry.question ? gistOf(entry.question.input) || entry.question.message : '').slice(0, 200)}</bdi>
            </span>
            <span class={`result one-line ${isRefusal(entry) ? 'refused' : 'allowed'}`}>{outcomeOf(entry)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
