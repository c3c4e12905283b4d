/* AMX in software, for a processor with AVX-512 and bfloat16 but without AMX; see amx.py.

   Preloaded into a process. An AMX instruction is illegal there, so the kernel sends SIGILL; the
   handler computes what the instruction would and goes on behind it. amx.py has replaced CPUID in
   its copy of MXNet by UD2, of the same length and illegal, too: the answer is that of this
   processor, plus AMX and what an Intel Xeon (Sapphire Rapids) says of its caches and tiles.

   Reference: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2 (instructions)
   and volume 1, chapter 18 (tiles). Sums are in single precision, even and odd products apart, as
   there; the order within each of both is not specified to match a processor to the last bit. */

#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define OWN static __thread __attribute__((tls_model("initial-exec"), aligned(64)))
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum { TILES = 8, ROWS = 16, BYTES = 64 };
OWN uint8_t tile[TILES][ROWS][BYTES];
OWN struct { int on; int rows[TILES]; int bytes[TILES]; } shape;
static long products; /* of tiles, in all threads */

static void cpuid(greg_t *r) {
    /* ways, sets, kind | level << 5 of each cache */
    static const unsigned caches[4][3] = {
        {12, 64, 1 | 1 << 5}, {8, 64, 2 | 1 << 5}, {16, 2048, 3 | 2 << 5}, {15, 131072, 3 | 3 << 5}};
    unsigned leaf = r[REG_RAX], sub = r[REG_RCX], a, b, c, d;
    __cpuid_count(leaf, sub, a, b, c, d);
    if (leaf == 0) { a = 0x20; memcpy(&b, "Genu", 4); memcpy(&d, "ineI", 4); memcpy(&c, "ntel", 4); }
    if (leaf == 4) a = b = c = d = 0;
    if (leaf == 4 && sub < 4) {
        a = caches[sub][2] | 1 << 14;
        b = (BYTES - 1) | (caches[sub][0] - 1) << 22;
        c = caches[sub][1] - 1;
    }
    if (leaf == 7 && sub == 0) d |= 1u << 22 | 1u << 24 | 1u << 25; /* bfloat16, tiles, int8 */
    if (leaf == 0x1D) a = sub == 0, b = c = d = 0;
    if (leaf == 0x1D && sub == 1) {
        a = TILES * ROWS * BYTES | ROWS * BYTES << 16;
        b = BYTES | TILES << 16;
        c = ROWS;
    }
    r[REG_RAX] = a; r[REG_RBX] = b; r[REG_RCX] = c; r[REG_RDX] = d;
    r[REG_RIP] += 2;
}

static float wide(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float number;
    memcpy(&number, &bits, 4);
    return number;
}

static int multiply(int to, int left, int right) { /* TDPBF16PS */
    int rows = shape.rows[to], columns = shape.bytes[to] / 4, depth = shape.bytes[left] / 4;
    if (shape.rows[left] != rows || shape.rows[right] != depth || shape.bytes[right] != 4 * columns)
        return 0;
    for (int m = 0; m < rows; m++) {
        const uint16_t *a = (uint16_t *)tile[left][m];
        float even[ROWS] = {0}, odd[ROWS] = {0}, *sum = (float *)tile[to][m];
        for (int k = 0; k < depth; k++) {
            const uint16_t *b = (uint16_t *)tile[right][k];
            for (int n = 0; n < columns; n++) {
                even[n] += wide(a[2 * k]) * wide(b[2 * n]);
                odd[n] += wide(a[2 * k + 1]) * wide(b[2 * n + 1]);
            }
        }
        for (int n = 0; n < columns; n++) sum[n] += even[n] + odd[n];
    }
    __sync_fetch_and_add(&products, 1);
    return 1;
}

static int configure(const uint8_t *from) { /* LDTILECFG */
    shape.on = from[0];
    memset(tile, 0, sizeof tile);
    for (int t = 0; t < TILES && shape.on; t++) {
        shape.bytes[t] = *(uint16_t *)(from + 16 + 2 * t);
        shape.rows[t] = from[48 + t];
        if (shape.bytes[t] > BYTES || shape.rows[t] > ROWS) return 0;
    }
    return from[0] <= 1;
}

static void copy(int t, uint8_t *memory, int64_t stride, int to_memory) { /* TILELOADD, TILESTORED */
    if (!to_memory) memset(tile[t], 0, sizeof tile[t]);
    for (int m = 0; m < shape.rows[t]; m++) {
        uint8_t *row = memory + m * stride;
        memcpy(to_memory ? row : tile[t][m], to_memory ? tile[t][m] : row, shape.bytes[t]);
    }
}

static uint8_t *address(greg_t *r, const uint8_t *at, uint8_t **end, int64_t *stride) {
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
        REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    int x = !(at[1] & 0x40) << 3, b = !(at[1] & 0x20) << 3, mod = at[4] >> 6, base = at[4] & 7;
    const uint8_t *next = at + 5;
    int64_t sum = 0;
    *stride = 0;
    if (base == 4) {
        int sib = *next++, index = (sib >> 3 & 7) | x;
        base = sib & 7;
        if (index != 4) *stride = r[order[index]] << (sib >> 6);
    }
    if (mod == 0 && base == 5) sum = *(int32_t *)next, mod = 2; /* no base */
    else sum = r[order[base | b]] + (mod == 1 ? *(int8_t *)next : mod == 2 ? *(int32_t *)next : 0);
    *end = (uint8_t *)next + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
    return (uint8_t *)sum;
}

static int amx(greg_t *r) { /* 0: no such instruction, or a wrong one */
    const uint8_t *at = (uint8_t *)r[REG_RIP];
    if (at[0] != 0xC4 || (at[1] & 31) != 2) return 0;
    int third = ~at[2] >> 3 & 15, prefix = at[2] & 3, code = at[3];
    int in_memory = at[4] >> 6 != 3, reg = at[4] >> 3 & 7, rm = at[4] & 7, good = 1;
    uint8_t *end = (uint8_t *)at + 5, *memory = 0;
    int64_t stride = 0;
    if (in_memory) memory = address(r, at, &end, &stride);
    if (code == 0x49 && !in_memory && prefix == 0) shape.on = 0; /* TILERELEASE */
    else if (code == 0x49 && !in_memory && prefix == 3) memset(tile[reg], 0, sizeof tile[reg]);
    else if (code == 0x49 && in_memory && prefix == 0) good = configure(memory);
    else if (code == 0x4B && in_memory && prefix) good = shape.on, copy(reg, memory, stride, prefix == 2);
    else if (code == 0x5C && !in_memory && prefix == 2) good = shape.on && multiply(reg, rm, third);
    else return 0;
    r[REG_RIP] = (greg_t)end;
    return good;
}

static void illegal(int number, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *at = (uint8_t *)r[REG_RIP];
    if (at[0] == 0x0F && at[1] == 0x0B) { cpuid(r); return; }
    if (amx(r)) return;
    fprintf(stderr, "not emulated: %02x %02x %02x %02x %02x\n", at[0], at[1], at[2], at[3], at[4]);
    abort();
}

int sigaction(int number, const struct sigaction *new, struct sigaction *old) {
    if (number == SIGILL && new && new->sa_sigaction != illegal) return 0; /* it is ours */
    return NEXT(sigaction)(number, new, old);
}

__sighandler_t signal(int number, __sighandler_t handler) {
    return number == SIGILL ? SIG_DFL : NEXT(signal)(number, handler);
}

long syscall(long number, ...) { /* Linux would not permit tiles that the processor lacks. */
    long a[6];
    va_list given;
    va_start(given, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(given, long);
    va_end(given);
    if (number == SYS_arch_prctl && a[0] == 0x1023 && a[1] == 18) return 0;
    return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static const char *instead(const char *path) { /* amx.py's copy has the flags of AMX */
    const char *copy = getenv("AMX_CPUINFO");
    return copy && path && !strcmp(path, "/proc/cpuinfo") ? copy : path;
}

int open(const char *path, int flags, ...) {
    va_list given;
    va_start(given, flags);
    int mode = va_arg(given, int);
    va_end(given);
    return NEXT(open)(instead(path), flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list given;
    va_start(given, flags);
    int mode = va_arg(given, int);
    va_end(given);
    return NEXT(open64)(instead(path), flags, mode);
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {0};
    action.sa_sigaction = illegal;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGILL, &action, 0);
}

__attribute__((destructor)) static void end(void) {
    if (products) fprintf(stderr, "AMX emulated: %ld products of tiles\n", products);
}
