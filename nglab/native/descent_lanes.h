/* A stack of networks, side by side in the lanes of the vector registers: lane l holds a number of network l.

   BLAS has a call for each small product of each network; here a product of all of them is one of plain vectors, whose
   every number is a multiply-add, so that the arithmetic units are full however small a layer is. */

typedef T OF(vec) __attribute__((vector_size(REGISTER)));
enum { OF(LANES) = REGISTER / sizeof(T) };

/* A matrix of vectors: the entry (i, j) is at[i·row + j·column]. */
typedef struct {
    OF(vec) * at;
    int64_t row, column;
} OF(matrix);

static inline OF(matrix) OF(from)(OF(matrix) a, int row, int column) {
    a.at += row * a.row + column * a.column;
    return a;
}

static inline OF(matrix) OF(transposed)(OF(matrix) a) { return (OF(matrix)){a.at, a.column, a.row}; }

#define BEGIN(i, j) OF(vec) sum##i##j = add ? c.at[i * c.row + j * c.column] : (OF(vec)){0};
#define LEFT(i) OF(vec) left##i = a.at[i * a.row]; HELD(left##i);
#define RIGHT(_, j) const OF(vec) right##j = b.at[j * b.row];
#define MULTIPLY(i, j) sum##i##j += left##i * right##j;
#define STORE(i, j) c.at[i * c.row + j * c.column] = sum##i##j;
#define BEGIN_ROW(i) ACROSS(BEGIN, i)
#define MULTIPLY_ROW(i) ACROSS(MULTIPLY, i)
#define STORE_ROW(i) ACROSS(STORE, i)

/* c ← [c +] a bᵀ over `inner` columns, for the first TALL × 4 entries of c, which stay in registers meanwhile. */
static inline void OF(tile)(int inner, OF(matrix) a, OF(matrix) b, OF(matrix) c, int add) {
    DOWN(BEGIN_ROW)
    for (int r = 0; r < inner; r++, a.at += a.column, b.at += b.column) {
        DOWN(LEFT)
        ACROSS(RIGHT, 0)
        DOWN(MULTIPLY_ROW)
    }
    DOWN(STORE_ROW)
}

/* The same for the first 1 × 4 entries. */
static inline void OF(strip)(int inner, OF(matrix) a, OF(matrix) b, OF(matrix) c, int add) {
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
static inline void OF(entry)(int inner, OF(matrix) a, OF(matrix) b, OF(matrix) c, int add) {
    OF(vec) sum = add ? *c.at : (OF(vec)){0};
    for (int r = 0; r < inner; r++) sum += a.at[r * a.column] * b.at[r * b.column];
    *c.at = sum;
}

/* c ← [c +] a bᵀ with a `rows × inner`, b `columns × inner`: b is read once, and what is left of it by the tiles last. */
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

/* n numbers of each of `count` networks, that of lane l at from + l·apart; a lane without a network holds zeros. */
static void OF(to_lanes)(OF(vec) *into, const T *from, int64_t apart, int count, int64_t n) {
    T *out = (T *)into;
    if (count < OF(LANES)) memset(into, 0, n * sizeof *into);
    for (int64_t first = 0; first < n; first += OF(LANES)) /* as many as of one network fill a register */
        for (int l = 0; l < count; l++)
            for (int64_t j = first; j < n && j < first + OF(LANES); j++) out[j * OF(LANES) + l] = from[l * apart + j];
}

static void OF(from_lanes)(T *into, int64_t apart, int count, int64_t n, const OF(vec) *from) {
    const T *in = (const T *)from;
    for (int64_t first = 0; first < n; first += OF(LANES))
        for (int l = 0; l < count; l++)
            for (int64_t j = first; j < n && j < first + OF(LANES); j++) into[l * apart + j] = in[j * OF(LANES) + l];
}

static int64_t OF(memory_of_lanes)(const struct network *net, int32_t momentum) {
    const int32_t *n = net->widths;
    int64_t kept = (int64_t)net->examples * (n[0] + n[net->depth]);
    for (int i = 1; i <= net->depth; i++) kept += (int64_t)n[i] * (n[i - 1] + net->bias) * (1 + momentum);
    return OF(lay_out)(net, OF(LANES), 0, 0, 0) + kept * OF(LANES);
}

/* The steps of `count` ≤ LANES networks at once: w and v point to the matrices of the first, the others' lie apart[i]
   numbers after one another. `memory` begins at a multiple of REGISTER bytes. */
static void OF(steps_in_lanes)(const struct network *net, int count, T *const *w, T *const *v, const int64_t *apart,
                               struct OF(batches) of, int64_t steps, T *memory, OF(map) *tanh_of) {
    typedef OF(vec) V;
    typedef OF(matrix) M;
    const int depth = net->depth, bias = net->bias, m = net->examples, lanes = OF(LANES), curved = net->phi != IDENTITY;
    const int32_t *n = net->widths;
    T *xs[depth + 1], *es[depth + 1];
    V *ws[depth + 1], *vs[depth + 1], mu = {0};
    V *free = (V *)(memory + OF(lay_out)(net, lanes, memory, xs, es));
    OF(write_ones)(net, lanes, xs);
    for (int i = 1; i <= depth; i++) {
        const int64_t numbers = (int64_t)n[i] * (n[i - 1] + bias);
        OF(to_lanes)(ws[i] = free, w[i - 1], apart[i - 1], count, numbers);
        free += numbers;
        if (v) OF(to_lanes)(vs[i] = free, v[i - 1], apart[i - 1], count, numbers), free += numbers;
    }
    if (v) OF(to_lanes)(&mu, of.momenta, 1, count, 1);
    V *input = free, *target = free + (int64_t)m * n[0];
    for (int64_t k = 0; k < steps; k++, of = OF(next)(of)) {
        V rate;
        OF(to_lanes)(&rate, of.rates, 1, count, 1);
        OF(to_lanes)(input, of.x, of.x_apart, count, (int64_t)m * n[0]);
        OF(to_lanes)(target, of.y, of.y_apart, count, (int64_t)m * n[depth]);
        if (bias)
            OF(copy_rows)(net, (int64_t)n[0] * lanes, lanes, (T *)input, xs[0]);
        else
            xs[0] = (T *)input;
        for (int i = 1; i <= depth; i++) {
            const int in = n[i - 1] + bias, next = n[i] + (i < depth && bias);
            const M x_in = {(V *)xs[i - 1], in, 1}, weights = {ws[i], in, 1}, z = {(V *)xs[i], next, 1};
            OF(multiply)(m, n[i], in, x_in, weights, z, 0);
            if (curved && i < depth) OF(activate)(net, i, lanes, xs[i], tanh_of);
        }
        const V scale = v ? (V){0} + (T)1 / m : rate, far = net->ahead ? rate * (1 + mu) : rate;
        for (int64_t j = 0; j < (int64_t)m * n[depth]; j++)
            ((V *)es[depth])[j] = (target[j] - ((V *)xs[depth])[j]) * scale;
        for (int i = depth; i > 0; i--) {
            const int in = n[i - 1] + bias;
            const int64_t numbers = (int64_t)n[i] * in;
            const M e = {(V *)es[i], n[i], 1}, x_in = {(V *)xs[i - 1], in, 1}, weights = {ws[i], in, 1};
            if (i > 1) {
                OF(multiply)(m, n[i - 1], n[i], e, OF(transposed)(weights), (M){(V *)es[i - 1], n[i - 1], 1}, 0);
                if (curved) OF(chain)(net, i - 1, lanes, es[i - 1], xs[i - 1]);
            }
            V *into = v ? vs[i] : ws[i];
            for (int64_t j = 0; v && j < numbers; j++) into[j] *= mu;
            for (int64_t j = 0; v && net->ahead && j < numbers; j++) ws[i][j] -= rate * into[j];
            OF(multiply)(n[i], in, m, OF(transposed)(e), OF(transposed)(x_in), (M){into, in, 1}, 1);
            for (int64_t j = 0; v && j < numbers; j++) ws[i][j] += far * into[j];
        }
    }
    for (int i = 1; i <= depth; i++) {
        const int64_t numbers = (int64_t)n[i] * (n[i - 1] + bias);
        OF(from_lanes)(w[i - 1], apart[i - 1], count, numbers, ws[i]);
        if (v) OF(from_lanes)(v[i - 1], apart[i - 1], count, numbers, vs[i]);
    }
}
