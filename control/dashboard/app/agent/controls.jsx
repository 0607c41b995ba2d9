// The commands of an agent, and the box for messages.

import { useEffect, useRef, useState } from 'preact/hooks';

import { call, mayOperate } from '../connection.js';
import { Icon } from '../parts/icon.jsx';
import { plainText } from './text.js';

const kDrafts = new Map(); // agent → the text that was not sent yet

const kOver = ['exited', 'failed', 'backoff'];
const kBusy = ['running', 'needs_input', 'stalled'];

export function Commands({ agent, kind }) {
  const [failure, setFailure] = useState();
  const [asked, setAsked] = useState(); // the command that waits for its second click
  const { id, state } = agent;
  const over = kOver.includes(state);
  const run = (method) => async () => {
    setFailure(undefined);
    setAsked(undefined);
    try {
      await call(method, { id });
    } catch (error) {
      setFailure(error.message);
    }
  };
  // A command that ends something is given by a second click.
  const commands = [
    { method: 'agents.interrupt', name: 'Interrupt', icon: 'interrupt', shown: kBusy.includes(state) && kind?.can?.interrupt !== false },
    { method: 'agents.start', name: 'Start', icon: 'running', shown: over || agent.queue_paused },
    { method: 'agents.restart', name: 'Restart', icon: 'restarting', check: true, shown: !over },
    { method: 'agents.stop', name: 'Stop', icon: 'stopped', check: true, shown: !['exited', 'failed', 'stopping'].includes(state) },
  ];
  return (
    <div class="commands">
      {commands
        .filter(({ shown }) => shown)
        .map(({ method, name, icon, check }) => (
          <button
            key={method}
            type="button"
            class={asked === method ? 'danger sure' : ''}
            title={name}
            disabled={!mayOperate.value}
            onClick={check && asked !== method ? () => setAsked(method) : run(method)}
            onBlur={() => setAsked(undefined)}
          >
            <Icon name={icon} />
            <span class="button-words">{asked === method ? `${name} now` : name}</span>
          </button>
        ))}
      {failure && <p class="failure" role="alert">{failure}</p>}
    </div>
  );
}

const kModes = [
  ['followup', 'after the run', 'Send'],
  ['steer', 'within the run', 'Steer'],
  ['interrupt', 'at once, ending the run', 'Interrupt and send'],
];

export function Composer({ agent, kind, box }) {
  const { id } = agent;
  const [text, setText] = useState(kDrafts.get(id) ?? '');
  const [mode, setMode] = useState('followup');
  const [more, setMore] = useState(false);
  const [at, setAt] = useState('');
  const [model, setModel] = useState('');
  const [models, setModels] = useState();
  const [sending, setSending] = useState(false);
  const [failure, setFailure] = useState();
  const own = useRef();
  const input = box ?? own;
  const can = kind?.can ?? { turns: true };
  const { turns } = can;
  const busy = kBusy.includes(agent.state);

  useEffect(() => {
    kDrafts.set(id, text);
    const node = input.current;
    node.style.height = 'auto';
    node.style.height = `${Math.min(node.scrollHeight + 2, innerHeight / 3)}px`;
  }, [text]);

  useEffect(() => {
    if (!more || models || !can.list_models) return;
    call('agents.models', { id }).then(setModels, () => setModels({ models: [] }));
  }, [more]);

  const send = async (event) => {
    event?.preventDefault();
    if (text.trim() === '' || sending) return;
    setSending(true);
    setFailure(undefined);
    try {
      await call('agents.message', {
        id,
        text,
        ...(turns && { mode: busy || mode !== 'steer' ? mode : 'followup' }),
        ...(at && { run_at: new Date(at).toISOString() }),
        ...(model && { model }),
      });
      setText('');
      setAt('');
      setModel('');
      setMode('followup');
    } catch (error) {
      setFailure(error.message);
    }
    setSending(false);
    input.current.focus();
  };
  const pressed = (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
    if (event.key === 'Escape') input.current.blur();
  };
  const label = at ? 'Schedule' : turns && busy ? kModes.find(([name]) => name === mode)[2] : 'Send';
  return (
    <form class="composer" onSubmit={send}>
      <div class="write">
        <textarea
          ref={input}
          rows={1}
          value={text}
          onInput={(event) => setText(event.target.value)}
          onKeyDown={pressed}
          disabled={!mayOperate.value}
          placeholder={turns ? 'Message' : 'A line for the program'}
          aria-label={turns ? 'Message to the agent' : 'A line for the program'}
        />
        <button type="button" class="tool" aria-expanded={more} aria-label="More choices" title="When, and with which model" onClick={() => setMore(!more)}>
          <Icon name="more" />
        </button>
        <button class="primary" disabled={!mayOperate.value || sending || text.trim() === ''}>
          {label}
        </button>
      </div>
      {(more || (turns && busy && text !== '')) && (
        <div class="send-choices">
          {turns && busy && (
            <fieldset>
              <legend class="hidden-words">When the message begins</legend>
              {kModes.map(([name, words]) => (
                <label key={name}>
                  <input type="radio" name="mode" checked={mode === name} onChange={() => setMode(name)} />{' '}
                  {name === 'steer' && !can.steer ? 'before all that wait' : words}
                </label>
              ))}
            </fieldset>
          )}
          {more && (
            <>
              <label>
                at <input type="datetime-local" value={at} onInput={(event) => setAt(event.target.value)} />
              </label>
              {can.model && !can.list_models && (
                <label>
                  model <input type="text" value={model} onInput={(event) => setModel(event.target.value.trim())} placeholder={agent.model ?? 'as now'} />
                </label>
              )}
              {models?.models.length > 0 && (
                <label>
                  model{' '}
                  <select value={model} onChange={(event) => setModel(event.target.value)}>
                    <option value="">{models.model ? `as now (${models.model})` : 'as now'}</option>
                    {models.models.map(({ id: of, name }) => (
                      <option key={of} value={of}>
                        {name ?? of}
                      </option>
                    ))}
                  </select>
                </label>
              )}
            </>
          )}
        </div>
      )}
      {failure && <p class="failure" role="alert">{failure}</p>}
    </form>
  );
}

// Messages that wait, and scheduled ones.
export function Queue({ agent, version }) {
  const [queue, setQueue] = useState();
  const [failure, setFailure] = useState();
  useEffect(() => {
    let gone = false;
    call('queue.list', { id: agent.id }).then((answer) => gone || setQueue(answer), () => {});
    return () => (gone = true);
  }, [agent.id, version, agent.queue_depth, agent.scheduled, agent.queue_paused]);
  const withdraw = async (message) => {
    try {
      await call('queue.withdraw', { id: agent.id, message });
      setQueue(await call('queue.list', { id: agent.id }));
    } catch (error) {
      setFailure(error.message);
    }
  };
  if (!queue || queue.messages.length === 0) return null;
  return (
    <section class="queue">
      <h2>{queue.paused ? 'Queue, paused' : 'Queue'}</h2>
      <ul>
        {queue.messages.map((message) => (
          <li key={message.message_id}>
            <span class="said">{plainText(message.text.slice(0, 300))}</span>
            <span class="hint">
              {message.run_at ? new Date(message.run_at).toLocaleString([], { dateStyle: 'short', timeStyle: 'short' }) : message.mode === 'followup' ? 'waits' : message.mode}
            </span>
            <button type="button" class="ghost" disabled={!mayOperate.value} onClick={() => withdraw(message.message_id)} aria-label={`Withdraw “${message.text.slice(0, 40)}”`}>
              ✕
            </button>
          </li>
        ))}
      </ul>
      {failure && <p class="failure" role="alert">{failure}</p>}
    </section>
  );
}
