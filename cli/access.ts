import type { KubeConfig } from '@kubernetes/client-node';
import { Agent } from 'undici';
import { sendThrough, type Send } from '../mcp/http.ts';
import { CommandError, ExitCode } from './exit.ts';

export interface AccessOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** One cluster with our credentials for it. */
export interface Access extends AsyncDisposable {
  readonly server: URL;
  /** Namespace of the context. */
  readonly namespace: string;
  /** Sends to addresses below `server`, with our credentials. */
  readonly send: Send;
}

/**
 * The cluster of a kubeconfig, found as kubectl finds it: the file given, `KUBECONFIG`, `~/.kube/config`, the ServiceAccount of the pod. Client
 * certificates, tokens, exec plugins, OIDC and proxies are the client library's work; it is loaded here, once it is needed.
 */
export async function access(options: AccessOptions): Promise<Access> {
  const { HttpMethod, KubeConfig, RequestContext } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  load(config, options);
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new CommandError(
      ExitCode.Usage,
      `the kubeconfig names no cluster for context "${config.currentContext}"; choose one with --context`,
    );
  const server = new URL(cluster.server);
  // What the library takes where no kubeconfig is; kubectl's old default, which nobody means.
  if (cluster.server === 'http://localhost:8080' && config.currentContext === 'loaded-context') {
    throw new CommandError(ExitCode.Usage, 'there is no kubeconfig: set KUBECONFIG, or name one with --kubeconfig');
  }
  // The library refuses plain HTTP (kubectl proxy) unless told not to look for certificates, of which there are none.
  if (server.protocol === 'http:') config.clusters = config.clusters.map((entry) => ({ ...entry, skipTLSVerify: true }));
  const request = new RequestContext(server.href, HttpMethod.GET);
  try {
    await config.applySecurityAuthentication(request);
  } catch (error) {
    throw new CommandError(
      ExitCode.Refused,
      `no credentials for cluster ${cluster.name}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const headers = Object.fromEntries(Object.entries(request.getHeaders()).map(([name, value]) => [name.toLowerCase(), value]));
  const dispatcher = request.getDispatcher() ?? new Agent();
  const send = sendThrough(dispatcher);
  return {
    server,
    namespace: config.getContextObject(config.currentContext)?.namespace ?? 'default',
    send: (call) => send({ ...call, headers: { ...call.headers, ...headers } }),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  };
}

function load(config: KubeConfig, { kubeconfig, context }: AccessOptions): void {
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new CommandError(ExitCode.Usage, `the kubeconfig cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  if (context === undefined) return;
  if (config.getContextObject(context) === null) throw new CommandError(ExitCode.Usage, `the kubeconfig has no context "${context}"`);
  config.setCurrentContext(context);
}
