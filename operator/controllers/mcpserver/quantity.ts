const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'] as const;
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;
const NANO = 1_000_000_000n;
const QUANTITY = /^\+?(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/;

/**
 * A quantity as the API server writes it back: `1000m` is `1`, `0.5Gi` is `512Mi`, `1` is `"1"`. Without that a wish would never equal what is
 * stored. Follows `CanonicalizeBytes` of apimachinery; what is not understood comes back as it is.
 */
export function canonicalQuantity(quantity: number | string): string {
  const text = String(quantity);
  const match = QUANTITY.exec(text);
  const [, whole = '', fraction = '', suffix = ''] = match ?? [];
  if (match === null || (whole === '' && fraction === '') || /^[eE][+-]?\d/.test(suffix)) return text;
  const binary = suffix.endsWith('i');
  const nanos = scaled(BigInt(whole + fraction), fraction.length, suffix, binary);
  if (nanos === 0n) return '0';
  return (binary && nanos >= 1024n * NANO && nanos % NANO === 0n ? binaryForm(nanos / NANO) : undefined) ?? decimalForm(nanos);
}

/** In billionths, rounded up as Kubernetes does. */
function scaled(digits: bigint, decimals: number, suffix: string, binary: boolean): bigint {
  const power = binary ? BINARY.indexOf(suffix as (typeof BINARY)[number]) : DECIMAL.indexOf(suffix as (typeof DECIMAL)[number]);
  const value = binary ? digits * 1024n ** BigInt(power) * NANO : digits * 1000n ** BigInt(power);
  const divisor = 10n ** BigInt(decimals);
  return (value + divisor - 1n) / divisor;
}

function binaryForm(value: bigint): string {
  let power = 0;
  let rest = value;
  while (rest % 1024n === 0n && power < BINARY.length - 1) {
    rest /= 1024n;
    power++;
  }
  return `${rest}${BINARY[power]}`;
}

function decimalForm(nanos: bigint): string {
  let power = 0;
  let rest = nanos;
  while (rest % 1000n === 0n && power < DECIMAL.length - 1) {
    rest /= 1000n;
    power++;
  }
  return `${rest}${DECIMAL[power]}`;
}
