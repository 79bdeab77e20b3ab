import { printable } from '../mcp/excerpt.ts';
import { isObject, type Json, type JsonObject } from '../mcp/jsonrpc.ts';

/** The result of a tool as text: texts as they are, other content named; the structured content where there is no other. Ends with a line break. */
export function contentText(result: JsonObject): string {
  const content = Array.isArray(result['content']) ? (result['content'] as readonly Json[]) : [];
  const structured = result['structuredContent'];
  const parts = content.length === 0 && structured !== undefined ? [JSON.stringify(structured, undefined, 2)] : content.map(partText);
  return parts.map((part) => (part.endsWith('\n') ? part : `${part}\n`)).join('');
}

function partText(part: Json): string {
  if (!isObject(part)) return '[content of an unknown form]';
  const { type, text, data, mimeType, uri, name, resource } = part;
  if (type === 'text' && typeof text === 'string') return text;
  if ((type === 'image' || type === 'audio') && typeof data === 'string')
    return `[${type} ${words(mimeType)}, ${Math.floor((data.length * 3) / 4)} bytes]`;
  if (type === 'resource_link') return `[${words(name)}: ${words(uri)}]`;
  if (type === 'resource' && isObject(resource))
    return typeof resource['text'] === 'string' ? resource['text'] : `[resource ${words(resource['uri'])}]`;
  return `[content of type ${words(type)}]`;
}

function words(value: Json | undefined): string {
  return typeof value === 'string' ? printable(value, 200) : 'unknown';
}
