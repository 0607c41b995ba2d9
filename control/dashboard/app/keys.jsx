// The keyboard: a view registers its keys while it is shown, and `?` shows all that work at the moment.

import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

const sections = signal([]); // {title, keys}, the innermost last
export const helpShown = signal(false);

// `keys` is a list of [key, words, action]. A key is a KeyboardEvent.key, or several of them separated by spaces; a key
// without words is not shown in the help. An action that returns false has not used the key.
export function useKeys(title, keys) {
  const section = useRef();
  section.current ??= { title, keys };
  section.current.keys = keys;
  useEffect(() => {
    const own = section.current;
    sections.value = [...sections.value, own];
    return () => (sections.value = sections.value.filter((other) => other !== own));
  }, []);
}

function isWritten(target) {
  return target instanceof Element && target.closest('input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]') !== null;
}

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === 'Escape' && helpShown.value) return void (helpShown.value = false);
  if (event.key !== 'Escape' && isWritten(event.target)) return;
  if (event.key === 'Enter' && event.target instanceof Element && event.target.closest('a, button, summary')) return;
  if (event.key === '?') {
    helpShown.value = !helpShown.value;
    return event.preventDefault();
  }
  if (helpShown.value) return;
  for (const { keys } of [...sections.value].reverse()) {
    for (const [names, , action] of keys) {
      if (!names.split(' ').includes(event.key) || action(event) === false) continue;
      return event.preventDefault();
    }
  }
});

export function Help() {
  const close = useRef();
  const shown = helpShown.value;
  useEffect(() => {
    if (!shown) return undefined;
    const before = document.activeElement;
    close.current.focus();
    return () => before?.focus?.();
  }, [shown]);
  if (!shown) return null;
  return (
    <div class="veil" onClick={(event) => event.target === event.currentTarget && (helpShown.value = false)}>
      <div class="help" role="dialog" aria-modal="true" aria-labelledby="help-title">
        <header>
          <h2 id="help-title">Keys</h2>
          <button ref={close} type="button" class="ghost" onClick={() => (helpShown.value = false)}>
            Close <kbd>Esc</kbd>
          </button>
        </header>
        <div class="sections">
          {sections.value.map(({ title, keys }) => (
            <section key={title}>
              <h3>{title}</h3>
              <dl>
                {keys
                  .filter(([, words]) => words)
                  .map(([names, words]) => (
                    <div key={names}>
                      <dt>
                        {names.split(' ').map((name) => (
                          <kbd key={name}>{kNames[name] ?? name}</kbd>
                        ))}
                      </dt>
                      <dd>{words}</dd>
                    </div>
                  ))}
              </dl>
            </section>
          ))}
        </div>
      </div>
    </div>
  );
}

const kNames = { ArrowDown: '↓', ArrowUp: '↑', ArrowLeft: '←', ArrowRight: '→', Escape: 'Esc', ' ': 'Space' };
