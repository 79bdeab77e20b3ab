/** User and password of a URL, up to the last `@` of its authority. */
const userInfo = /\/\/[^\s/"'`<>]+@/g;

/** Only what is assigned: "password required" shall stay readable. */
const assigned = /((?:token|key|password|secret)["']?\s*[:=]\s*["']?)[-\w.~+/=]{8,}/gi;

/** Authorization schemes. Base64 has digits or capitals, "basic authentication" has not. */
const bearer = /\b(bearer\s+)[-\w.~+/=]{8,}/gi;
const basic = /\b([Bb]asic|BASIC|[Tt]oken)(\s+)(?=[a-z+/=_.~-]*[A-Z0-9])[-\w.~+/=]{8,}/g;

/** GitHub, OpenAI and its likes, Slack, AWS. */
const wellKnown = /\b(?:gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|sk-[\w-]{16,}|xox[abeprs]-[\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{16})/g;

/** Three parts, or the five of an encrypted one. The look-behind keeps it linear: each run of characters is begun once. */
const jwt = /(?<![\w-])eyJ[\w-]+(?:\.[\w-]*){2,4}/g;

/**
 * `text` without what looks like a credential: `//[redacted]@host`, `API_KEY=[redacted]`, `Bearer [redacted]`. Whoever may read a status or an event need
 * not be allowed to read logs or configuration. Takes time linear in the length, whatever the text is; cut afterwards, since half a secret is still one.
 */
export function withoutCredentials(text: string): string {
  return text
    .replaceAll(userInfo, '//[redacted]@')
    .replaceAll(assigned, '$1[redacted]')
    .replaceAll(bearer, '$1[redacted]')
    .replaceAll(basic, '$1$2[redacted]')
    .replaceAll(wellKnown, '[redacted]')
    .replaceAll(jwt, '[redacted]');
}
