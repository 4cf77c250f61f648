/*
 * Makes system calls as it is told, for tests of what a container may do:
 *
 *     system-calls [ABI:]NUMBER ARGUMENT… [, [ABI:]NUMBER ARGUMENT…]…
 *     system-calls swap PATH PATH          exchanges two names for ever, as fast as it can
 *
 * ABI is i386 (int 0x80) or x32 on x86-64; none is the machine's own. An argument is a number, `s:TEXT`, `o:SIZE` (a
 * buffer of zeros, printed in hexadecimal after the call), `b:HEX` (bytes), `w:N/N…` (32-bit words), or `$N`: the
 * result of call N, from 0. For each call a line: the result, or the negative error number; then its buffers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { arguments = 6, calls = 64, x32_bit = 0x40000000 };

static char *memory;

/* i386 takes addresses of 32 bits only. */
static void *allocate(size_t size) {
  char *block = memory;
  memory += (size + 15) & ~(size_t)15;
  return block;
}

static long parse(const char *text, const long *results, size_t *output) {
  *output = 0;
  if (text[0] == '$') return results[atoi(text + 1)];
  if (text[1] != ':') return (long)strtoull(text, NULL, 0);
  const char *rest = text + 2;
  switch (text[0]) {
    case 's':
      return (long)strcpy(allocate(strlen(rest) + 1), rest);
    case 'o':
      *output = (size_t)atol(rest);
      return (long)allocate(*output);
    case 'b': {
      unsigned char *bytes = allocate(strlen(rest) / 2 + 1);
      for (size_t i = 0; rest[2 * i] != 0; i++) sscanf(rest + 2 * i, "%2hhx", bytes + i);
      return (long)bytes;
    }
    case 'w': {
      unsigned int *words = allocate(256);
      for (size_t i = 0; *rest != 0; i++) {
        words[i] = (unsigned int)strtoul(rest, (char **)&rest, 0);
        if (*rest == '/') rest++;
      }
      return (long)words;
    }
  }
  fprintf(stderr, "what is %s?\n", text);
  exit(2);
}

static long call(const char *name, const long *a) {
  const char *colon = strchr(name, ':');
  long number = strtol(colon == NULL ? name : colon + 1, NULL, 0);
#ifdef __x86_64__
  if (strncmp(name, "i386:", 5) == 0) {
    int result;
    __asm__ volatile("push %%rbp\n mov %7, %%ebp\n int $0x80\n pop %%rbp"
                     : "=a"(result)
                     : "a"((int)number), "b"((int)a[0]), "c"((int)a[1]), "d"((int)a[2]), "S"((int)a[3]), "D"((int)a[4]),
                       "r"((int)a[5])
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
  }
  if (strncmp(name, "x32:", 4) == 0) number |= x32_bit;
#endif
  long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result == -1 ? -errno : result;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "swap") == 0) {
    for (;;) syscall(SYS_renameat2, -100, argv[2], -100, argv[3], 2);
  }
  memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS
#ifdef MAP_32BIT
                | MAP_32BIT
#endif
                , -1, 0);
  long results[calls];
  int count = 0;
  for (int at = 1; at < argc && count < calls; count++) {
    const char *name = argv[at++];
    long values[arguments] = {0};
    size_t outputs[arguments] = {0};
    for (int i = 0; at < argc && strcmp(argv[at], ",") != 0; i++, at++) values[i] = parse(argv[at], results, outputs + i);
    at++;
    results[count] = call(name, values);
    printf("%ld", results[count]);
    for (int i = 0; i < arguments; i++) {
      if (outputs[i] == 0) continue;
      putchar(' ');
      for (size_t byte = 0; byte < outputs[i]; byte++) printf("%02x", ((unsigned char *)values[i])[byte]);
    }
    putchar('\n');
    fflush(stdout);
  }
  return 0;
}
