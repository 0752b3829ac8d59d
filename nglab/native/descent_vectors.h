/* Vectors of a register's width, and rows of numbers turned into them and back. */

typedef T OF(vec) __attribute__((vector_size(REGISTER)));
typedef T OF(unaligned) __attribute__((vector_size(REGISTER), aligned(sizeof(T)), may_alias));
enum { OF(WIDTH) = REGISTER / sizeof(T) };

/* a ← aᵀ, WIDTH vectors: rows interleaved with those half of them further, as often as it takes. */
INLINE void OF(transpose)(OF(vec) *a) {
    OF(vec) b[OF(WIDTH)];
#if defined(__clang__) /* it has no shuffle by a variable */
    for (int i = 0; i < OF(WIDTH); i++)
        for (int j = 0; j < OF(WIDTH); j++) b[j][i] = a[i][j];
    for (int i = 0; i < OF(WIDTH); i++) a[i] = b[i];
#else
    __typeof__(a[0] < a[0]) low, high;
    for (int j = 0; j < OF(WIDTH); j++) low[j] = j / 2 + (j % 2) * OF(WIDTH), high[j] = low[j] + OF(WIDTH) / 2;
    for (int round = 1; round < OF(WIDTH); round *= 2) {
        for (int i = 0; i < OF(WIDTH) / 2; i++) {
            b[2 * i] = __builtin_shuffle(a[i], a[i + OF(WIDTH) / 2], low);
            b[2 * i + 1] = __builtin_shuffle(a[i], a[i + OF(WIDTH) / 2], high);
        }
        for (int i = 0; i < OF(WIDTH); i++) a[i] = b[i];
    }
#endif
}

/* The first n numbers of each of `count` ≤ WIDTH rows, row l at from + l·apart, become n vectors: row l is lane l of
   them. A lane without a row holds zeros. */
static void OF(to_lanes)(OF(vec) *into, const T *from, int64_t apart, int count, int64_t n) {
    int64_t whole = 0;
    for (; count == OF(WIDTH) && whole + OF(WIDTH) <= n; whole += OF(WIDTH)) {
        OF(vec) rows[OF(WIDTH)];
        for (int l = 0; l < OF(WIDTH); l++) rows[l] = *(const OF(unaligned) *)(from + l * apart + whole);
        OF(transpose)(rows);
        for (int l = 0; l < OF(WIDTH); l++) into[whole + l] = rows[l];
    }
    if (count < OF(WIDTH)) memset(into, 0, n * sizeof *into);
    for (int l = 0; l < count; l++)
        for (int64_t j = whole; j < n; j++) into[j][l] = from[l * apart + j];
}

static void OF(from_lanes)(T *into, int64_t apart, int count, int64_t n, const OF(vec) *from) {
    int64_t whole = 0;
    for (; count == OF(WIDTH) && whole + OF(WIDTH) <= n; whole += OF(WIDTH)) {
        OF(vec) rows[OF(WIDTH)];
        for (int l = 0; l < OF(WIDTH); l++) rows[l] = from[whole + l];
        OF(transpose)(rows);
        for (int l = 0; l < OF(WIDTH); l++) *(OF(unaligned) *)(into + l * apart + whole) = rows[l];
    }
    for (int l = 0; l < count; l++)
        for (int64_t j = whole; j < n; j++) into[l * apart + j] = from[j][l];
}
