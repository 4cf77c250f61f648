import type { DbusMessage } from "../../src/linux/dbus/message.ts";
import { type DbusAnswer, DbusServer } from "./dbus-server.ts";

const object = { path: "/org/freedesktop/systemd1", interface: "org.freedesktop.systemd1.Manager" };
/** Of systemd's for a name that it does not know. */
export const noSuchUnit: DbusAnswer = {
  errorName: "org.freedesktop.systemd1.NoSuchUnit",
  signature: "s",
  body: ["Unit a.scope not loaded."],
};

function removed(result: string, path = "/job/1"): Omit<DbusMessage, "type" | "serial"> {
  return { ...object, member: "JobRemoved", signature: "uoss", body: [1, path, "a.scope", result] };
}

/** A job's answer, and the news of its end before or after it. */
export function job(result: string, when: "signals" | "later" = "later"): DbusAnswer {
  return { signature: "o", body: ["/job/1"], [when]: [removed("done", "/job/0"), removed(result)] };
}

/** systemd with an answer for each method, or a list of one answer after the other, or what to do and answer. */
export function fakeSystemd(
  answers: Record<string, DbusAnswer | DbusAnswer[] | ((call: DbusMessage) => DbusAnswer)>,
): DbusServer {
  return new DbusServer((call) => {
    const answer = answers[call.member ?? ""];
    if (typeof answer === "function") return answer(call);
    return Array.isArray(answer) ? answer.shift() : answer;
  });
}
