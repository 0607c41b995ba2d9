// Notifications of the browser: a question that comes while no tab of the dashboard is seen. Where the browser has none, or
// the person wants none, the title and the icon of the tab tell it alone.

import { effect, signal } from '@preact/signals';

import { connection } from '../connection.js';
import { gistOf, plain } from '../worker/words.js';
import { known, nameOf, questions } from '../town.js';

export const mayNotify = signal('Notification' in globalThis && isSecureContext ? Notification.permission : 'denied');

export async function askToNotify() {
  mayNotify.value = await Notification.requestPermission();
}

const keyOf = ({ agent, id, requested_at }) => `${agent}/${id}/${requested_at}`;
let seen; // the questions that were there before

effect(() => {
  if (!known.value || connection.value.status === 'signed_out') return;
  const asks = questions.value;
  const fresh = seen === undefined ? [] : asks.filter((ask) => !seen.has(keyOf(ask)));
  seen = new Set(asks.map(keyOf));
  navigator.setAppBadge?.(asks.length).catch(() => {});
  if (mayNotify.value === 'granted' && document.hidden) fresh.forEach(notify);
});

// All tabs say the same: by its tag it is one notification.
function notify(ask) {
  try {
    const body = plain(ask.kind === 'elicitation' ? ask.message : `${ask.tool ?? 'tool'}: ${gistOf(ask.input)}`);
    const note = new Notification(`${nameOf(ask.agent)} waits for you`, { body, tag: keyOf(ask), icon: 'assets/icon.svg' });
    note.onclick = () => {
      window.focus();
      location.hash = '#/inbox';
      note.close();
    };
  } catch {
    mayNotify.value = 'denied'; // browsers of phones have notifications for service workers only
  }
}
