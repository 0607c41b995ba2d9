// The state of an agent at a glance: an icon and a word. The words tell it without colours.

import { online } from '../connection.js';
import { Icon } from './icon.jsx';

export function Badge({ look, short = false }) {
  return (
    <span class={`badge ${look.tone} ${look.key}`} data-state={look.key} data-away={online.value ? undefined : 'true'}>
      <Icon name={look.key} />
      <span class="word">{look.label}</span>
      {look.detail && !short && <span class="detail">{look.detail}</span>}
    </span>
  );
}
