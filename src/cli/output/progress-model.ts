import type { LayerProgress, ProgressEvent } from "../../image/progress.ts";

/** Where a layer stands. */
export type LayerPhase = "pending" | "waiting" | "downloading" | "unpacking" | "retrying" | "done" | "exists";

/** What is known of one layer. Bytes are those of its blob, for both deeds. */
export interface LayerState {
  readonly layer: LayerProgress;
  phase: LayerPhase;
  downloaded: number;
  unpacked: number;
}

/** The sum of a pull's layers. */
export interface ProgressTotals {
  /** Layers that are in the store, and all. */
  readonly ready: number;
  readonly layers: number;
  /** Bytes that came over the network, and all that had or have to. */
  readonly downloaded: number;
  readonly size: number;
}

/** What the events of a pull or load have told so far. It shows nothing. */
export class ProgressModel {
  readonly #states = new Map<string, LayerState>();
  #recording = false;

  /** The layers in the image's order. */
  get layers(): readonly LayerState[] {
    return [...this.#states.values()];
  }

  /** All layers are there, and are being made to last. */
  get recording(): boolean {
    return this.#recording;
  }

  /** Takes an event in; true when it changed the phase of something, not only a number. */
  apply(event: ProgressEvent): boolean {
    if (event.kind === "manifest") {
      for (const layer of event.layers) this.#state(layer);
      return true;
    }
    if (event.kind === "recording") {
      this.#recording = true;
      return true;
    }
    const state = this.#state(event.layer);
    const before = state.phase;
    state.phase = event.kind;
    if (event.kind === "downloading") state.downloaded = event.bytes;
    else if (event.kind === "unpacking") {
      state.unpacked = event.bytes;
      // A layer is unpacked while it arrives: as long as bytes are missing, it is the download that one waits for.
      if (state.downloaded < state.layer.size) state.phase = "downloading";
    } else if (event.kind === "done") {
      state.downloaded = state.layer.size;
      state.unpacked = state.layer.size;
    }
    return state.phase !== before;
  }

  totals(): ProgressTotals {
    const states = this.layers;
    const pulled = states.filter(({ phase }) => phase !== "exists");
    const sum = (list: readonly number[]) => list.reduce((total, number) => total + number, 0);
    return {
      ready: states.filter(({ phase }) => phase === "done" || phase === "exists").length,
      layers: states.length,
      downloaded: sum(pulled.map(({ downloaded }) => downloaded)),
      size: sum(pulled.map(({ layer }) => layer.size)),
    };
  }

  #state(layer: LayerProgress): LayerState {
    let state = this.#states.get(layer.digest);
    if (state === undefined) {
      state = { layer, phase: "pending", downloaded: 0, unpacked: 0 };
      this.#states.set(layer.digest, state);
    }
    return state;
  }
}
