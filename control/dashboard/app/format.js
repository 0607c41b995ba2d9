// Numbers, times and durations for people.

import { signal } from '@preact/signals';

export const second = signal(Date.now()); // grows once a second while the page is seen
setInterval(() => document.hidden || (second.value = Date.now()), 1000);
document.addEventListener('visibilitychange', () => document.hidden || (second.value = Date.now()));

// "8s", "3m 20s", "2h 05m", "3d 4h"
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m}m ${String(s % 60).padStart(2, '0')}s`;
  const h = Math.floor(m / 60);
  if (h < 24) return `${h}h ${String(m % 60).padStart(2, '0')}m`;
  return `${Math.floor(h / 24)}d ${h % 24}h`;
}

// "840", "12.3k", "4.1M"
export function count(n) {
  if (n < 1000) return String(n);
  if (n < 999_500) return `${(n / 1000).toFixed(n < 99_950 ? 1 : 0)}k`;
  return `${(n / 1_000_000).toFixed(1)}M`;
}

export function money(usd) {
  return usd < 0.01 ? '<$0.01' : `$${usd.toFixed(2)}`;
}

// "512 KB", "96 MB", "1.4 GB"
export function bytes(n) {
  if (n < 1024 * 1024) return `${Math.round(n / 1024)} KB`;
  if (n < 1000 * 1024 * 1024) return `${Math.round(n / 1024 / 1024)} MB`;
  return `${(n / 1024 / 1024 / 1024).toFixed(1)} GB`;
}

const kClock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const kDay = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

// The time of day, with the date unless it is today.
export function clock(time) {
  const date = new Date(time);
  return (date.toDateString() === new Date().toDateString() ? kClock : kDay).format(date);
}
