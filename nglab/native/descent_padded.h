/* Products of small matrices, an example a row, each row filled up to whole vectors.

   The sums run over their terms in order, from zero, as those of MKL do in layers of this size. */

enum { OF(PANEL) = 256 }; /* columns of W_i that are turned over at a time: they stay in the cache */

#define SUM(a) OF(vec) sum##a = {0};
#define ADD(a) sum##a += left[(a) * row + t * column] * right;
#define END(a) *(OF(vec) *)(out + (a) * out_row) = add ? *(OF(vec) *)(out + (a) * out_row) + sum##a : sum##a;
#define ROWS(name, EACH)                                                                                            \
    INLINE void OF(name)(int inner, const T *left, int64_t row, int64_t column, const T *from, int64_t apart, T *out, \
                         int64_t out_row, int add) {                                                                \
        EACH(SUM)                                                                                                   \
        for (int t = 0; t < inner; t++, from += apart) {                                                            \
            const OF(vec) right = *(const OF(vec) *)from;                                                           \
            EACH(ADD)                                                                                               \
        }                                                                                                           \
        EACH(END)                                                                                                   \
    }
#define TEN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define FOUR(X) X(0) X(1) X(2) X(3)
#define ONE(X) X(0)
ROWS(ten_rows, TEN)
ROWS(four_rows, FOUR)
ROWS(one_row, ONE)
#undef SUM
#undef ADD
#undef END
#undef ROWS
#undef TEN
#undef FOUR
#undef ONE

/* out ← [out +] left · right for `columns` columns, rounded up to whole vectors: left(r, t) at left[r·row + t·column],
   right's row t at right + t·apart. */
INLINE void OF(padded_product)(int rows, int inner, int columns, const T *left, int64_t row, int64_t column,
                               const T *right, int64_t apart, T *out, int64_t out_row, int add) {
    for (int c = 0; c < columns; c += OF(WIDTH)) {
        int r = 0;
        for (; r + 10 <= rows; r += 10)
            OF(ten_rows)(inner, left + r * row, row, column, right + c, apart, out + r * out_row + c, out_row, add);
        for (; r + 4 <= rows; r += 4)
            OF(four_rows)(inner, left + r * row, row, column, right + c, apart, out + r * out_row + c, out_row, add);
        for (; r < rows; r++)
            OF(one_row)(inner, left + r * row, row, column, right + c, apart, out + r * out_row + c, out_row, add);
    }
}

/* z ← x Wᵀ. As many rows of W as a vector is wide are turned over at a time, in registers. */
static void OF(padded_forward)(int m, int n, int in, const T *x, int64_t x_row, const T *w, int64_t w_row, T *z,
                               int64_t z_row) {
    OF(vec) panel[OF(PANEL)];
    for (int o = 0; o < n; o += OF(WIDTH))
        for (int k = 0; k < in; k += OF(PANEL)) {
            const int columns = in - k < OF(PANEL) ? in - k : OF(PANEL);
            OF(to_lanes)(panel, w + o * w_row + k, w_row, n - o < OF(WIDTH) ? n - o : OF(WIDTH), columns);
            OF(padded_product)(m, columns, 1, x + k, x_row, 1, (T *)panel, OF(WIDTH), z + o, z_row, k > 0);
        }
}

/* into ← e W. */
static void OF(padded_backward)(int m, int n, int in, const T *e, int64_t e_row, const T *w, int64_t w_row, T *into,
                                int64_t into_row) {
    OF(padded_product)(m, n, in, e, e_row, 1, w, w_row, into, into_row, 0);
}

/* into ← into + eᵀ x. */
static void OF(padded_update)(int m, int n, int in, const T *e, int64_t e_row, const T *x, int64_t x_row, T *into,
                              int64_t into_row) {
    OF(padded_product)(n, m, in, e, 1, e_row, x, x_row, into, into_row, 1);
}
