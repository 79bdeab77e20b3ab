import { CLIENTS_IMAGE, PYTHON_CLIENT_IMAGE } from './images/clients.ts';
import type { Kubectl } from './kubectl.ts';

/** Runs a command in a pod with clients, from where servers have the names of their Services. Gives its standard output. */
export type InClientPod = (command: readonly [string, ...string[]]) => Promise<string>;

const IMAGES = { typescript: CLIENTS_IMAGE, python: PYTHON_CLIENT_IMAGE } as const;

/** Starts a pod with official clients in a namespace; it goes with the namespace. */
export async function clientPod(kubectl: Kubectl, namespace: string, language: keyof typeof IMAGES): Promise<InClientPod> {
  const name = `clients-${language}`;
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'clients',
          image: IMAGES[language],
          imagePullPolicy: 'IfNotPresent',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true },
          volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
        },
      ],
      volumes: [{ name: 'tmp', emptyDir: {} }],
    },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(pod));
  await kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '-n', namespace, '--timeout=120s']);
  return (command) => kubectl(['exec', name, '-n', namespace, '--', ...command]);
}
