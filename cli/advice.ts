import type { Condition } from './server.ts';

/** What to do, by the reason of a condition that is not True. Messages say what happened; this says who does what next. SERVER is its name. */
const advice: Readonly<Record<string, string>> = {
  InvalidSpec: 'Correct the field that the message names and apply the MCPServer again.',
  ReferenceNotFound: 'Create the object that the message names, or correct its name. The server goes on by itself once it exists.',
  NameConflict:
    'Rename the MCPServer, or delete the object of that name if nobody needs it. The operator never touches what is not its own.',
  AccessNotGrantable:
    'Ask for less in spec.kubernetesAccess, or let a cluster administrator add the rule to a ClusterRole labelled mcp-fleet.dev/grantable=true.',
  ProtectedField: 'Remove the field that the message names from spec.podTemplate, labels or annotations.',
  GuardRequired: 'Set spec.guard.enabled: true, or remove the fields that the message names.',
  Pending:
    'Wait a moment. If it stays like this, see whether the operator runs: kubectl get deployments -A -l app.kubernetes.io/part-of=mcp-fleet.',
  Progressing: 'Wait: pods are starting. mcp-fleet tree SERVER shows which one is waiting for what.',
  ImagePullFailed:
    'Correct the image name or tag, or add the registry credentials to spec.imagePullSecrets. If it is the image of container guard or shim, or of a package, a cluster administrator names one that nodes can pull: flags --guard-image, --npm-image, --pypi-image of the operator.',
  CrashLooping:
    'Read the end of the log: mcp-fleet logs SERVER --previous. Often a variable, a writable directory or a command is missing.',
  CreateContainerFailed: 'Create the Secret, ConfigMap or key that the message names, or correct the command.',
  MountFailed: 'Create the Secret, ConfigMap, key or volume that the message names. The kubelet tries again by itself.',
  ServerNotAnswering:
    'Read what condition Verified says and what the server prints (mcp-fleet logs SERVER); make spec.transport (type, port, path) what it says there. A server that got stuck goes on after mcp-fleet restart SERVER.',
  Unschedulable: 'Give the cluster a node that fits, or ask for less in spec.resources and spec.scheduling.',
  ProgressDeadlineExceeded:
    'Find the pod that does not become ready with mcp-fleet tree SERVER, mend the cause and change the spec, or run mcp-fleet restart SERVER.',
  QuotaExceeded: 'Raise the ResourceQuota or LimitRange of the namespace, or ask for less in spec.resources and spec.replicas.',
  HandshakeFailed: 'The server speaks MCP and refuses: read what it says, and its log with mcp-fleet logs SERVER.',
  ProtocolError:
    'What answers is not MCP, or fails before it comes to that: compare spec.transport (type, port, path), or the address in spec.remote or spec.service, with what the server prints at start (mcp-fleet logs SERVER).',
  Timeout:
    'See whether the server is stuck (mcp-fleet logs SERVER), whether a NetworkPolicy drops packets, and raise spec.verification.timeout if it is just slow.',
  ConnectionRefused:
    'Set spec.transport.port to the port that the server listens on (mcp-fleet logs SERVER often shows it). One that listens on 127.0.0.1 alone needs spec.transport.bind: Loopback, or without a guard has to listen on all interfaces. For spec.remote and spec.service: correct the address, or open the way to it in spec.network.egress.',
  RequiredToolMissing: 'Configure the server so that it offers the tool, or remove it from spec.verification.requiredTools.',
  TunnelDisconnected: 'Nothing can be done in this release: it has no tunnels.',
  GuardBehind:
    'Wait a moment. If it stays like this, a cluster administrator sees whether the kubelet works on the nodes of the pods: kubectl get pods -l mcp-fleet.dev/server=SERVER -o wide.',
  InvalidPolicy: 'Correct the MCPToolPolicy that the message names.',
  BundleTooLarge: 'Shorten the MCPToolPolicies or pins that the message names.',
  PolicyMissing:
    'Create an MCPToolPolicy that selects this server (mcp-fleet policy init SERVER drafts one), or set spec.policy.required: false.',
  PinsMissing:
    'Restore the ConfigMap with the pins from your repository, or look at the tools and trust them: mcp-fleet tools approve SERVER.',
  KeysMissing:
    'Correct issuer or jwksURI in spec.authentication.jwt, or give the keys in a ConfigMap. If the issuer has a private address, a cluster administrator names it in the flag --private-issuers of the operator.',
  NotEnforced:
    'If the guard is off: set spec.guard.enabled: true, or let the author of the policy no longer select this server. If the message names a ConfigMap: correct the spec, and the operator makes it again.',
  RouteNotAccepted: 'See what the Gateway says about the HTTPRoute: mcp-fleet tree SERVER, kubectl describe httproute.',
  GatewayAPINotInstalled: 'Install the Gateway API, or use spec.expose.ingress. The route appears by itself once the API is there.',
};

/** `undefined` for a condition that is as it should be, and for reasons of newer operators. */
export function adviceFor(server: string, { status, reason, type }: Pick<Condition, 'status' | 'reason' | 'type'>): string | undefined {
  if (status === 'True' && type !== 'Stalled') return undefined;
  return Object.hasOwn(advice, reason) ? advice[reason]?.replaceAll('SERVER', server) : undefined;
}
