import { returnValue } from "./actions.ts";
import type { Condition } from "./conditions.ts";
import type { Decision, Rules } from "./rules.ts";

/**
 * The calls of i386 that older programs make through another one: that one's first argument says which is meant.
 * linux/net.h (SYS_*), linux/ipc.h
 */
const multiplexers: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  socketcall: {
    socket: 1,
    bind: 2,
    connect: 3,
    listen: 4,
    accept: 5,
    getsockname: 6,
    getpeername: 7,
    socketpair: 8,
    send: 9,
    recv: 10,
    sendto: 11,
    recvfrom: 12,
    shutdown: 13,
    setsockopt: 14,
    getsockopt: 15,
    sendmsg: 16,
    recvmsg: 17,
    accept4: 18,
    recvmmsg: 19,
    sendmmsg: 20,
  },
  ipc: {
    semop: 1,
    semget: 2,
    semctl: 3,
    semtimedop: 4,
    msgsnd: 11,
    msgrcv: 12,
    msgget: 13,
    msgctl: 14,
    shmat: 21,
    shmdt: 22,
    shmget: 23,
    shmctl: 24,
  },
};

const allow = returnValue("SCMP_ACT_ALLOW", undefined);

/**
 * What i386's `socketcall` and `ipc` do: what the profile says of them, else what it says of the call that is meant, as
 * libseccomp does; or a profile that forbids `socket` would leave `socketcall(SYS_SOCKET)`.
 */
export function multiplexedDecisions(rules: Rules): Map<string, Decision> {
  const result = new Map<string, Decision>();
  for (const [name, calls] of Object.entries(multiplexers)) {
    const own = rules.decisions.get(name);
    if (typeof own === "number" && own !== rules.otherwise) continue;
    const list = typeof own === "object" ? [...own] : [];
    for (const [call, number] of Object.entries(calls)) {
      const returns = unseen(rules.decisions.get(call));
      if (returns === undefined || returns === rules.otherwise) continue;
      list.push({ conditions: [firstArgumentIs(number)], returns });
    }
    if (list.length > 0) result.set(name, list);
  }
  return result;
}

/**
 * What is done with a call whose arguments cannot be seen, for they lie in memory: a permission that depends on them is
 * not given, a refusal that depends on them is.
 */
function unseen(decision: Decision | undefined): number | undefined {
  if (typeof decision !== "object") return decision;
  return decision.find(({ returns }) => returns !== allow)?.returns;
}

function firstArgumentIs(value: number): Condition {
  return {
    index: 0,
    op: "SCMP_CMP_EQ",
    value: BigInt(value),
    mask: 0xffffffffffffffffn,
  };
}
