import type { MCPServerSpec } from '../../../api/mcpserver.ts';
import type { PackageWorkload } from '../../../api/workload.ts';
import type { Container } from '../../kube/wire.ts';
import type { ChildSettings } from './input.ts';
import { INSTALL_CONTAINER } from './poddiagnosis.ts';
import { securityContext } from './security.ts';
import { PACKAGE_PATH, PACKAGE_VOLUME } from './volumes.ts';

/** What the installer leaves for the server's container: the program, under a name that does not depend on the package. */
export const PACKAGE_PROGRAM = `${PACKAGE_PATH}/run`;

/** Written last: a pod whose sandbox is made anew runs its init containers again and finds everything there. */
const DONE = `${PACKAGE_PATH}/.installed`;

/** On the volume of the package, which is large; the server's /tmp is not, and a cache would only be baggage afterwards. */
const SCRATCH = `${PACKAGE_PATH}/.tmp`;
const scratch = [
  { name: 'HOME', value: SCRATCH },
  { name: 'TMPDIR', value: SCRATCH },
];

/** Only one exact package belongs to a pod, so a half-finished attempt is simply thrown away. */
const preamble = `set -eu
if [ -e ${DONE} ]; then echo "$PACKAGE is installed"; exit 0; fi
rm -rf ${PACKAGE_PATH}/* "$TMPDIR"
mkdir -p "$TMPDIR"
echo "installing $PACKAGE"`;

const conclusion = `rm -rf "$TMPDIR"
: > ${DONE}`;

/** npm's own rule for `npx`: the only program, or the one that is called like the package without its scope. */
const npmProgram = [
  `const root = process.argv[1] + '/node_modules/' + process.argv[2];`,
  `const { bin, name } = require(root + '/package.json');`,
  `const base = name.split('/').pop();`,
  `const programs = typeof bin === 'string' ? { [base]: bin } : bin ?? {};`,
  `const names = Object.keys(programs);`,
  `const chosen = names.length === 1 ? names[0] : names.find((each) => each === base);`,
  `if (chosen === undefined) { console.error(name + (names.length === 0 ? ' has no program (bin)' : ' has several programs, none of which is called ' + base + ': ' + names.join(', '))); process.exit(1); }`,
  `const target = require('node:path').resolve(root, programs[chosen]);`,
  `require('node:fs').chmodSync(target, 0o755);`,
  `require('node:fs').symlinkSync(target, process.argv[1] + '/run');`,
].join(' ');

const npmScript = `${preamble}
cd ${PACKAGE_PATH}
npm install --prefix ${PACKAGE_PATH} --no-audit --no-fund --no-update-notifier --omit=dev --loglevel=error -- "$PACKAGE"
node -e "$CHOOSE_PROGRAM" ${PACKAGE_PATH} "$PACKAGE_NAME"
${conclusion}`;

/** With uv where the image has it, otherwise with the venv and pip of Python itself. */
const pypiScript = `${preamble}
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet ${PACKAGE_PATH}/venv
  uv pip install --quiet --no-cache --python ${PACKAGE_PATH}/venv/bin/python -- "$PACKAGE"
else
  python3 -m venv ${PACKAGE_PATH}/venv
  if [ -n "\${UV_INDEX_URL:-}" ]; then export PIP_INDEX_URL="$UV_INDEX_URL"; fi
  ${PACKAGE_PATH}/venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check -- "$PACKAGE"
fi
if [ ! -x "${PACKAGE_PATH}/venv/bin/$PROGRAM" ]; then
  echo "$PACKAGE has no console script $PROGRAM; set package.pypi.entrypoint to one of:" >&2
  ls ${PACKAGE_PATH}/venv/bin >&2
  exit 1
fi
ln -s "${PACKAGE_PATH}/venv/bin/$PROGRAM" ${PACKAGE_PROGRAM}
${conclusion}`;

type Env = NonNullable<Container['env']>;

/** The init container that installs a package into its volume. It gets the server's environment, so that private registries work. */
export function installer(
  spec: MCPServerSpec,
  workload: PackageWorkload,
  settings: ChildSettings,
  resources: NonNullable<Container['resources']>,
): Container {
  const { script, env } = workload.npm === undefined ? pypi(workload, settings) : npm(workload, settings);
  const given = spec.env ?? [];
  const named = new Set(given.map(({ name }) => name));
  return {
    name: INSTALL_CONTAINER,
    image: runnerImage(workload, settings),
    ...(workload.imagePullPolicy !== undefined && { imagePullPolicy: workload.imagePullPolicy }),
    command: ['/bin/sh', '-c', script],
    // What the script itself needs cannot be overridden; a registry can.
    env: [
      ...env.filter(({ name, value }) => value !== undefined && !(overridable.has(name) && named.has(name))),
      ...given.filter(({ name }) => overridable.has(name) || !env.some((own) => own.name === name)),
    ] as Env,
    ...(spec.envFrom !== undefined && spec.envFrom.length > 0 && { envFrom: spec.envFrom }),
    resources,
    securityContext: securityContext(spec),
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [{ name: PACKAGE_VOLUME, mountPath: PACKAGE_PATH }],
  };
}

export const runnerImage = ({ image, npm: npmPackage }: PackageWorkload, { runnerImages }: ChildSettings): string =>
  image ?? (npmPackage === undefined ? runnerImages.pypi : runnerImages.npm);

/** Names of variables that `spec.env` may give itself. */
const overridable = new Set(['NPM_CONFIG_REGISTRY', 'UV_INDEX_URL']);

interface Plan {
  readonly script: string;
  readonly env: readonly { readonly name: string; readonly value: string | undefined }[];
}

const npm = ({ npm: asked }: PackageWorkload, { registries }: ChildSettings): Plan => ({
  script: npmScript,
  env: [
    { name: 'PACKAGE', value: `${asked?.name}@${asked?.version}` },
    { name: 'PACKAGE_NAME', value: asked?.name },
    { name: 'CHOOSE_PROGRAM', value: npmProgram },
    { name: 'NPM_CONFIG_CACHE', value: `${SCRATCH}/npm` },
    ...scratch,
    { name: 'NPM_CONFIG_REGISTRY', value: registries.npm },
  ],
});

const pypi = ({ pypi: asked }: PackageWorkload, { registries }: ChildSettings): Plan => ({
  script: pypiScript,
  env: [
    { name: 'PACKAGE', value: `${asked?.name}==${asked?.version}` },
    { name: 'PROGRAM', value: asked?.entrypoint ?? asked?.name.replace(/\[.*$/, '') },
    ...scratch,
    { name: 'UV_INDEX_URL', value: registries.pypi },
  ],
});
