/**
 * A value as SEP-2243 puts it into `Mcp-Name` and `Mcp-Param-…`: as it is where visible ASCII and inner spaces suffice, otherwise
 * `=?base64?…?=` over UTF-8; also what only looks like that form.
 */
export function headerValue(value: string): string {
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?.*\?=$/i.test(value);
  return plain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}
