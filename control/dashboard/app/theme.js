// The colour scheme: that of the system, or the one that the reader chose on this browser.

import { effect, signal } from '@preact/signals';

const kKey = 'reeve.theme';
const kThemes = ['auto', 'light', 'dark'];

export const theme = signal(stored());

function stored() {
  const text = localStorage.getItem(kKey);
  return kThemes.includes(text) ? text : 'auto';
}

export function nextTheme() {
  theme.value = kThemes[(kThemes.indexOf(theme.value) + 1) % kThemes.length];
  localStorage.setItem(kKey, theme.value);
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
