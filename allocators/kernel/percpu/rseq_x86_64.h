/*
 * Restartable sequences on x86-64: the only file with instructions of one architecture. Another
 * architecture is one more file with the same functions.
 *
 * A critical section reads a cell of the calling CPU's block and ends in one store to it, the commit.
 * When the kernel preempts, migrates or signals the thread before that store, it resumes it where
 * the section announces itself, and everything starts again: so on this CPU sections never
 * interleave, and no instruction is atomic. The kernel insists on a signature in front of the place
 * where it resumes, the one the C library registered.
 *
 * Every section begins alike: it announces itself (the C library's rseq area at fs:offset holds the
 * pointer to the descriptor), reads cpu_id, and adds what the table at area + `table` (a constant)
 * holds for that CPU, the block, to the offset of the cell. cpu_id is -1 or -2 in a thread without
 * rseq; the table has entries for these, too. Where there is no block the entry leads to the area
 * itself, cells from which nothing can be taken and to which nothing can be put (see cells.h): no
 * test of its own for "no rseq" and "stopped". Registers that a restart needs are never written.
 */
#ifndef KMEM_RSEQ_X86_64_H
#define KMEM_RSEQ_X86_64_H

#include <emmintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RSEQ_SIGNATURE "0x53053053"

/* Bytes from the thread pointer to the rseq area, as far as the build knows: see rseq_offset.cmake. */
#ifndef KMEM_RSEQ_OFFSET
#define KMEM_RSEQ_OFFSET 0
#endif

#define RSEQ_DESCRIPTOR                             \
    ".pushsection .data.rel.ro.rseq_cs, \"aw\"\n\t" \
    ".balign 32\n"                                  \
    "77:\n\t"                                       \
    ".long 0, 0\n\t"                                \
    ".quad 71f, 72f - 71f, 74f\n\t"                 \
    ".popsection\n"

/*
 * Descriptor, announcement, and the address of the cell in the register `at`. The cell is then reached
 * through that register alone: a load through one plain register may get what was stored before
 * through one without waiting for the cache, one with an index may not.
 *
 * The signature is part of an instruction that does nothing. A handler that stands elsewhere would
 * do without, but there the compiler describes no frame, and every signal that comes in the section
 * would find its stack cut short.
 */
#define RSEQ_BEGIN(at)                                                      \
    RSEQ_DESCRIPTOR ".byte 0x0f, 0x1f, 0x80\n\t" /* nopl SIGNATURE(%rax) */ \
                    ".long " RSEQ_SIGNATURE "\n"                            \
                    "74:\n\t"                                               \
                    "leaq 77b(%%rip), " at "\n\t"                           \
                    "movq " at ", %%fs:8(%[rseq])\n"                        \
                    "71:\n\t"                                               \
                    "movslq %%fs:4(%[rseq]), " at "\n\t"                    \
                    "movq %c[table](%[area], " at ", 8), " at "\n\t"        \
                    "addq %[cell], " at "\n\t"

/* After the commit. */
#define RSEQ_END "72:\n\t"

#define RSEQ_INPUTS [rseq] "r"(rseq), [table] "i"(table), [area] "r"(area), [cell] "r"(cell)

/* For those that ask whether there is a block. */
#define RSEQ_INPUTS_NONE RSEQ_INPUTS, [none] "r"((char *)(area) + (cell))

/*
 * No section is an asm goto with outputs: GCC before 12.4 and 13.3 may set what differs between the two
 * ways out in front of it, where its outputs overwrite it. What went well is told by an output, or
 * the registers are named.
 */

/* The two fast ones know the fields of struct cpu_sheaf: magic, at 16 top and end. */

/*
 * Takes the object on top of the array in `cell`, and says which lies `below` bytes under it (a constant); false: the
 * array is empty. The flags of the test for that are the answer, so nothing after it may change them.
 */
static inline __attribute__((always_inline)) bool rseq_pop(ptrdiff_t rseq, const size_t table,
                                                           void *area, size_t cell,
                                                           const size_t below, void **object,
                                                           void **ahead)
{
    uintptr_t block;
    void **top;
    bool got;

    __asm__ volatile(RSEQ_BEGIN("%[block]") "movq 16(%[block]), %[top]\n\t"
                                            "movq -8(%[top]), %[object]\n\t"
                                            "testq %[object], %[object]\n\t"
                                            "je 72f\n\t"
                                            "leaq -8(%[top]), %[top]\n\t"
                                            "movq -%c[below](%[top]), %[ahead]\n\t"
                                            "movq %[top], 16(%[block])\n" RSEQ_END
                     : "=@ccnz"(got), [block] "=&r"(block), [object] "=&a"(*object),
                       [top] "=&r"(top), [ahead] "=&r"(*ahead)
                     : RSEQ_INPUTS, [below] "i"(below)
                     : "memory");
    return got;
}

/* Asks for the line to write to. A CPU that does not know the instruction does nothing for it. */
static inline __attribute__((always_inline)) void rseq_ask_for(const void *line)
{
    __asm__ volatile("prefetchw (%0)" : : "r"(line));
}

/*
 * Puts `object`, which lies `at` bytes into the pool, on the array in `cell`; false: it is full, or
 * `object` is the one on top, or does not start where objects of this cell start, see cell_magic().
 */
static inline __attribute__((always_inline)) bool rseq_push(ptrdiff_t rseq, const size_t table,
                                                            void *area, size_t cell, void *object,
                                                            size_t at)
{
    __asm__ goto(RSEQ_BEGIN("%%r8") "movq %[at], %%r9\n\t"
                                    "imulq (%%r8), %%r9\n\t"
                                    "cmpq %[object], %%r9\n\t"
                                    "jae %l[refused]\n\t"
                                    "movq 16(%%r8), %%r9\n\t"
                                    "cmpq 24(%%r8), %%r9\n\t"
                                    "je %l[refused]\n\t"
                                    "cmpq -8(%%r9), %[object]\n\t"
                                    "je %l[refused]\n\t"
                                    "movq %[object], (%%r9)\n\t"
                                    "addq $8, %%r9\n\t"
                                    "movq %%r9, 16(%%r8)\n" RSEQ_END
                 :
                 : RSEQ_INPUTS, [object] "r"(object), [at] "r"(at)
                 : "r8", "r9", "memory", "cc"
                 : refused);
    return true;
refused:
    return false;
}

/*
 * malloc() and free() as whole functions, the same two sections with what finds the cell in front of
 * them. The compiler's have a fifth more instructions, and of those each is felt: words are reached by
 * short displacements from `none`, jumps are short, and a restart begins the function anew, which
 * needs nothing but its argument, so that the block can be added to the register of the cell. Who is
 * not served jumps to `slow`, a function of the same type, with the argument untouched.
 *
 * Each load and each store is felt, too: a CPU that makes four of them in a cycle spends most of a call on
 * them. So there are two of either function. The near one takes rseq for granted where the C library of
 * the build has it, KMEM_RSEQ_OFFSET from the thread pointer, and free also the cells of frames in front of the
 * pool; where that is not so, its first test fails, and the far one is jumped to, which looks everything up.
 *
 * Where they come to lie matters, for a reason that was not found: with the two a few hundred bytes elsewhere
 * in their pages, sizes in random order took up to 1.3 times as long (see speed.md). So they are aligned to
 * more than their lines, lest what is linked in front of them decide.
 *
 * For use where struct percpu_area is known.
 */
/* clang-format off */
#define RSEQ_FUNCTION __attribute__((naked, no_stack_protector, aligned(1024)))
#define RSEQ_FIELD(field) "i"(PERCPU_FROM_NONE(field))

#define RSEQ_NONE "leaq percpu_area + %c[none](%%rip), %%rdx\n\t"

/* Offset of the cell in rcx, none in rdx; then the cell's address is in rcx. Writes rax. */
#define RSEQ_ENTER_NEAR(table)                \
    "leaq 77b(%%rip), %%rax\n\t"              \
    "movq %%rax, %%fs:8 + %c[rseq]\n"         \
    "71:\n\t"                                 \
    "movslq %%fs:4 + %c[rseq], %%rax\n\t"    \
    "addq %c[" table "](%%rdx, %%rax, 8), %%rcx\n\t"

/* The same wherever rseq is. Writes rsi, too. */
#define RSEQ_ENTER_FAR(table)                 \
    "movq %c[rseq](%%rdx), %%rsi\n\t"         \
    "leaq 77b(%%rip), %%rax\n\t"              \
    "movq %%rax, %%fs:8(%%rsi)\n"             \
    "71:\n\t"                                 \
    "movslq %%fs:4(%%rsi), %%rax\n\t"         \
    "addq %c[" table "](%%rdx, %%rax, 8), %%rcx\n\t"

/* The object on top of the cell at rcx into rax, what is then its top into rdx. */
#define RSEQ_POP                                     \
    "movq 16(%%rcx), %%rdx\n\t"                      \
    "movq -8(%%rdx), %%rax\n\t"                      \
    "testq %%rax, %%rax\n\t"                         \
    "je 79f\n\t"                                     \
    "addq $-8, %%rdx\n\t"

/*
 * malloc: sizes up to 1 KiB have a table by bytes; those above take one by steps, in the far function, which
 * serves all.
 * Popping does not touch the object, and what its owner does first is most often a store, which asks for its line
 * only when it leaves the core, one after the other, until the stores that wait fill their buffer. So the
 * line of the object that is popped PERCPU_AHEAD calls later is asked for here: that of the one just
 * popped would come too late. (A CPU that does not know the instruction does nothing for it.) Of larger objects
 * a line is little, and often in no cache: there it is left out.
 */
#define RSEQ_MALLOC_BODY(far)                        \
    "70:\n\t" RSEQ_NONE                              \
    "cmpq %c[small](%%rdx), %%rdi\n\t"               \
    "jae " #far "\n\t"                               \
    "movzwl %c[bytes](%%rdx, %%rdi, 2), %%ecx\n\t"   \
    RSEQ_ENTER_NEAR("alloc") RSEQ_POP                \
    "movq %c[ahead](%%rdx), %%rsi\n\t"               \
    "movq %%rdx, 16(%%rcx)\n"                        \
    "72:\n\t"                                        \
    "prefetchw (%%rsi)\n\t"                          \
    "ret\n"

#define RSEQ_MALLOC_FAR_BODY                         \
    "70:\n\t" RSEQ_NONE                              \
    "movq %%rdi, %%rax\n\t"                          \
    "subq $1, %%rax\n\t" /* 0 like 1 */              \
    "adcq $0, %%rax\n\t"                             \
    "shrq $4, %%rax\n\t"                             \
    "cmpq %c[sizes](%%rdx), %%rax\n\t"               \
    "jae 79f\n\t"                                    \
    "movzwl %c[steps](%%rdx, %%rax, 2), %%ecx\n\t"   \
    RSEQ_ENTER_FAR("alloc") RSEQ_POP                 \
    "movq %%rdx, 16(%%rcx)\n"                        \
    "72:\n\t"                                        \
    "ret\n"

/* The object's offset in the pool in r8, its cell's address in rcx, the object in rdi. Writes rax. */
#define RSEQ_PUSH                                    \
    "imulq (%%rcx), %%r8\n\t"                        \
    "cmpq %%rdi, %%r8\n\t"                           \
    "jae 79f\n\t"                                    \
    "movq 16(%%rcx), %%rax\n\t"                      \
    "cmpq 24(%%rcx), %%rax\n\t"                      \
    "je 79f\n\t"                                     \
    "cmpq -8(%%rax), %%rdi\n\t"                      \
    "je 79f\n\t"                                     \
    "movq %%rdi, (%%rax)\n\t"                        \
    "addq $8, %%rax\n\t"                             \
    "movq %%rax, 16(%%rcx)\n"                        \
    "72:\n\t"                                       \
    "ret\n"

#define RSEQ_FREE_BODY(far)                          \
    "70:\n\t" RSEQ_NONE                              \
    "movq percpu_near_pool(%%rip), %%rcx\n\t"        \
    "movq %%rdi, %%r8\n\t"                           \
    "subq %%rcx, %%r8\n\t"                           \
    "movq %%r8, %%rax\n\t"                           \
    "shrq $12, %%rax\n\t"                            \
    "cmpq %[frames], %%rax\n\t"                      \
    "jae " #far "\n\t"                               \
    "movzwl -2 * %c[frames](%%rcx, %%rax, 2), %%ecx\n\t" \
    RSEQ_ENTER_NEAR("free") RSEQ_PUSH

#define RSEQ_FREE_FAR_BODY                           \
    "70:\n\t" RSEQ_NONE                              \
    "movq %%rdi, %%rax\n\t"                          \
    "subq %c[pool](%%rdx), %%rax\n\t"                \
    "cmpq %c[bytes](%%rdx), %%rax\n\t"               \
    "jae 79f\n\t"                                    \
    "movq %%rax, %%r8\n\t"                           \
    "movq %c[frames](%%rdx), %%rcx\n\t"              \
    "shrq $12, %%rax\n\t"                            \
    "movzwl (%%rcx, %%rax, 2), %%ecx\n\t"            \
    RSEQ_ENTER_FAR("free") RSEQ_PUSH

/* Behind what runs, and still in the function: see RSEQ_BEGIN(). */
#define RSEQ_OTHERWISE(slow)                                 \
    "79:\n\tjmp " #slow "\n\t"                               \
    ".byte 0x0f, 0xb9, 0x3d\n\t" /* ud1: never executed */   \
    ".long " RSEQ_SIGNATURE "\n"                             \
    "74:\n\t"                                                \
    "jmp 70b\n"

#define RSEQ_DEFINE_MALLOC(name, far, slow)                                               \
    RSEQ_FUNCTION void *name(size_t size __attribute__((unused)))                         \
    {                                                                                     \
        __asm__ volatile(RSEQ_DESCRIPTOR RSEQ_MALLOC_BODY(far) RSEQ_OTHERWISE(slow)       \
                         :                                                                \
                         : [none] "i"(offsetof(struct percpu_area, none)),                \
                           [small] RSEQ_FIELD(small), [bytes] RSEQ_FIELD(small_cells),    \
                           [rseq] "i"(KMEM_RSEQ_OFFSET), [alloc] RSEQ_FIELD(alloc),       \
                           [ahead] "i"(-8 * PERCPU_AHEAD));                               \
    }

#define RSEQ_DEFINE_MALLOC_FAR(name, slow)                                                \
    RSEQ_FUNCTION void *name(size_t size __attribute__((unused)))                         \
    {                                                                                     \
        __asm__ volatile(RSEQ_DESCRIPTOR RSEQ_MALLOC_FAR_BODY RSEQ_OTHERWISE(slow)        \
                         :                                                                \
                         : [none] "i"(offsetof(struct percpu_area, none)),                \
                           [sizes] RSEQ_FIELD(sizes), [steps] RSEQ_FIELD(size_cells),     \
                           [rseq] RSEQ_FIELD(rseq), [alloc] RSEQ_FIELD(alloc));           \
    }

/* `frames`: of how many the cells lie in front of the pool. */
#define RSEQ_DEFINE_FREE(name, frames_in_front, far, slow)                                \
    RSEQ_FUNCTION void name(void *memory __attribute__((unused)))                         \
    {                                                                                     \
        __asm__ volatile(RSEQ_DESCRIPTOR RSEQ_FREE_BODY(far) RSEQ_OTHERWISE(slow)         \
                         :                                                                \
                         : [none] "i"(offsetof(struct percpu_area, none)),                \
                           [frames] "i"(frames_in_front),                                 \
                           [rseq] "i"(KMEM_RSEQ_OFFSET), [free] RSEQ_FIELD(free));        \
    }

#define RSEQ_DEFINE_FREE_FAR(name, slow)                                                  \
    RSEQ_FUNCTION void name(void *memory __attribute__((unused)))                         \
    {                                                                                     \
        __asm__ volatile(RSEQ_DESCRIPTOR RSEQ_FREE_FAR_BODY RSEQ_OTHERWISE(slow)          \
                         :                                                                \
                         : [none] "i"(offsetof(struct percpu_area, none)),                \
                           [pool] RSEQ_FIELD(pool), [bytes] RSEQ_FIELD(pool_bytes),       \
                           [frames] RSEQ_FIELD(frame_cells), [rseq] RSEQ_FIELD(rseq),     \
                           [free] RSEQ_FIELD(free));                                      \
    }
/*
 * vfork(). The child runs in its parent's memory without being registered, so that the kernel neither restarts
 * its sections nor writes cpu_id, which lies in memory that both use: a section of the child would take
 * its parent's CPU for its own. So the child says there that it has none. Before the system call would be too
 * early, as the kernel writes the parent's whenever it was preempted. `parent` gets the call's result
 * and what the parent's cpu_id was: a child that is one of vfork() itself has none to be put back.
 *
 * The child returns first and uses the stack, also where the parent's return address lies; that waits in a
 * register. The child jumps, as it must not pop the parent's shadow stack where there is one.
 */
#ifdef __GCC_HAVE_DWARF2_CFI_ASM
#define RSEQ_RETURN_IN_RDI   ".cfi_register 16, 5\n\t"
#define RSEQ_RETURN_ON_STACK ".cfi_offset 16, -8\n\t"
#define RSEQ_POPPED          ".cfi_remember_state\n\t.cfi_adjust_cfa_offset -8\n\t"
#define RSEQ_NOT_POPPED      ".cfi_restore_state\n\t"
#else
#define RSEQ_RETURN_IN_RDI   ""
#define RSEQ_RETURN_ON_STACK ""
#define RSEQ_POPPED          ""
#define RSEQ_NOT_POPPED      ""
#endif

#define RSEQ_VFORK_BODY(parent)                      \
    "movq __rseq_offset@GOTPCREL(%%rip), %%rdx\n\t"  \
    "movq (%%rdx), %%rdx\n\t"                        \
    "movl $-1, %%esi\n\t"                            \
    "movq __rseq_size@GOTPCREL(%%rip), %%rcx\n\t"    \
    "cmpl $0, (%%rcx)\n\t"                           \
    "je 1f\n\t"                                      \
    "movl %%fs:4(%%rdx), %%esi\n"                    \
    "1:\n\t"                                         \
    "movq (%%rsp), %%rdi\n\t"                        \
    RSEQ_RETURN_IN_RDI                               \
    "movl $58, %%eax\n\t" /* SYS_vfork */            \
    "syscall\n\t"                                    \
    "testq %%rax, %%rax\n\t"                         \
    "jne 3f\n\t"                                     \
    "testl %%esi, %%esi\n\t"                         \
    "js 2f\n\t"                                      \
    "movl $-1, %%fs:4(%%rdx)\n"                      \
    "2:\n\t"                                         \
    "addq $8, %%rsp\n\t"                             \
    RSEQ_POPPED                                      \
    "jmp *%%rdi\n"                                   \
    "3:\n\t"                                         \
    RSEQ_NOT_POPPED                                  \
    "movq %%rdi, (%%rsp)\n\t"                        \
    RSEQ_RETURN_ON_STACK                             \
    "movq %%rax, %%rdi\n\t"                          \
    "jmp " #parent "\n"

#define RSEQ_DEFINE_VFORK(name, parent)                                                   \
    __attribute__((naked, no_stack_protector)) pid_t name(void)                           \
    {                                                                                     \
        __asm__ volatile(RSEQ_VFORK_BODY(parent) :);                                      \
    }
/* clang-format on */

/* Two neighbouring words of a block, read and written as one. */
typedef __m128i rseq_pair;

/* Stores `pair` in the aligned 16 bytes of `cell` and returns what was there; false: no block. */
static inline __attribute__((always_inline)) bool rseq_swap(ptrdiff_t rseq, const size_t table,
                                                            void *area, size_t cell, rseq_pair pair,
                                                            rseq_pair *old)
{
    uintptr_t block;
    unsigned done;
    rseq_pair was;

    __asm__ volatile(RSEQ_BEGIN("%[block]") "pxor %[was], %[was]\n\t"
                                            "xorl %[done], %[done]\n\t"
                                            "cmpq %[none], %[block]\n\t"
                                            "je 72f\n\t"
                                            "movdqa (%[block]), %[was]\n\t"
                                            "movl $1, %[done]\n\t"
                                            "movdqa %[pair], (%[block])\n" RSEQ_END
                     : [block] "=&r"(block), [done] "=&r"(done), [was] "=&x"(was)
                     : RSEQ_INPUTS_NONE, [pair] "x"(pair)
                     : "memory", "cc");
    *old = was;
    return done;
}

/* Stores `word` in `cell` and returns what was there; false: no block. */
static inline __attribute__((always_inline)) bool rseq_exchange(ptrdiff_t rseq, const size_t table,
                                                                void *area, size_t cell, void *word,
                                                                void **old)
{
    uintptr_t block;
    unsigned done;
    void *was;

    __asm__ volatile(RSEQ_BEGIN("%[block]") "xorl %[done], %[done]\n\t"
                                            "cmpq %[none], %[block]\n\t"
                                            "je 72f\n\t"
                                            "movq (%[block]), %[was]\n\t"
                                            "movl $1, %[done]\n\t"
                                            "movq %[word], (%[block])\n" RSEQ_END
                     : [block] "=&r"(block), [done] "=&r"(done), [was] "=&r"(was)
                     : RSEQ_INPUTS_NONE, [word] "r"(word)
                     : "memory", "cc");
    if (done)
        *old = was;
    return done;
}

/*
 * Takes the first object off the list in `cell`, whose links lie `offset` bytes into the objects and
 * are stored as link ^ key ^ byte-swapped address of the link. NULL: no block, or an empty list.
 */
static inline __attribute__((always_inline)) void *rseq_list_pop(ptrdiff_t rseq, const size_t table,
                                                                 void *area, size_t cell,
                                                                 size_t offset, uintptr_t key)
{
    uintptr_t block, next, at;
    void *object;

    __asm__ volatile(RSEQ_BEGIN("%[block]") "xorl %k[object], %k[object]\n\t"
                                            "cmpq %[none], %[block]\n\t"
                                            "je 72f\n\t"
                                            "movq (%[block]), %[object]\n\t"
                                            "testq %[object], %[object]\n\t"
                                            "je 72f\n\t"
                                            "leaq (%[object], %[offset]), %[at]\n\t"
                                            "movq (%[at]), %[next]\n\t"
                                            "bswapq %[at]\n\t"
                                            "xorq %[at], %[next]\n\t"
                                            "xorq %[key], %[next]\n\t"
                                            "movq %[next], (%[block])\n" RSEQ_END
                     : [block] "=&r"(block), [object] "=&r"(object), [next] "=&r"(next),
                       [at] "=&r"(at)
                     : RSEQ_INPUTS_NONE, [offset] "r"(offset), [key] "r"(key)
                     : "memory", "cc");
    return object;
}

/*
 * Puts `object` on the list in `cell` if the word behind the cell is `owner` and the object is not
 * the first of the list.
 */
static inline __attribute__((always_inline)) bool rseq_list_push(ptrdiff_t rseq, const size_t table,
                                                                 void *area, size_t cell,
                                                                 void *owner, void *object,
                                                                 size_t offset, uintptr_t key)
{
    uintptr_t block, head, at;
    unsigned done;

    __asm__ volatile(RSEQ_BEGIN("%[block]") "xorl %[done], %[done]\n\t"
                                            "cmpq %[none], %[block]\n\t"
                                            "je 72f\n\t"
                                            "cmpq %[owner], 8(%[block])\n\t"
                                            "jne 72f\n\t"
                                            "movq (%[block]), %[head]\n\t"
                                            "cmpq %[object], %[head]\n\t"
                                            "je 72f\n\t"
                                            "leaq (%[object], %[offset]), %[at]\n\t"
                                            "bswapq %[at]\n\t"
                                            "xorq %[key], %[at]\n\t"
                                            "xorq %[head], %[at]\n\t"
                                            "movq %[at], (%[object], %[offset])\n\t"
                                            "movl $1, %[done]\n\t"
                                            "movq %[object], (%[block])\n" RSEQ_END
                     : [block] "=&r"(block), [head] "=&r"(head), [at] "=&r"(at), [done] "=&r"(done)
                     : RSEQ_INPUTS_NONE, [owner] "r"(owner), [object] "r"(object),
                       [offset] "r"(offset), [key] "rm"(key)
                     : "memory", "cc");
    return done;
}

#endif
