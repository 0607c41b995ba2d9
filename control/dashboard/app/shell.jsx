// The frame around all views: navigation, the state of the connection, the title and the icon of the tab.

import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { connection, mayCreate, online, refusal, signOut } from './connection.js';
import { clock, duration, second } from './format.js';
import { Help, helpShown, useKeys } from './keys.jsx';
import { Icon } from './parts/icon.jsx';
import { go, paths, route } from './router.js';
import { nextTheme, theme } from './theme.js';
import { nameOf, version, waiting } from './town.js';

// Shows how many agents wait, in the title and on the icon of the tab.
effect(() => {
  const n = waiting.value;
  version.value;
  const { view, id } = route.value;
  const name = view === 'agent' ? nameOf(id) : { town: connection.value.town, inbox: 'Inbox', start: 'Start an agent' }[view];
  document.title = `${n > 0 ? `(${n}) ` : ''}${name ? `${name} – ` : ''}reeve`;
});

let drawn;
effect(() => {
  const n = connection.value.status === 'away' ? '!' : waiting.value > 9 ? '9+' : waiting.value || '';
  if (n === drawn) return;
  const first = drawn === undefined;
  drawn = n;
  if (n === '' && first) return;
  document.querySelector('link[rel=icon]').href = n === '' ? 'assets/icon.svg' : `data:image/svg+xml,${encodeURIComponent(iconWith(n))}`;
});

function iconWith(text) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#2f6fdb"/>
<path d="M8 10h9M8 16h16M8 22h12" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"/>
<circle cx="22" cy="11" r="10" fill="${text === '!' ? '#777' : '#d9480f'}"/>
<text x="22" y="16" font-family="sans-serif" font-weight="700" font-size="${String(text).length > 1 ? 12 : 15}" text-anchor="middle" fill="#fff">${text}</text></svg>`;
}

export function Shell({ children }) {
  const main = useRef();
  const { view, id } = route.value;
  useEffect(() => main.current?.querySelector('h1')?.focus({ preventScroll: true }), [view, id]);
  useKeys('Everywhere', [
    ['t', 'the town', () => go(paths.town())],
    ['i', 'the inbox', () => go(paths.inbox())],
    ['n', 'start an agent', () => mayCreate.value && go(paths.start())],
    ['T', 'light, dark, or as the system', nextTheme],
    ['?', 'these keys', () => false],
  ]);
  return (
    <>
      <a class="skip" href={location.hash || '#/'} onClick={(event) => (event.preventDefault(), main.current.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={paths.town()}>
          <img src="assets/icon.svg" alt="" width="22" height="22" />
          <b>reeve</b>
          <span class="town-name">{connection.value.town}</span>
        </a>
        <nav aria-label="Views">
          <Tab to={paths.town()} icon="town" name="Town" active={view === 'town'} />
          <Tab to={paths.inbox()} icon="inbox" name="Inbox" active={view === 'inbox'} count={waiting.value} />
          {connection.value.scope === 'admin' && <Tab to={paths.start()} icon="start" name="Start" active={view === 'start'} />}
        </nav>
        <div class="tools">
          <Pulse />
          <button type="button" class="tool" onClick={nextTheme} title={`Colours: ${theme.value}`} aria-label={`Colours: ${theme.value}`}>
            <Icon name={theme.value} />
          </button>
          <button type="button" class="tool keys-button" onClick={() => (helpShown.value = true)} aria-label="Keys" title="Keys (?)">
            ?
          </button>
          <button type="button" class="tool" onClick={signOut} aria-label="Sign out" title="Sign out">
            <Icon name="out" />
          </button>
        </div>
      </header>
      <Away />
      <Refused />
      <main ref={main} class={`view ${view}`} tabIndex={-1}>
        {children}
      </main>
      <Help />
    </>
  );
}

function Tab({ to, icon, name, active, count = 0 }) {
  return (
    <a href={to} class={`tab ${count > 0 ? 'has' : ''}`} aria-current={active ? 'page' : undefined}>
      <Icon name={icon} />
      <span>{name}</span>
      {count > 0 && (
        <span class="count">
          {count}
          <span class="hidden-words"> waiting</span>
        </span>
      )}
    </a>
  );
}

function Pulse() {
  const words = { online: 'Connected', away: 'Not connected', connecting: 'Connecting' }[connection.value.status];
  return <span class={`pulse ${connection.value.status}`} role="img" aria-label={words} title={words} />;
}

function Refused() {
  if (refusal.value === undefined) return null;
  return (
    <p class="away" role="alert">
      <span>
        <b>The link did not sign you in.</b> {refusal.value} You stay signed in as before.
      </span>
      <button type="button" onClick={() => (refusal.value = undefined)}>
        Close
      </button>
    </p>
  );
}

function Away() {
  const { status, since } = connection.value;
  if (online.value || status !== 'away') return null;
  return (
    <p class="away" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>
        <b>The daemon does not answer</b> since {clock(since)}
        <span class="ago"> ({duration(second.value - since)})</span>. The page shows what was last known, and reconnects by itself.
      </span>
    </p>
  );
}
