/** What the Dockerfile gives every program in the image, but for source maps, which each program here has or has not as in its pod. */
export const IMAGE_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '131072',
  NODE_OPTIONS: '--max-old-space-size-percentage=70 --max-semi-space-size=4',
} as const;
