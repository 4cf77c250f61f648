import {
  type ContainerPath,
  copyFromContainer,
  type CopyOptions,
  copyToContainer,
  packFromContainer,
  unpackToContainer,
} from "../../engine/copy.ts";
import { readSome } from "../../linux/fd.ts";
import { isTerminal } from "../../linux/terminal.ts";
import { UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { harmless } from "../output/style.ts";
import { formatSize } from "../output/units.ts";
import { writeError, writeOutput } from "../output/write.ts";

const [standardInput, standardOutput, standardError] = [0, 1, 2];

export const cpCommand = command({
  meta: {
    name: "cp",
    description: "Copy files into a container, or out of it",
    usage: "[OPTIONS] CONTAINER:PATH PATH | PATH CONTAINER:PATH",
    operands: { minimum: 2, maximum: 2 },
    notes: [
      {
        heading: "Paths",
        text:
          "What is copied goes into a directory that is there, under its own name, or becomes the path, whose parent must " +
          "be there. DIR/. stands for what is in a directory. - is a tar archive: on standard output, or on standard " +
          "input to be unpacked into a directory. A path of this machine that has a colon begins with / or ./",
      },
      {
        heading: "Owners",
        text:
          "Copies belong to root in a container, and to you outside; set-user-ID bits, capabilities and devices are left " +
          "behind. With -a all that is kept. An archive always has the owners, and they are taken from it. Directories " +
          "that are there already stay as they are.",
      },
      {
        heading: "Which files",
        text:
          "Of a container that runs, what its processes see, volumes included; nothing of /proc and /sys. Of one that " +
          "does not run, its image, its changes and its volumes.",
      },
    ],
    examples: [
      { words: "gocker cp web:/etc/nginx .", does: "A directory" },
      { words: "gocker cp site/. web:/srv/www", does: "What is in a directory" },
      { words: "gocker cp web:/var/log - | tar t", does: "As an archive" },
    ],
  },
  flags: {
    archive: { type: "boolean", alias: "a", description: "Keep owners and all that goes with them" },
    "follow-link": { type: "boolean", alias: "L", description: "Copy what a link leads to, where the path is one" },
    quiet: { type: "boolean", alias: "q", description: "Do not tell what was copied" },
  },
  async run({ flags, operands, everywhere }) {
    const [from = "", to = ""] = operands;
    const source = parsePath(from);
    const target = parsePath(to);
    const leftOut: string[] = [];
    const options: CopyOptions = {
      archive: flags.archive,
      followLink: flags["follow-link"],
      onLeftOut: (what) => leftOut.push(what),
    };
    if (typeof source === "string" && typeof target === "string") throw noContainer(from, to);
    if (typeof source !== "string" && typeof target !== "string") {
      throw new UsageError("cp copies into a container or out of one, not from one to another", {
        hint: `gocker cp ${from} - | gocker cp - ${to}`,
      });
    }
    const context = openEngine(everywhere);
    let bytes: bigint | undefined;
    if (typeof source === "string") {
      const into = target as ContainerPath;
      if (source !== "-") bytes = await copyToContainer(context, absolute(source), into, options);
      else bytes = await unpackToContainer(context, archiveOfInput(), into);
    } else if (target !== "-") {
      bytes = await copyFromContainer(context, source, absolute(target as string), options);
    } else {
      if (isTerminal(standardOutput)) {
        throw new UsageError("an archive is nothing for a terminal", { hint: "send it into a file or a pipe" });
      }
      await packFromContainer(context, source, writeOutput, options);
    }
    if (leftOut.length > 0) writeError(leftOutWarning(leftOut));
    if (bytes !== undefined && !flags.quiet && isTerminal(standardError)) {
      writeError(`Copied ${formatSize(Number(bytes))} to ${harmless(to)}\n`);
    }
    return 0;
  },
});

/** `CONTAINER:PATH`, or a path of the host: one that begins with `/` or `.` is that whatever is in it. */
function parsePath(text: string): ContainerPath | string {
  if (text === "") throw new UsageError("cp: a path is empty");
  const colon = text.indexOf(":");
  if (text.startsWith("/") || text.startsWith(".") || colon < 0) return text;
  const container = text.slice(0, colon);
  if (container === "") throw new UsageError(`cp: ${JSON.stringify(text)} names no container`);
  return { container, path: text.slice(colon + 1) };
}

function noContainer(from: string, to: string): UsageError {
  return new UsageError(`cp: neither ${JSON.stringify(from)} nor ${JSON.stringify(to)} is of a container`, {
    hint: "a container's path is written NAME:PATH",
  });
}

/** By its words only, and with what it ends in: links and slashes mean something. */
function absolute(path: string): string {
  return path.startsWith("/") ? path : `${process.cwd()}/${path}`;
}

/** @throws UsageError standard input is a terminal */
function archiveOfInput(): Iterable<Uint8Array> {
  if (isTerminal(standardInput)) {
    throw new UsageError("cp - needs an archive, and standard input is a terminal", {
      hint: "write: tar c FILES | gocker cp - NAME:PATH",
    });
  }
  return chunksOf(standardInput);
}

function* chunksOf(descriptor: number): Generator<Uint8Array> {
  const buffer = new Uint8Array(256 * 1024);
  for (;;) {
    const chunk = readSome(descriptor, buffer);
    if (chunk.length === 0) return;
    yield chunk;
  }
}

function leftOutWarning(what: readonly string[]): string {
  const shown = what.slice(0, 5).map((one) => harmless(one));
  const more = what.length > shown.length ? ` and ${what.length - shown.length} more` : "";
  return `gocker: warning: left out: ${shown.join(", ")}${more} (-a copies devices)\n`;
}
