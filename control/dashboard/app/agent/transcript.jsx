// The log of an agent as a list that is read as it is looked at. It stays at the end while the reader is there; otherwise
// the item that the reader looks at stays where it is, whatever is added or dropped around it.

import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

import { Icon } from '../parts/icon.jsx';
import { Item } from './items.jsx';

const kNear = 900; // pixels from an end at which the next page is read
const kAtEnd = 40; // pixels from the end at which the reader follows it
const kFillBytes = 600 << 10; // of the pages that may be read to fill the screen

// The item at the top of the box, and where it is.
function anchorOf(box) {
  const top = box.getBoundingClientRect().top;
  for (const node of box.querySelectorAll(':scope > .items > .item')) {
    const { bottom, top: at } = node.getBoundingClientRect();
    if (bottom > top) return { key: node.dataset.key, offset: at - top };
  }
  return undefined;
}

function nodeOf(box, key) {
  return box.querySelector(`:scope > .items > [data-key="${CSS.escape(key)}"]`);
}

// `marked`: the number of an event that is shown and marked once it is there, and again when `marks` grows. `onMoved` is
// called when the reader moves.
export function Transcript({ log, version, id, marked, marks, onMoved }) {
  const box = useRef();
  const shownMark = useRef();

  // Taken before the items change.
  const kept = useRef();
  kept.current = box.current && !log.following ? anchorOf(box.current) : undefined;

  useLayoutEffect(() => {
    const node = box.current;
    if (log.following) {
      node.scrollTop = node.scrollHeight;
    } else if (kept.current) {
      const same = nodeOf(node, kept.current.key);
      if (same) node.scrollTop += same.getBoundingClientRect().top - node.getBoundingClientRect().top - kept.current.offset;
    }
    const mark = `${marked} ${marks}`;
    if (marked !== undefined && shownMark.current !== mark) {
      const item = [...node.querySelectorAll('.item')].filter(({ dataset: { seq, last } }) => Number(seq) <= marked && marked <= Number(last)).at(-1);
      if (item) {
        shownMark.current = mark;
        log.following = false;
        item.scrollIntoView({ block: 'center' });
      }
    }
  }, [version, marked, marks]);

  const below = () => box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight;

  // Reads what the reader will look at next.
  const readNear = () => {
    if (log.busy || log.error) return;
    if (log.more && box.current.scrollTop < kNear && (!log.following || log.fetched < kFillBytes)) log.older();
    else if (below() < kNear) log.newer();
  };
  useEffect(readNear, [version]);

  // The box may become smaller, by a keyboard on the screen for example.
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (log.following) box.current.scrollTop = box.current.scrollHeight;
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [log]);

  const moved = () => {
    const following = below() < kAtEnd && (log.live || log.past);
    if (following !== log.following) {
      log.following = following;
      onMoved();
    }
    readNear();
  };

  // A reader who unfolds something reads it.
  const pressed = ({ target }) => {
    if (!target.closest('summary, .unfold button, .change button')) return;
    log.following = false;
    onMoved();
  };

  const { items } = log.model;
  return (
    <div ref={box} class="log" onScroll={moved} onClickCapture={pressed} tabIndex={0} role="log" aria-live="off" aria-label="Log of the agent" aria-busy={log.busy !== undefined}>
      <div class="edge">
        {log.more ? (log.busy ? 'Reading…' : '') : items.length > 0 ? (log.first > 1 ? 'Older events are no longer kept.' : 'The log begins here.') : ''}
      </div>
      <div class="items">
        {items.map((item) => (
          <Item key={item.key} item={item} id={id} marked={marked >= item.seq && marked <= item.last && item.seq > 0} />
        ))}
      </div>
      {items.length === 0 && !log.busy && <p class="hint empty">{log.types ? 'No events of this kind.' : 'Nothing has happened yet.'}</p>}
      {log.error && (
        <p class="alert">
          {log.error}{' '}
          <button type="button" onClick={() => (log.past ? log.toMoment(log.end) : log.toEnd())}>
            Read again
          </button>
        </p>
      )}
    </div>
  );
}

export function Jump({ log, unseen, onJump }) {
  if (log.following && (log.live || log.past)) return null;
  return (
    <button type="button" class="jump" onClick={onJump}>
      <Icon name="down" />
      {log.past ? 'Back to now' : unseen > 0 ? `${unseen.toLocaleString()} new ${unseen === 1 ? 'event' : 'events'}` : 'Jump to the end'}
    </button>
  );
}
