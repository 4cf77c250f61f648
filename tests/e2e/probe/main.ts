/** A program for tests/e2e/binary-environment.test.ts: says what it sees of its environment, and uses the network. */
const [role = "", argument = ""] = process.argv.slice(2);
let answer: unknown = "ran";
if (role === "fetch") {
  try {
    const response = await fetch(argument, { headers: { Authorization: "Bearer secret" } });
    answer = { status: response.status };
  } catch (error) {
    answer = { error: error instanceof Error ? ((error as { code?: string }).code ?? error.message) : String(error) };
  }
} else if (role === "import") {
  try {
    answer = await import(argument);
  } catch (error) {
    answer = { error: error instanceof Error ? error.name : String(error) };
  }
} else if (role === "worker") {
  const worker = new Worker("/$bunfs/root/probe/echo-worker.js");
  answer = await new Promise((resolve, reject) => {
    worker.onmessage = (event: MessageEvent<unknown>) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage("ping");
  });
  worker.terminate();
} else if (role === "lazy") {
  const { lazy } = await import("./lazy.ts");
  answer = lazy;
}
console.log(JSON.stringify({ answer, variable: process.env["FROM_DOTENV"] ?? null }));
