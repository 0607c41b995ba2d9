// The search in an agent's log: the daemon searches it from its end, slice by slice, so it can be ended at any time.

import { useLayoutEffect, useRef, useState } from 'preact/hooks';

import { call } from '../connection.js';
import { searchLog, textWith } from './log.js';
import { plainText } from './text.js';

const kMostHits = 500;
const kAround = 60; // characters around a hit that are shown

export function Search({ id, log, onShow, onClose }) {
  const [text, setText] = useState('');
  const [found, setFound] = useState({ hits: [], from: undefined, running: false });
  const [chosen, setChosen] = useState(-1);
  const abort = useRef();
  const box = useRef();
  useLayoutEffect(() => {
    box.current.focus(); // before the next key comes
    return () => abort.current?.abort();
  }, []);

  const search = async (event) => {
    event.preventDefault();
    abort.current?.abort();
    if (text === '') return;
    const own = (abort.current = new AbortController());
    let hits = [];
    setChosen(-1);
    setFound({ hits, running: true, text });
    try {
      await searchLog({ call }, id, { text, types: log.types, signal: own.signal }, (page) => {
        hits = [...hits, ...page.hits];
        const full = hits.length >= kMostHits;
        if (full) own.abort();
        setFound({ hits, from: page.from, running: !page.done && !full, full, text });
      });
    } catch (error) {
      if (!own.signal.aborted) setFound({ hits, running: false, failure: error.message, text });
    }
  };
  const cancel = () => {
    abort.current?.abort();
    setFound((before) => ({ ...before, running: false }));
  };
  const move = (by) => {
    const next = Math.max(0, Math.min(found.hits.length - 1, chosen + by));
    if (!found.hits[next]) return;
    setChosen(next);
    onShow(found.hits[next].seq);
  };
  const pressed = (event) => {
    if (event.key === 'Escape') onClose();
    else if (event.key === 'ArrowDown') move(1);
    else if (event.key === 'ArrowUp') move(-1);
    else return;
    event.preventDefault();
  };
  const { hits, from, running, full, failure } = found;
  const searched = from === undefined ? 0 : Math.round((100 * (log.head - from)) / Math.max(1, log.head));
  return (
    <div class="log-search" role="search">
      <form onSubmit={search}>
        <input ref={box} type="search" value={text} onInput={(event) => setText(event.target.value)} onKeyDown={pressed} placeholder="Search the whole log" aria-label="Search the whole log" />
        {running ? (
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        ) : (
          <button>Search</button>
        )}
        <button type="button" class="ghost" onClick={onClose} aria-label="Close the search">
          ✕
        </button>
      </form>
      {found.text !== undefined && (
        <p class="hint" role="status">
          {hits.length.toLocaleString()} {hits.length === 1 ? 'event' : 'events'}
          {running ? `, ${searched} % searched…` : full ? ': the newest ones' : from !== undefined && from > 1 && searched < 99 ? `, ${searched} % searched` : ''}
        </p>
      )}
      {running && <progress max="100" value={searched} aria-label="Searched" />}
      {failure && <p class="failure">{failure}</p>}
      {hits.length > 0 && (
        <ol class="hits">
          {hits.map((hit, i) => (
            <li key={hit.seq}>
              <button type="button" class="ghost" aria-current={i === chosen} onClick={() => (setChosen(i), onShow(hit.seq))}>
                <span class="hint">{new Date(hit.time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })}</span>
                <b>{hit.type}</b>
                <Snippet hit={hit} text={found.text} />
              </button>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

// The first text of the event's data with the words that were searched for.
function Snippet({ hit, text }) {
  const wanted = text.toLowerCase();
  const whole = textWith(hit.data, wanted);
  const at = whole.toLowerCase().indexOf(wanted);
  return (
    <code>
      {at > kAround && '…'}
      {plainText(whole.slice(Math.max(0, at - kAround), at)).replaceAll('\n', ' ')}
      <mark>{plainText(whole.slice(at, at + text.length))}</mark>
      {plainText(whole.slice(at + text.length, at + text.length + kAround)).replaceAll('\n', ' ')}
    </code>
  );
}
