import { UsageError } from "../util/errors.ts";

const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** The longest name: it is a file name in gocker's root. */
const maximumLength = 255;

/**
 * A name for a container or a volume as the user gave it; Docker's leading slash is dropped.
 * @throws UsageError it is not of the form of names
 */
export function parseName(text: string, what: "container" | "volume" = "container"): string {
  const name = what === "container" && text.startsWith("/") ? text.slice(1) : text;
  if (!isName(name)) {
    throw new UsageError(`invalid ${what} name ${JSON.stringify(text)}`, {
      hint: "a name has letters, digits, _, . and -, begins with a letter or digit, and has 2 to 255 characters",
    });
  }
  return name;
}

/** Whether a text is of the form of names. */
export function isName(text: string): boolean {
  return pattern.test(text) && text.length <= maximumLength;
}

const adjectives =
  "able agile amber ample ardent balmy blithe bold brave breezy bright brisk calm candid cheery clever cosmic " +
  "cozy crisp curious dapper daring deft eager earnest easy elated fair fearless fluent fond frank fresh " +
  "friendly gentle giddy glad golden graceful grand hardy hearty honest hopeful humble jolly jovial keen kind " +
  "lively lucid lucky mellow merry mighty mindful modest nimble noble patient placid plucky polite proud quick " +
  "quiet ready robust serene sharp silent sincere sleek smart snug solid spry stellar steady sunny swift tender " +
  "thrifty tidy tranquil trusty upbeat valiant vibrant vivid warm wise witty zesty";

const surnames =
  "abel ampere archimedes babbage backus bernoulli bohr boole bose brahe cantor cauchy celsius cerf chandra " +
  "church clarke copernicus curie dalton darwin davy dijkstra diophantus dirac engelbart erdos euclid euler " +
  "faraday fermat fermi feynman fibonacci franklin galileo galois gauss germain goedel hamilton hamming hawking " +
  "heisenberg hertz hilbert hopper hubble huygens hypatia jacobi joliot kepler kernighan khayyam knuth " +
  "kovalevskaya lagrange lamarr laplace lavoisier leibniz liskov lovelace maxwell mccarthy meitner mendel " +
  "mendeleev mirzakhani napier newton nightingale noether ohm pascal pasteur pauling perlman planck poincare " +
  "ptolemy ramanujan riemann ritchie rutherford sagan shannon tesla thompson torvalds turing volta watt wirth " +
  "wu zuse";

/** A name such as `brave_lovelace`, for a container that the user gave none. It may be taken. */
export function randomName(): string {
  return `${pick(adjectives)}_${pick(surnames)}`;
}

function pick(words: string): string {
  const list = words.split(" ");
  return list[Math.floor(Math.random() * list.length)] as string;
}
