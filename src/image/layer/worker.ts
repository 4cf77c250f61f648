import { errno } from "../../linux/libc.ts";
import { fileCalls } from "../../linux/libc-files.ts";
import { errnoName } from "../../linux/errno.ts";
import { type FromWorker, recordError, type ToWorker } from "./messages.ts";
import { LayerPipeline } from "./pipeline.ts";

/**
 * The thread that unpacks one layer. It takes the messages of {@link ToWorker} one after the other; after a failure it
 * only waits to be told to abort. Its owner is `unpack.ts`.
 */

declare const self: Worker;

const CLONE_FS = 0x200;

let pipeline: LayerPipeline | undefined;
let queue = Promise.resolve();
let isOver = false;

self.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  // What still waits in the queue is not worth doing any more.
  if (message.kind === "abort") isOver = true;
  queue = queue.then(() => take(message)).catch(fail);
};

async function take(message: ToWorker): Promise<void> {
  if (message.kind === "abort") {
    try {
      pipeline?.[Symbol.dispose]();
    } finally {
      pipeline = undefined;
      answer({ kind: "aborted" });
    }
    return;
  }
  if (isOver) return;
  switch (message.kind) {
    case "start":
      clearUmask();
      pipeline = new LayerPipeline(message.directory, 0);
      return;
    case "write":
      await pipeline?.write(message.bytes.subarray(0, message.length));
      answer({ kind: "consumed", bytes: message.bytes }, [message.bytes.buffer]);
      return;
    case "finish": {
      const layer = await pipeline?.finish();
      if (layer !== undefined) answer({ kind: "finished", layer });
    }
  }
}

/** Modes are the image's: but the umask belongs to all threads, unless this one gets its own. unshare(2), CLONE_FS */
function clearUmask(): void {
  if (fileCalls.unshare(CLONE_FS) < 0) throw new Error(`unshare(CLONE_FS): ${errnoName(errno())}`);
  fileCalls.umask(0);
}

function fail(error: unknown): void {
  isOver = true;
  answer({ kind: "failed", error: recordError(error) });
}

function answer(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  self.postMessage(message, transfer);
}
