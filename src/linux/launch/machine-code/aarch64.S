// The interpreter of launch plans for arm64. What it reads and what it promises stand in x86_64.S.
.text

// long spawn(struct clone_args *args, size_t size, struct header *plan)
spawn:
  mov x9, x2
  mov x8, 435                   // clone3
  svc 0
  cbz x0, 1f
  ret
1:
  mov x29, 0
  mov x0, x9
  b interpret

.balign 16
start:
  mov x0, 0x20000000
interpret:
  ldp x19, x20, [x0]
  ldr x21, [x0, 16]
next:
  cmp x19, x20
  b.hs finished
  ldrh w8, [x19]
  ldrb w22, [x19, 2]
  ldp x0, x1, [x19, 8]
  ldp x2, x3, [x19, 24]
  ldp x4, x5, [x19, 40]
  tbz w22, 0, 1f
  ldr x0, [x0]
1:
  tbz w22, 1, 1f
  ldr x1, [x1]
1:
  tbz w22, 2, 1f
  ldr x2, [x2]
1:
  tbz w22, 3, 1f
  ldr x3, [x3]
1:
  tbz w22, 4, 1f
  ldr x4, [x4]
1:
  tbz w22, 5, 1f
  ldr x5, [x5]
1:
  svc 0
  ldrb w22, [x19, 3]
  cmn x0, 4095
  b.hs failed

  ldr x10, [x19, 56]
  cbz x10, 1f
  str x0, [x10]
1:
  cmp x0, 0
  b.le 1f
  tbnz w22, 2, leave
  tbnz w22, 3, reap
  tbnz w22, 5, stay
1:
  tbnz w22, 4, skip
  tbnz w22, 5, skip
  add x19, x19, 64
  b next

failed:
  cmn w0, 11                    // EAGAIN
  b.ne 1f
  ldrh w10, [x19]
  cmp w10, 437                  // openat2
  b.eq next
1:
  neg w10, w0
  ldrb w11, [x19, 4]
  cmp w10, w11
  b.eq tolerated
  ldrb w11, [x19, 5]
  cmp w10, w11
  b.eq tolerated
  ldrb w11, [x19, 6]
  cmp w10, w11
  b.eq tolerated
  tbz w22, 0, 1f
  ldrb w11, [x19, 4]
  cbz w11, tolerated
  add x19, x19, 64
  b next
1:
  bl report
  mov x0, 127
  mov x8, 94                    // exit_group
  svc 0

stay:
  tbz w22, 1, 2f
  bl report
  b 2f

tolerated:
  tbz w22, 1, 1f
  bl report
1:
  tbnz w22, 4, 2f
skip:
  ldrb w10, [x19, 7]
  add x19, x19, x10, lsl 6
2:
  add x19, x19, 64
  b next

report:
  stp x19, x0, [sp, -16]!
  mov x0, x21
  mov x1, sp
  mov x2, 16
  mov x8, 64                    // write
  svc 0
  add sp, sp, 16
  ret

leave:
  tbz w22, 1, finished
  bl report
finished:
  mov x0, 0
  mov x8, 94                    // exit_group
  svc 0

reap:
  mov x23, x0
  mov x0, 3                     // the child alone reports from here on
  mov w1, -1
  mov x2, 0
  mov x8, 436                   // close_range
  svc 0
  sub sp, sp, 256
  mov x10, -1
  str x10, [sp]
1:
  mov x0, sp
  mov x1, 0
  mov x2, 0
  mov x3, 8
  mov x8, 137                   // rt_sigtimedwait
  svc 0
  cmp w0, 0
  b.le 1b
  cmp w0, 17                    // SIGCHLD
  b.eq 2f
  mov w1, w0
  mov w0, w23
  mov x8, 129                   // kill
  svc 0
  b 1b
2:
  mov x0, -1
  add x1, sp, 16
  mov x2, 1                     // WNOHANG
  mov x3, 0
  mov x8, 260                   // wait4
  svc 0
  cmp w0, 0
  b.le 1b
  cmp w0, w23
  b.ne 2b
  ldr w0, [sp, 16]
  ands w10, w0, 127
  b.eq 3f
  add w0, w10, 128
  b 4f
3:
  lsr w0, w0, 8
4:
  mov x8, 94                    // exit_group
  svc 0
