// The activity of an agent: its events, counted in buckets of time.

export const kBucketMs = 2000;
export const kBuckets = 30;
