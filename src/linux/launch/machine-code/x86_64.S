# The interpreter of launch plans for x86-64. It needs no stack of its own, no libc and no relocation: the same bytes
# run in gocker's memory (spawn) and as the text of the stub (start). ../encode.ts writes what it reads:
#
#   header: u64 first step, u64 end of the steps, u64 status file descriptor
#   step:    0 u16 system call number
#            2 u8  bit i: argument i is the address of its value (a slot)
#            3 u8  1 tolerate every error, and skip on all or on those of 4 alone, 2 report tolerated errors, and the result before leaving,
#                  4 leave when the result is positive,
#                  8 become the reaper when the result is positive, 16 skip on success instead of on a tolerated error,
#                  32 skip when the result is 0, go on when it is positive
#            4 u8  three tolerated error numbers, 0 for none
#            7 u8  how many steps to skip
#            8 u64 six arguments
#           56 u64 address for the result, 0 for none
#   report: u64 address of the step, i64 result (-errno), written to the status file descriptor
.intel_syntax noprefix
.text

# long spawn(struct clone_args *args, size_t size, struct header *plan)
spawn:
  mov eax, 435                  # clone3
  syscall
  test rax, rax
  jz 1f
  ret
1:
  xor ebp, ebp
  mov rdi, rdx
  jmp interpret

# the entry point of the stub: its header lies at a fixed address, see ../stub.ts
.balign 16
start:
  mov edi, 0x20000000
interpret:
  mov rbx, [rdi]
  mov r12, [rdi + 8]
  mov r13, [rdi + 16]
next:
  cmp rbx, r12
  jae finished
  movzx r14d, byte ptr [rbx + 2]
  mov rdi, [rbx + 8]
  test r14b, 1
  jz 1f
  mov rdi, [rdi]
1:
  mov rsi, [rbx + 16]
  test r14b, 2
  jz 1f
  mov rsi, [rsi]
1:
  mov rdx, [rbx + 24]
  test r14b, 4
  jz 1f
  mov rdx, [rdx]
1:
  mov r10, [rbx + 32]
  test r14b, 8
  jz 1f
  mov r10, [r10]
1:
  mov r8, [rbx + 40]
  test r14b, 16
  jz 1f
  mov r8, [r8]
1:
  mov r9, [rbx + 48]
  test r14b, 32
  jz 1f
  mov r9, [r9]
1:
  movzx eax, word ptr [rbx]
  syscall
  movzx r14d, byte ptr [rbx + 3]
  cmp rax, -4096
  ja failed

  mov rcx, [rbx + 56]
  test rcx, rcx
  jz 1f
  mov [rcx], rax
1:
  test rax, rax
  jle 1f
  test r14b, 4
  jnz leave
  test r14b, 8
  jnz reap
  test r14b, 32
  jnz stay
1:
  test r14b, 16 + 32
  jnz skip
  add rbx, 64
  jmp next

failed:
  # openat2(2): something was renamed or mounted, anywhere, while it looked up a `..`. It means: try again.
  cmp eax, -11                  # EAGAIN
  jne 1f
  cmp word ptr [rbx], 437       # openat2
  je next
1:
  mov edx, eax
  neg edx
  movzx ecx, byte ptr [rbx + 4]
  cmp edx, ecx
  je tolerated
  movzx ecx, byte ptr [rbx + 5]
  cmp edx, ecx
  je tolerated
  movzx ecx, byte ptr [rbx + 6]
  cmp edx, ecx
  je tolerated
  test r14b, 1
  jz 1f
  cmp byte ptr [rbx + 4], 0
  je tolerated
  add rbx, 64
  jmp next
1:
  call report
  mov edi, 127
  mov eax, 231                  # exit_group
  syscall

stay:
  test r14b, 2
  jz 2f
  call report
  jmp 2f

tolerated:
  test r14b, 2
  jz 1f
  call report
1:
  test r14b, 16
  jnz 2f
skip:
  movzx eax, byte ptr [rbx + 7]
  shl eax, 6
  add rbx, rax
2:
  add rbx, 64
  jmp next

report:
  push rax
  push rbx
  mov rdi, r13
  mov rsi, rsp
  mov edx, 16
  mov eax, 1                    # write
  syscall
  add rsp, 16
  ret

leave:
  test r14b, 2
  jz finished
  call report
finished:
  xor edi, edi
  mov eax, 231                  # exit_group
  syscall

# Process 1 of a container started with --init: passes signals on to the child in r15 and reaps whatever dies, until
# the child does. All signals are blocked; rt_sigtimedwait takes them one by one.
reap:
  mov r15, rax
  mov edi, 3                    # the child alone reports from here on
  mov esi, -1
  xor edx, edx
  mov eax, 436                  # close_range
  syscall
  sub rsp, 256
  mov qword ptr [rsp], -1
1:
  mov rdi, rsp
  xor esi, esi
  xor edx, edx
  mov r10d, 8
  mov eax, 128                  # rt_sigtimedwait
  syscall
  test eax, eax
  jle 1b
  cmp eax, 17                   # SIGCHLD
  je 2f
  mov edi, r15d
  mov esi, eax
  mov eax, 62                   # kill
  syscall
  jmp 1b
2:
  mov rdi, -1
  lea rsi, [rsp + 16]
  mov edx, 1                    # WNOHANG
  xor r10d, r10d
  mov eax, 61                   # wait4
  syscall
  test eax, eax
  jle 1b
  cmp eax, r15d
  jne 2b
  mov edi, [rsp + 16]
  mov eax, edi
  and eax, 127
  jz 3f
  lea edi, [rax + 128]
  jmp 4f
3:
  shr edi, 8
4:
  mov eax, 231                  # exit_group
  syscall
