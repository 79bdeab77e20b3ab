type Stop = () => Promise<void>;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const stops = new Set<Stop>();

/**
 * From now on, Ctrl-C and the like stop what `stop` stops before they end this process. A program with handlers of its own is not
 * ended: it decides itself.
 *
 * @returns takes it back
 */
export function stopOnSignal(stop: Stop): () => void {
  if (stops.size === 0) {
    for (const name of SIGNALS) {
      process.on(name, handle);
    }
  }
  stops.add(stop);
  return () => {
    stops.delete(stop);
    if (stops.size === 0) {
      unlisten();
    }
  };
}

function handle(name: NodeJS.Signals): void {
  const running = [...stops];
  stops.clear();
  unlisten();
  void Promise.allSettled(running.map((stop) => stop())).then(() => {
    if (process.listenerCount(name) === 0) {
      process.kill(process.pid, name);
    }
  });
}

function unlisten(): void {
  for (const name of SIGNALS) {
    process.off(name, handle);
  }
}
