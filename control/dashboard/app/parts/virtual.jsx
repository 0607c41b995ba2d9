// A long list that draws only the rows in sight. Each row has a known height, so that nothing jumps.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

const kBeyond = 120; // pixels that are drawn above and below those in sight

// `rows`, `heightOf(row)`, `keyOf(row)`, `children(row)` draws one; `reveal` is the key of a row that must be in sight;
// `onShown(rows)` hears which rows are drawn.
export function VirtualList({ rows, heightOf, keyOf, children, reveal, onShown, ...rest }) {
  const box = useRef();
  const [view, setView] = useState({ top: 0, height: 800 });
  const tops = useMemo(() => {
    const all = new Float64Array(rows.length + 1);
    rows.forEach((row, i) => (all[i + 1] = all[i] + heightOf(row)));
    return all;
  }, [rows, heightOf]);

  useEffect(() => {
    const look = () => setView({ top: box.current.scrollTop, height: box.current.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(box.current);
    box.current.addEventListener('scroll', look, { passive: true });
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (reveal === undefined) return;
    const i = rows.findIndex((row) => keyOf(row) === reveal);
    if (i < 0) return;
    const { scrollTop, clientHeight } = box.current;
    if (tops[i] < scrollTop) box.current.scrollTop = i === 1 ? 0 : tops[i];
    else if (tops[i + 1] > scrollTop + clientHeight) box.current.scrollTop = tops[i + 1] - clientHeight;
  }, [reveal]);

  const first = Math.max(0, indexAt(tops, view.top - kBeyond));
  const last = Math.min(rows.length, indexAt(tops, view.top + view.height + kBeyond) + 1);
  const shown = rows.slice(first, last);
  const keys = shown.map(keyOf).join('\n');
  useEffect(() => onShown?.(shown), [keys]);

  return (
    <div ref={box} class="scroller" {...rest}>
      <ul class="rows" style={{ height: `${tops[rows.length]}px` }}>
        {shown.map((row, i) => (
          <li key={keyOf(row)} class="place" style={{ transform: `translateY(${tops[first + i]}px)`, height: `${heightOf(row)}px` }} {...places(row, rows)}>
            {children(row)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function places({ position }, rows) {
  if (position === undefined) return {};
  return { 'aria-posinset': position, 'aria-setsize': rows.at(-1).position };
}

// The last row that begins at or before `top`.
function indexAt(tops, top) {
  let low = 0;
  let high = tops.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= top) low = middle;
    else high = middle - 1;
  }
  return low;
}
