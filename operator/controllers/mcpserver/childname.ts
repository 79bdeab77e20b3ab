import { guardNames } from '../../../api/group.ts';
import type { ObjectName } from '../../kube/object.ts';
import { ownerOfClusterName } from './names.ts';
import { isToolList } from './tools.ts';

/**
 * Whether an object has the name and place of what is generated for a server. What carries the labels and annotations of a child elsewhere is somebody's copy
 * of it.
 */
export function isNameOfChild({ namespace, name }: ObjectName, server: ObjectName): boolean {
  if (namespace === server.namespace) {
    if (name === server.name || name === guardNames(server.name).policy || isToolList(server.name, name)) return true;
    // A binding to a ClusterRole has that name appended.
    if (name.startsWith(`${server.name}:`)) return true;
  }
  const owner = ownerOfClusterName(name);
  return owner !== undefined && owner.namespace === server.namespace && owner.name === server.name;
}
