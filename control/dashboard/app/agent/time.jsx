// Time travel: a slider over the log. The log ends where the slider is, and the state is that of the moment; both are read
// from the events just before it, however long the log is.

import { useEffect, useRef, useState } from 'preact/hooks';

import { call } from '../connection.js';
import { Icon } from '../parts/icon.jsx';
import { kStateTypes, stateOf } from './model.js';

const kRestMs = 120; // the slider has rested for so long
const kSlices = 8; // parts of the log that are read for the state
const kEnough = 200; // events that tell the state

async function readState(id, seq) {
  let events = [];
  for (let i = 0, before = seq + 1; i < kSlices && events.length < kEnough; ++i) {
    const page = await call('events.since', { id, before, types: kStateTypes, limit: kEnough, max_bytes: 256 << 10 });
    events = [...page.events, ...events];
    before = page.first;
    if (!page.more || events.some(({ type }) => type.startsWith('agent.'))) break;
  }
  return stateOf(events);
}

export function TimeTravel({ id, log, onState, onEnd }) {
  const [oldest, setOldest] = useState(1);
  const [head] = useState(log.head); // the scale does not move under the finger
  const [seq, setSeq] = useState(log.past ? log.end : log.head);
  const timer = useRef();
  const turn = useRef(0);
  const slider = useRef();

  useEffect(() => {
    slider.current.focus();
    // A page before the first event: its cursor is where the log begins.
    call('events.since', { id, before: 1, limit: 1 }).then(({ cursor }) => setOldest(Number(cursor.split('-')[1] ?? 0) + 1), () => {});
    return () => clearTimeout(timer.current);
  }, []);

  const go = (to) => {
    const next = Math.max(oldest, Math.min(head, to));
    setSeq(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(async () => {
      const own = ++turn.current;
      log.following = true;
      log.toMoment(next);
      try {
        const state = await readState(id, next);
        if (own === turn.current) onState(state);
      } catch {
        // The log says why it cannot be read.
      }
    }, kRestMs);
  };
  const time = log.past && log.model.last ? new Date(log.model.last.time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' }) : 'now';
  return (
    <div class="travel" role="group" aria-label="Time travel">
      <button type="button" class="tool" onClick={() => go(seq - 1)} aria-label="One event back" title="One event back">
        <Icon name="back" />
      </button>
      <input
        ref={slider}
        type="range"
        min={oldest}
        max={head}
        value={seq}
        onInput={(event) => go(Number(event.target.value))}
        aria-label="Moment of the log"
        aria-valuetext={`Event ${seq} of ${head}, ${time}`}
      />
      <button type="button" class="tool forward" onClick={() => go(seq + 1)} aria-label="One event forward" title="One event forward">
        <Icon name="back" />
      </button>
      <output>
        <b>{time}</b>
        <span class="hint"> {seq.toLocaleString()} of {head.toLocaleString()}</span>
      </output>
      <button type="button" onClick={onEnd}>
        Now
      </button>
    </div>
  );
}
