/* Products of a stack of networks, side by side in the lanes of vectors.

   BLAS has a call for each small product of each network; here a product of all of them is one of plain vectors, whose
   every number is a multiply-add, so that the arithmetic units are full however small a layer is. */

/* A matrix of vectors: the entry (i, j) is at[i·row + j·column]. */
typedef struct {
    OF(vec) * at;
    int64_t row, column;
} OF(matrix);

INLINE OF(matrix) OF(from)(OF(matrix) a, int row, int column) {
    a.at += row * a.row + column * a.column;
    return a;
}

INLINE OF(matrix) OF(transposed)(OF(matrix) a) { return (OF(matrix)){a.at, a.column, a.row}; }

INLINE void OF(store)(OF(vec) *into, OF(vec) sum, int add) { *into = add ? *into + sum : sum; }

#define BEGIN(i, j) OF(vec) sum##i##j = {0};
#define LEFT(i) OF(vec) left##i = a.at[i * a.row]; HELD(left##i);
#define RIGHT(_, j) const OF(vec) right##j = b.at[j * b.row];
#define MULTIPLY(i, j) sum##i##j += left##i * right##j;
#define STORE(i, j) OF(store)(&c.at[i * c.row + j * c.column], sum##i##j, add);
#define BEGIN_ROW(i) ACROSS(BEGIN, i)
#define MULTIPLY_ROW(i) ACROSS(MULTIPLY, i)
#define STORE_ROW(i) ACROSS(STORE, i)

/* c ← [c +] a bᵀ over `inner` columns, for the first TALL × 4 entries of c, which stay in registers meanwhile. */
INLINE void OF(tile)(int inner, OF(matrix) a, OF(matrix) b, OF(matrix) c, int add) {
    DOWN(BEGIN_ROW)
    for (int r = 0; r < inner; r++, a.at += a.column, b.at += b.column) {
        DOWN(LEFT)
        ACROSS(RIGHT, 0)
        DOWN(MULTIPLY_ROW)
    }
    DOWN(STORE_ROW)
}

/* The same for the first 1 × 4 entries. */
INLINE void OF(strip)(int inner, OF(matrix) a, OF(matrix) b, OF(matrix) c, int add) {
    BEGIN_ROW(0)
    for (int r = 0; r < inner; r++, a.at += a.column, b.at += b.column) {
        LEFT(0)
        ACROSS(RIGHT, 0)
        MULTIPLY_ROW(0)
    }
    STORE_ROW(0)
}

#undef BEGIN
#undef LEFT
#undef RIGHT
#undef MULTIPLY
#undef STORE
#undef BEGIN_ROW
#undef MULTIPLY_ROW
#undef STORE_ROW

/* The same for the first entry. */
INLINE void OF(entry)(int inner, OF(matrix) a, OF(matrix) b, OF(matrix) c, int add) {
    OF(vec) sum = {0};
    for (int r = 0; r < inner; r++) sum += a.at[r * a.column] * b.at[r * b.column];
    OF(store)(c.at, sum, add);
}

/* c ← [c +] a bᵀ with a `rows × inner` and b `columns × inner`, which is read once. */
static void OF(multiply)(int rows, int columns, int inner, OF(matrix) a, OF(matrix) b, OF(matrix) c, int add) {
    int q = 0;
    for (; q + 4 <= columns; q += 4) {
        const OF(matrix) right = OF(from)(b, q, 0);
        int p = 0;
        for (; p + TALL <= rows; p += TALL) OF(tile)(inner, OF(from)(a, p, 0), right, OF(from)(c, p, q), add);
        for (; p < rows; p++) OF(strip)(inner, OF(from)(a, p, 0), right, OF(from)(c, p, q), add);
    }
    for (; q < columns; q++) {
        const OF(matrix) right = OF(from)(b, q, 0);
        int p = 0;
        for (; p + 4 <= rows; p += 4) /* cᵀ = b aᵀ */
            OF(strip)(inner, right, OF(from)(a, p, 0), OF(transposed)(OF(from)(c, p, q)), add);
        for (; p < rows; p++) OF(entry)(inner, OF(from)(a, p, 0), right, OF(from)(c, p, q), add);
    }
}
