/** Where the endpoints of containers are on record; by itself, as every container's end looks there. */
export function endpointDirectory(state: string): string {
  return `${state}/networks/endpoints`;
}

export const endpointSuffix = ".json";

/** That of one container: it is there as long as the container has anything of a network. */
export function endpointPath(state: string, container: string): string {
  return `${endpointDirectory(state)}/${container}${endpointSuffix}`;
}
