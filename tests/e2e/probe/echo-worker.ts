import { lazy } from "./lazy.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<string>) => self.postMessage(`${event.data}: ${lazy}`);
