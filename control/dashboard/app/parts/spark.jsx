// The activity of an agent in the last minute, as bars: each is two seconds, and higher for more events (logarithmic).

import { second } from '../format.js';
import { kBuckets, kBucketMs } from '../worker/activity.js';

const kMost = 200; // events of a bar of full height

export function Spark({ spark = [] }) {
  const newest = Math.floor(second.value / kBucketMs);
  const bars = spark.filter(([bucket]) => bucket > newest - kBuckets && bucket <= newest);
  const path = bars
    .map(([bucket, n]) => {
      const height = Math.max(1.5, (Math.log1p(Math.min(n, kMost)) / Math.log1p(kMost)) * 18);
      return `M${(bucket - newest + kBuckets - 1) * 3 + 1} 20v-${height.toFixed(1)}`;
    })
    .join('');
  return (
    <svg class="spark" viewBox="0 0 90 20" preserveAspectRatio="none" aria-hidden="true">
      <path class="ground" d="M0 19.5h90" />
      <path d={path} />
    </svg>
  );
}
