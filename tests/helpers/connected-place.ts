import { connectContainer, releaseContainer } from "../../src/network/connect.ts";
import { type NewNetwork, NetworkStore } from "../../src/network/networks.ts";
import type { PortRequest } from "../../src/network/ports.ts";

/** What {@link connectPlace} is to do: one line of JSON, the argument of this file as a program. */
export interface PlaceWish {
  readonly root: string;
  readonly state: string;
  readonly name: string;
  readonly network: string;
  readonly ports?: readonly PortRequest[];
  /** A network that is made before, and removed while the place is waiting to be connected to it. */
  readonly removed?: NewNetwork;
}

/** Its answer, one line. */
export type PlaceAnswer =
  { readonly namespace: string; readonly address: string; readonly port: string } | { readonly problem: string };

/** A network namespace that is connected as a container's would be, without a container. */
export class ConnectedPlace implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly namespace: string;
  readonly address: string;
  /** The host's end of its device. */
  readonly port: string;

  private constructor(
    process: Bun.Subprocess<"pipe", "pipe", "inherit">,
    facts: Exclude<PlaceAnswer, { problem: string }>,
  ) {
    this.#process = process;
    this.namespace = facts.namespace;
    this.address = facts.address;
    this.port = facts.port;
  }

  /**
   * @param by how a program begins on the host whose network it is: see `NetworkNamespace.by`
   * @throws Error it cannot be connected
   */
  static async create(by: readonly string[], wish: PlaceWish): Promise<ConnectedPlace> {
    const words = [...by, process.execPath, import.meta.path, JSON.stringify(wish)];
    const child = Bun.spawn(words, { stdin: "pipe", stdout: "pipe" });
    const { value } = await child.stdout.getReader().read();
    const answer = JSON.parse(Buffer.from(value ?? []).toString() || '{"problem":"it says nothing"}') as PlaceAnswer;
    if (!("problem" in answer)) return new ConnectedPlace(child, answer);
    await child.stdin.end();
    await child.exited;
    throw new Error(answer.problem);
  }

  /** Gives back what it has. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.end();
    await this.#process.exited;
  }
}

async function connectPlace({ root, state, name, network, ports = [], removed }: PlaceWish): Promise<void> {
  const store = new NetworkStore(root, state);
  const container = { id: name.padEnd(64, "0"), name };
  const connect = () =>
    connectContainer({ store, container, requests: [{ network }], ports, warn: (text) => console.error(text) });
  try {
    await using connected = await (removed === undefined ? connect() : connectToRemoved(store, removed, connect));
    await connected.complete();
    const [attachment] = connected.endpoint.attachments;
    const answer: PlaceAnswer = {
      namespace: `/proc/${process.pid}/fd/${connected.namespace.number}`,
      address: attachment?.addresses[0]?.split("/", 1)[0] ?? "",
      port: attachment?.port ?? "",
    };
    console.log(JSON.stringify(answer));
    await Bun.stdin.text();
  } catch (error) {
    const answer: PlaceAnswer = { problem: error instanceof Error ? error.message : String(error) };
    console.log(JSON.stringify(answer));
  } finally {
    await releaseContainer(store, container.id);
  }
}

async function connectToRemoved<Connected>(
  store: NetworkStore,
  removed: NewNetwork,
  connect: () => Promise<Connected>,
): Promise<Connected> {
  const lock = await store.lockRecords();
  const record = store.add(removed);
  // What it does without waiting for the lock it does in this turn, or in a few more.
  const connecting = connect();
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
  store.remove(record);
  lock.release();
  return await connecting;
}

if (import.meta.main) await connectPlace(JSON.parse(process.argv[2] ?? "") as PlaceWish);
