// A question of an agent to a person: a request to use a tool, or for an answer. `ask` is an entry of approvals.list.

import './question.css';

import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { call, mayOperate, now } from '../connection.js';
import { clock, duration, second } from '../format.js';
import { paths } from '../router.js';
import { agents, nameOf } from '../town.js';
import { Arguments } from './arguments.jsx';
import { SchemaForm } from './form.jsx';
import { visible } from './text.js';

const kGuardMs = 400;
const kHurryMs = 60_000;

// A card that has just moved under a finger or pointer takes no click.
let movedAt = -Infinity;
export function questionsMoved() {
  movedAt = performance.now();
}

// For a button: does the action, unless a pointer hit it by accident. Keys mean the card that they were pressed for.
const tapped = (action) => (event) => {
  if (event.detail > 0 && performance.now() - movedAt < kGuardMs) return;
  action();
};

export const keyOfAsk = ({ agent, id }) => `${agent}/${id}`;

const kChoices = [
  ['allow_tool', 'Allow this tool', 'until the agent’s session ends'],
  ['allow_session', 'Allow everything', 'until the agent’s session ends'],
  ['allow_always', 'Always allow exactly this', 'also after a restart'],
];

const kDone = {
  allow_once: 'Allowed',
  allow_tool: 'Allowed, and this tool from now on',
  allow_session: 'Allowed, and everything in this session',
  allow_always: 'Allowed, and always',
  deny: 'Denied',
  expired: 'Expired',
  withdrawn: 'Withdrawn',
  accept: 'Answered',
  decline: 'Declined',
  cancel: 'Cancelled',
};

// Says what was decided and by whom: "Denied by anna".
export function outcomeOf({ decision, action, by, reason }) {
  const words = kDone[decision ?? action] ?? decision ?? action;
  return `${words}${by ? ` by ${by === 'person' ? 'a person' : by}` : ''}${reason ? `: ${reason}` : ''}`;
}

export const isRefusal = ({ decision, action }) => !/^(allow|accept)/.test(decision ?? action ?? '');

// The sentence that names the wish: "wants to run a command".
function wishOf({ kind, tool, input }) {
  if (kind === 'elicitation') return 'asks you';
  switch (tool) {
    case 'bash':
      return 'wants to run a command';
    case 'edit':
      return 'wants to edit a file';
    case 'write':
      return 'wants to write a file';
    case 'read':
      return 'wants to read a file';
    case 'fetch':
      return 'wants to open an address';
    case 'search':
      return 'wants to search the web';
    case 'task':
      return 'wants to start a sub-agent';
    default:
      return `wants to use ${visible(tool) || 'a tool'}`;
  }
}

// The whole question; in lists a large one is an excerpt.
function useWhole(ask) {
  const [whole, setWhole] = useState();
  useEffect(() => {
    if (!ask.excerpt) return;
    call('approvals.list', { agent: ask.agent, id: ask.id }).then(
      ({ approvals }) => setWhole(approvals.find(({ id }) => id === ask.id)),
      () => {},
    );
  }, [ask.agent, ask.id, ask.excerpt]);
  return ask.excerpt && whole ? whole : ask;
}

// `outcome`, an entry of `decided` (town.js), takes the place of the buttons. `chosen`: the keyboard is here. `handle`
// gets {allow, deny, denyWithReason} for keys. `named`: says which agent asks.
export function Question({ ask: listed, outcome, chosen = false, handle, named = true }) {
  const ask = useWhole(listed);
  const agent = agents.get(ask.agent);
  const title = nameOf(ask.agent);
  const card = useRef();
  const [state] = useState(() => signal({ sending: false, failure: undefined, reasoning: false }));
  const set = (change) => (state.value = { ...state.value, ...change });
  const { sending, failure, reasoning } = state.value;
  const elicitation = ask.kind === 'elicitation';

  const send = async (method, params) => {
    if (sending) return;
    set({ sending: true, failure: undefined });
    try {
      await call(method, { id: ask.agent, ...params });
      set({ reasoning: false });
    } catch (error) {
      set({ failure: error.message });
    }
    set({ sending: false });
  };
  const decide = (decision, reason) => send('approvals.decide', { approval: ask.id, decision, ...(reason && { reason }) });
  const answer = (action, content) => send('elicitations.answer', { elicitation: ask.id, action, ...(content && { content }) });
  if (handle) {
    handle.current = elicitation
      ? { focus: () => card.current.querySelector('input, select, textarea')?.focus(), deny: () => answer('decline') }
      : { allow: () => decide('allow_once'), deny: () => decide('deny'), denyWithReason: () => set({ reasoning: true }) };
  }
  const disabled = sending || !mayOperate.value;
  const label = `${title} ${wishOf(ask)}`;

  return (
    <article ref={card} class={`question ${elicitation ? 'form' : ''}`} aria-label={label} data-question={keyOfAsk(ask)} data-chosen={chosen ? 'true' : undefined} data-decided={outcome ? 'true' : undefined}>
      <header>
        <h2>
          {named && (
            <a href={paths.agent(ask.agent)}>
              <bdi>{title}</bdi>
            </a>
          )}{' '}
          <span class={named ? 'wish' : 'wish alone'}>{wishOf(ask)}</span>
        </h2>
        <span class="when">
          <span class="asked">{clock(ask.requested_at)}</span>
          {!outcome && <Deadline ask={ask} allows={agent?.permissions?.on_timeout === 'allow' && !elicitation} />}
        </span>
      </header>
      {ask.message && <p class="message">{visible(ask.message)}</p>}
      {!elicitation && <Arguments tool={ask.tool} input={ask.input} cwd={agent?.cwd} />}
      {ask.excerpt && <p class="hint">This is an excerpt; the rest could not be fetched yet.</p>}
      {outcome ? (
        <p class={`outcome ${isRefusal(outcome) ? 'refused' : 'allowed'}`} role="status">
          {outcomeOf(outcome)}
        </p>
      ) : elicitation ? (
        <SchemaForm schema={ask.schema} disabled={disabled} onSubmit={(content) => answer('accept', content)} failure={failure}>
          <button type="button" disabled={disabled} onClick={tapped(() => answer('decline'))}>
            Decline
          </button>
        </SchemaForm>
      ) : reasoning ? (
        <Reason disabled={disabled} onSend={(reason) => decide('deny', reason)} onCancel={() => set({ reasoning: false })} />
      ) : (
        <div class="choices">
          <button type="button" class="allow" disabled={disabled} onClick={tapped(() => decide('allow_once'))}>
            Allow once {chosen && <kbd>a</kbd>}
          </button>
          <button type="button" class="deny" disabled={disabled} onClick={tapped(() => decide('deny'))}>
            Deny {chosen && <kbd>d</kbd>}
          </button>
          <button type="button" class="deny-why" disabled={disabled} onClick={() => set({ reasoning: true })}>
            Deny because… {chosen && <kbd>r</kbd>}
          </button>
          <More disabled={disabled} onChoose={decide} />
        </div>
      )}
      {failure && !elicitation && (
        <p class="failure" role="alert">
          {failure}
        </p>
      )}
    </article>
  );
}

function Deadline({ ask, allows }) {
  second.value;
  if (!ask.deadline) return null;
  const left = Date.parse(ask.deadline) - now();
  const words = ask.kind === 'elicitation' ? 'auto-cancelled in' : allows ? 'auto-allowed in' : 'auto-denied in';
  return (
    <span class={`deadline ${left < kHurryMs ? 'hurry' : ''}`}>
      {words} <time dateTime={ask.deadline}>{duration(left)}</time>
    </span>
  );
}

function Reason({ disabled, onSend, onCancel }) {
  const box = useRef();
  useLayoutEffect(() => box.current.focus(), []); // before the next key
  const keys = (event) => {
    if (event.key === 'Escape') onCancel();
    else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) onSend(box.current.value.trim());
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="reason">
      <label>
        <span>Reason, which the agent reads</span>
        <textarea ref={box} rows="2" onKeyDown={keys} placeholder="Use the test database instead" />
      </label>
      <div class="choices">
        <button type="button" class="deny" disabled={disabled} onClick={tapped(() => onSend(box.current.value.trim()))}>
          Deny
        </button>
        <button type="button" onClick={onCancel}>
          Back
        </button>
      </div>
    </div>
  );
}

function More({ disabled, onChoose }) {
  const details = useRef();
  useEffect(() => {
    const close = (event) => details.current?.open && !details.current.contains(event.target) && (details.current.open = false);
    document.addEventListener('click', close);
    return () => document.removeEventListener('click', close);
  }, []);
  return (
    <details ref={details} class="more">
      <summary class="button" aria-label="More ways to allow">
        More
      </summary>
      <div class="menu">
        {kChoices.map(([decision, name, scope]) => (
          <button key={decision} type="button" class="ghost" disabled={disabled} onClick={tapped(() => onChoose(decision))}>
            <span>{name}</span> <span class="hint">{scope}</span>
          </button>
        ))}
      </div>
    </details>
  );
}
