import { conformance, type Requirements } from '../../../guard/testing/suite.ts';

/** `node suite.mjs URL 2025-11-25|2026-07-28`: the status of every check of the official conformance suite, as JSON. */
const [url = '', requirements] = process.argv.slice(2);
process.stdout.write(JSON.stringify([...(await conformance(url, requirements as Requirements))]));
