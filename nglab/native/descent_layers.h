/* The memory of a step, and what it does entry by entry. Where networks lie side by side, `lanes` numbers stand for one. */

/* A step's rows x and y, its rate (s of plain descent, else α) and μ: of the first network, and how many numbers further
   those of the next step and of the next network lie. */
struct OF(batches) {
    const T *x, *y, *rates, *momenta;
    int64_t x_step, x_apart, y_step, y_apart, rate_step;
};

static inline struct OF(batches) OF(next)(struct OF(batches) of) {
    of.x += of.x_step, of.y += of.y_step, of.rates += of.rate_step;
    return of;
}

static inline struct OF(batches) OF(of_network)(struct OF(batches) of, int64_t network) {
    of.x += network * of.x_apart, of.y += network * of.y_apart, of.rates += network, of.momenta += network;
    return of;
}

typedef void OF(map)(int, const T *, T *, int64_t); /* a function of n numbers, as MKL has them */

/* Where x_0 … x_L lie, and the two places that e_L, e_{L-1} … take by turns. Returns how many numbers they take in all;
   nothing is written where x is NULL. x_0 has a place of its own only where it ends in a 1. */
static int64_t OF(lay_out)(const struct network *net, int lanes, T *memory, T **x, T **e) {
    const int64_t rows = (int64_t)net->examples * lanes;
    int64_t at = 0, widest = 0;
    for (int i = 0; i <= net->depth; i++) {
        const int32_t n = net->widths[i];
        if (x) x[i] = memory + at;
        if (i || net->bias) at += rows * (n + (i < net->depth && net->bias));
        if (n > widest) widest = n;
    }
    for (int i = 0; x && i <= net->depth; i++) e[i] = memory + at + (i % 2) * rows * widest;
    return at + 2 * rows * widest;
}

/* The 1 that x_0 … x_{L-1} end in. */
static void OF(write_ones)(const struct network *net, int lanes, T **x) {
    for (int i = 0; net->bias && i < net->depth; i++)
        for (int64_t a = 1; a <= net->examples; a++)
            for (int l = 1; l <= lanes; l++) x[i][a * (net->widths[i] + 1) * lanes - l] = 1;
}

/* Rows of n numbers, a 1 left free after each where there is a bias. */
static void OF(copy_rows)(const struct network *net, int64_t n, int64_t one, const T *from, T *into) {
    for (int a = 0; a < net->examples; a++) memcpy(into + a * (n + one), from + a * n, n * sizeof(T));
}

/* x_i ← φ(x_i). */
static void OF(activate)(const struct network *net, int i, int lanes, T *x, OF(map) *tanh_of) {
    const int64_t one = net->bias ? lanes : 0, parts = one ? net->examples : 1;
    const int64_t n = (int64_t)net->widths[i] * lanes * (one ? 1 : net->examples);
    for (int64_t a = 0; a < parts; a++, x += n + one)
        if (net->phi == TANH)
            tanh_of((int)n, x, x, ACCURATE);
        else
            for (int64_t j = 0; j < n; j++) x[j] = x[j] < 0 ? 0 : x[j]; /* what is not a number stays so */
}

/* e_i ← φ'(z_i) ∘ e_i, from x_i. */
static void OF(chain)(const struct network *net, int i, int lanes, T *restrict e, const T *restrict x) {
    const int64_t one = net->bias ? lanes : 0, parts = one ? net->examples : 1;
    const int64_t n = (int64_t)net->widths[i] * lanes * (one ? 1 : net->examples);
    for (int64_t a = 0; a < parts; a++, e += n, x += n + one)
        if (net->phi == TANH)
            for (int64_t j = 0; j < n; j++) e[j] *= 1 - x[j] * x[j];
        else
            for (int64_t j = 0; j < n; j++) e[j] = x[j] > 0 ? e[j] : e[j] * 0;
}
